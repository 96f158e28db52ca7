package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/seed-078801ba/sidestream/caddymodule/operator"
)

// chosen are the flags that choose streams.
type chosen struct{ id, channel, user, client, format string }

func (c *chosen) flags(cmd *cobra.Command) {
	cmd.Flags().StringVar(&c.id, "id", "", "Only the stream with this id")
	cmd.Flags().StringVar(&c.channel, "channel", "", "Only those that listen to this channel")
	cmd.Flags().StringVar(&c.user, "user", "", "Only those of this user, as the app calls it")
	cmd.Flags().StringVar(&c.client, "client", "", "Only those from this IP address or network")
	cmd.Flags().StringVar(&c.format, "format", "", "Only those of this format")
}

func (c *chosen) parameters() url.Values {
	v := url.Values{}
	for name, value := range map[string]string{"id": c.id, "channel": c.channel, "user": c.user, "address": c.client, "format": c.format} {
		if value != "" {
			v.Set(name, value)
		}
	}
	return v
}

func streamsCommand() *cobra.Command {
	var s server
	var which chosen
	var limit int
	cmd := &cobra.Command{
		Use:   "streams",
		Short: "Lists the streams that are open in the running server",
		Long: `
Asks the running server, over Caddy's admin API, for its open streams: since when,
the format, the channels, whose it is and from where, how much the client has not
taken yet, and what it got. The flags choose some of them.`,
		Example: "  sidestream streams\n  sidestream streams --channel 1 --user 7\n  sidestream streams --client 192.0.2.0/24 --json",
		Args:    cobra.NoArgs, SilenceUsage: true,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return listStreams(cmd.OutOrStdout(), &s, which.parameters(), limit)
		},
	}
	s.flags(cmd)
	which.flags(cmd)
	cmd.Flags().IntVar(&limit, "limit", 1000, "How many to list at most")
	return cmd
}

func listStreams(out io.Writer, s *server, parameters url.Values, limit int) error {
	var all []operator.StreamView
	more := false
	for len(all) < limit {
		parameters.Set("limit", strconv.Itoa(min(limit-len(all), 1000)))
		var page operator.StreamPage
		as := *s
		as.json = false
		if _, err := as.ask(out, http.MethodGet, operator.StreamsPath, parameters, &page); err != nil {
			return err
		}
		all = append(all, page.Streams...)
		if more = page.Next != ""; !more {
			break
		}
		parameters.Set("after", page.Next)
	}
	if s.json {
		if all == nil {
			all = []operator.StreamView{}
		}
		return json.NewEncoder(out).Encode(all)
	}
	w := table(out, "ID", "OPEN FOR", "FORMAT", "CHANNELS", "USER", "ADDRESS", "BEHIND", "EVENTS", "SENT")
	for i := range all {
		v := &all[i]
		behind := "-"
		if v.Behind {
			behind = fmt.Sprintf("%.0f s, %s", v.BehindSeconds, size(int64(v.LagBytes)))
		}
		row(w, v.ID, lasted(time.Since(v.Since)), v.Format, cell(strings.Join(v.Channels, ",")), cell(v.User), cell(v.Address), behind, v.Events, size(int64(v.Bytes)))
	}
	w.Flush()
	if more {
		fmt.Fprintf(out, "and more: list them with --limit, or choose with --channel, --user, --client or --format\n")
	}
	return nil
}

// lasted is a time for people.
func lasted(d time.Duration) string {
	switch {
	case d < time.Minute:
		return fmt.Sprintf("%d s", int(d.Seconds()))
	case d < time.Hour:
		return fmt.Sprintf("%d min", int(d.Minutes()))
	case d < 48*time.Hour:
		return fmt.Sprintf("%d h %d min", int(d.Hours()), int(d.Minutes())%60)
	}
	return fmt.Sprintf("%d d", int(d.Hours())/24)
}

func kickCommand() *cobra.Command {
	var s server
	var which chosen
	var dry, all bool
	cmd := &cobra.Command{
		Use:   "kick",
		Short: "Ends streams of the running server",
		Long: `
Ends the open streams that the flags choose, over Caddy's admin API. Their clients
are told when to come back, after one to five seconds, and go on where they were: to
keep somebody out, have the app deny the access. With --dry, the streams are only
counted.`,
		Example: "  sidestream kick --user 7 --dry\n  sidestream kick --channel 1\n  sidestream kick --id default:0-12-1",
		Args:    cobra.NoArgs, SilenceUsage: true,
		RunE: func(cmd *cobra.Command, _ []string) error {
			parameters := which.parameters()
			if len(parameters) == 0 && s.hub == "" && !all {
				return errors.New("say which streams: --id, --channel, --user, --client, --format, --hub, or --all")
			}
			if all {
				parameters.Set("all", "")
			}
			if dry {
				parameters.Set("dry", "")
			}
			var ended operator.Ended
			shown, err := s.ask(cmd.OutOrStdout(), http.MethodDelete, operator.StreamsPath, parameters, &ended)
			if err != nil || shown {
				return err
			}
			if dry {
				fmt.Fprintf(cmd.OutOrStdout(), "streams that would be ended, without --dry: %d\n", ended.Matched)
			} else {
				fmt.Fprintf(cmd.OutOrStdout(), "streams ended: %d\n", ended.Matched)
			}
			return nil
		},
	}
	s.flags(cmd)
	which.flags(cmd)
	cmd.Flags().BoolVar(&dry, "dry", false, "Only count them")
	cmd.Flags().BoolVar(&all, "all", false, "All of them")
	return cmd
}
