package main

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/seed-078801ba/sidestream/caddymodule/operator"
)

func channelsCommand() *cobra.Command {
	var s server
	var prefix, message string
	var limit int
	var everything bool
	cmd := &cobra.Command{
		Use:   "channels [NAME]",
		Short: "Lists the channels of the running server, shows the history of one, or deletes from it",
		Long: `
Without a name, lists the channels in memory: those that somebody listens to, or did
lately. With a name, shows what the history keeps of that channel, oldest first.

--delete takes back the message with this id: what it said is gone from the history,
and those who listen are told that it was deleted. --delete-all removes all that the
history keeps of the channel; whoever comes back with a cursor from before is told
that something is missing. What another server, a backup or a client has is not
touched.`,
		Example: "  sidestream channels\n  sidestream channels acme/main --limit 10\n  sidestream channels 1 --delete 42",
		Args:    cobra.MaximumNArgs(1), SilenceUsage: true,
		RunE: func(cmd *cobra.Command, args []string) error {
			out := cmd.OutOrStdout()
			switch {
			case len(args) == 0 && (message != "" || everything):
				return errors.New("say of which channel, as in: sidestream channels 1 --delete 42")
			case message != "" && everything:
				return errors.New("--delete and --delete-all exclude each other: say --delete for one message, or --delete-all for the whole history of the channel")
			case len(args) == 0:
				return listChannels(out, &s, prefix, limit)
			case message != "" || everything:
				return deleteFrom(out, &s, args[0], message)
			}
			return showHistory(out, &s, args[0], limit)
		},
	}
	s.flags(cmd)
	cmd.Flags().StringVar(&prefix, "prefix", "", "Only channels whose names begin so")
	cmd.Flags().IntVar(&limit, "limit", 100, "How many to list at most, up to 1000")
	cmd.Flags().StringVar(&message, "delete", "", "Take back the message with this id")
	cmd.Flags().BoolVar(&everything, "delete-all", false, "Remove all that the history keeps of the channel")
	return cmd
}

func listChannels(out io.Writer, s *server, prefix string, limit int) error {
	parameters := url.Values{"limit": {strconv.Itoa(limit)}}
	if prefix != "" {
		parameters.Set("prefix", prefix)
	}
	var page operator.ChannelPage
	if shown, err := s.ask(out, http.MethodGet, operator.ChannelsPath, parameters, &page); err != nil || shown {
		return err
	}
	w := table(out, "HUB", "CHANNEL", "LISTENERS", "IN MEMORY", "BYTES", "LAST EVENT")
	for _, c := range page.Channels {
		last := "-"
		if c.Last != nil {
			last = lasted(time.Since(*c.Last)) + " ago"
		}
		row(w, c.Hub, cell(c.Name), c.Listeners, c.Events, size(c.Bytes), last)
	}
	w.Flush()
	if page.Next != "" {
		fmt.Fprintln(out, "and more: list them with --limit, or choose with --prefix")
	}
	return nil
}

func showHistory(out io.Writer, s *server, channel string, limit int) error {
	var h operator.History
	parameters := url.Values{"channel": {channel}, "limit": {strconv.Itoa(limit)}}
	if shown, err := s.ask(out, http.MethodGet, operator.HistoryPath, parameters, &h); err != nil || shown {
		return err
	}
	if h.Trimmed {
		fmt.Fprintln(out, "older events are no longer kept")
	}
	w := table(out, "POSITION", "CAME", "OP", "ID", "USER", "TEXT")
	for _, e := range h.Entries {
		text := cell(e.Text)
		switch {
		case e.Gone:
			text = "(taken back)"
		case e.Text == "" && len(e.Payload) > 0:
			text = cell(string(e.Payload))
		}
		row(w, e.Position, e.At.Local().Format(time.DateTime), e.Op, cell(e.ID), cell(e.User), text)
	}
	w.Flush()
	if h.Next != "" {
		fmt.Fprintln(out, "and newer ones: see them with --limit")
	}
	return nil
}

func deleteFrom(out io.Writer, s *server, channel, message string) error {
	parameters := url.Values{"channel": {channel}}
	if message != "" {
		parameters.Set("id", message)
	} else {
		parameters.Set("all", "")
	}
	var done operator.Forgotten
	if shown, err := s.ask(out, http.MethodDelete, operator.HistoryPath, parameters, &done); err != nil || shown {
		return err
	}
	if message != "" {
		fmt.Fprintf(out, "message %s of channel %s is taken back, at position %s\n", done.Message, done.Channel, done.Position)
	} else {
		fmt.Fprintf(out, "the history of channel %s is gone\n", done.Channel)
	}
	return nil
}
