package main

import (
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/seed-078801ba/sidestream/caddymodule/operator"
)

// The commands with which an operator looks into the running server.

func hubsCommand() *cobra.Command {
	var s server
	cmd := &cobra.Command{
		Use:   "hubs",
		Short: "Shows the hubs of the running server, their ways in and their health",
		Long: `
Asks the running server, over Caddy's admin API, for its hubs: the store, how much
is in it, the streams by format, and the ways in with their state and what went
wrong there last. The exit code is 1 if a hub is not healthy.`,
		Example: "  sidestream hubs\n  sidestream hubs --json | jq .[].reasons",
		Args:    cobra.NoArgs, SilenceUsage: true,
		RunE: func(cmd *cobra.Command, _ []string) error {
			var hubs []operator.HubView
			shown, err := s.ask(cmd.OutOrStdout(), http.MethodGet, operator.HubsPath, url.Values{}, &hubs)
			if err != nil || shown {
				return err
			}
			if !showHubs(cmd.OutOrStdout(), hubs) {
				cmd.SilenceErrors = true
				return errQuiet
			}
			return nil
		},
	}
	s.flags(cmd)
	return cmd
}

func showHubs(out io.Writer, hubs []operator.HubView) (healthy bool) {
	healthy = true
	if len(hubs) == 0 {
		fmt.Fprintln(out, "no hub is open: the configuration has no sidestream")
	}
	for i := range hubs {
		h := &hubs[i]
		if i > 0 {
			fmt.Fprintln(out)
		}
		fmt.Fprintf(out, "hub %s\n", h.Name)
		show(out, "  ", "store", h.Store)
		show(out, "  ", "head", h.Head)
		kept := fmt.Sprintf("%d events of %d channels, %s", h.Events, h.StoredChannels, size(h.Bytes))
		if h.FileBytes > 0 {
			kept += "; the file has " + size(h.FileBytes)
		}
		show(out, "  ", "kept", kept)
		streams := []string{strconv.Itoa(h.Open())}
		for _, format := range slices.Sorted(maps.Keys(h.Streams)) {
			streams = append(streams, fmt.Sprintf("%s %d", format, h.Streams[format]))
		}
		if h.Behind > 0 {
			streams = append(streams, fmt.Sprintf("%d behind", h.Behind))
		}
		show(out, "  ", "streams", strings.Join(streams, ", "))
		health := "good"
		if !h.Healthy {
			health, healthy = strings.Join(h.Reasons, "; "), false
		}
		show(out, "  ", "health", health)
		if len(h.Sources) == 0 {
			continue
		}
		w := table(out, "  WAY IN", "STATE", "RECEIVED", "STORED", "UNMAPPED", "REFUSED", "LAST ERROR")
		for _, source := range h.Sources {
			state := "open"
			if !source.Connected {
				state = "not connected"
			}
			row(w, "  "+source.Name, state, source.Received, source.Stored, source.Unmapped, source.Refused, cell(source.LastError))
		}
		w.Flush()
	}
	return healthy
}

// table begins a table with its heads.
func table(out io.Writer, heads ...string) *tabwriter.Writer {
	w := tabwriter.NewWriter(out, 0, 8, 2, ' ', 0)
	fmt.Fprintln(w, strings.Join(heads, "\t"))
	return w
}

func row(w io.Writer, cells ...any) {
	for i, c := range cells {
		if i > 0 {
			fmt.Fprint(w, "\t")
		}
		fmt.Fprint(w, c)
	}
	fmt.Fprintln(w)
}
