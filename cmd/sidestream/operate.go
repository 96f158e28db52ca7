package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/seed-078801ba/sidestream/caddymodule/operator"
	"github.com/seed-078801ba/sidestream/cmd/sidestream/tail"
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
			done := "ended"
			if dry {
				done = "to be ended, and were not: this was a dry run"
			}
			fmt.Fprintf(cmd.OutOrStdout(), "streams %s: %d\n", done, ended.Matched)
			return nil
		},
	}
	s.flags(cmd)
	which.flags(cmd)
	cmd.Flags().BoolVar(&dry, "dry", false, "Only count them")
	cmd.Flags().BoolVar(&all, "all", false, "All of them")
	return cmd
}

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

func eventsCommand() *cobra.Command {
	var s server
	var kinds []string
	var trace bool
	var which chosen
	cmd := &cobra.Command{
		Use:   "events",
		Short: "Shows live what happens in the running server",
		Long: `
Shows live, over Caddy's admin API, what comes in and what it was mapped to, or why
not; who asks for a stream, and what became of it; and what the app was asked, and
what its answer means. It shows what people say, and no secrets.

With --trace, it shows only requests for streams and the questions about them:
"sidestream explain" on live traffic. --channel, --user and --client choose some.`,
		Example: "  sidestream events\n  sidestream events --kind arrived\n  sidestream events --trace --user 7",
		Args:    cobra.NoArgs, SilenceUsage: true,
		RunE: func(cmd *cobra.Command, _ []string) error {
			parameters := which.parameters()
			path := operator.EventsPath
			switch {
			case trace && len(kinds) > 0:
				return errors.New("say either --kind or --trace")
			case trace:
				path = operator.TracePath
			case len(parameters) > 0:
				return errors.New("--channel, --user and --client go with --trace")
			case len(kinds) > 0:
				parameters.Set("kind", strings.Join(kinds, ","))
			}
			return follow(cmd.OutOrStdout(), &s, path, parameters)
		},
	}
	s.flags(cmd)
	cmd.Flags().StringSliceVar(&kinds, "kind", nil, "Only these: arrived, opened, refused, question")
	cmd.Flags().BoolVar(&trace, "trace", false, "Only requests for streams, and the questions about them")
	cmd.Flags().StringVar(&which.channel, "channel", "", "With --trace: only about this channel")
	cmd.Flags().StringVar(&which.user, "user", "", "With --trace: only of this user")
	cmd.Flags().StringVar(&which.client, "client", "", "With --trace: only from this IP address or network")
	return cmd
}

// follow shows what the server tells until it ends, or the command does.
func follow(out io.Writer, s *server, path string, parameters url.Values) error {
	resp, err := s.request(http.MethodGet, path, parameters)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	lines := bufio.NewScanner(resp.Body)
	lines.Buffer(nil, 1<<20)
	kind := ""
	for lines.Scan() {
		name, value, _ := strings.Cut(lines.Text(), ": ")
		switch {
		case name == "event":
			kind = value
		case name != "data":
		case s.json:
			fmt.Fprintln(out, value)
		case kind == "missed":
			fmt.Fprintln(out, "more happened than could be shown:", value)
		default:
			var h operator.Happening
			if err := json.Unmarshal([]byte(value), &h); err != nil {
				return errors.New("the server's answer is not that of Sidestream; is it of the same version?")
			}
			showHappening(out, &h)
		}
	}
	if err := lines.Err(); err != nil {
		return fmt.Errorf("the server tells no more: %w", err)
	}
	return errors.New("the server has ended the connection")
}

func showHappening(out io.Writer, h *operator.Happening) {
	at := h.At.Local().Format("15:04:05.000")
	switch h.Kind {
	case operator.Arrived:
		fmt.Fprintf(out, "%s  in        %s%s\n", at, cell(h.From), becauseOf(h))
		for _, m := range h.Messages {
			text := fmt.Sprintf("channel %s: %s", cell(m.Channel), m.Op)
			if m.ID != "" {
				text += " " + cell(m.ID)
			}
			if m.User != "" {
				text += " by " + cell(m.User)
			}
			if m.Text != "" {
				text += " " + strconv.Quote(cell(m.Text))
			}
			switch {
			case m.Conflict:
				text += "; it contradicts an earlier one, which stands"
			case m.Duplicate:
				text += "; it was there already"
			}
			fmt.Fprintf(out, "              %s\n", text)
		}
	case operator.Opened:
		fmt.Fprintf(out, "%s  opened    %s of %s for %s at %s: %s\n", at, h.Format, cell(strings.Join(h.Channels, ",")), orNobody(h.User), cell(h.Address), tail.Printable(h.Credential))
	case operator.Refused:
		fmt.Fprintf(out, "%s  refused   %s of %s to %s: %d, %s\n", at, cell(h.Endpoint), cell(strings.Join(h.Channels, ",")), cell(h.Address), h.Status, cell(h.Reason))
	case operator.Question:
		about := "channel " + cell(h.Channel)
		if h.Channel == "" {
			about = "who it is"
		}
		fmt.Fprintf(out, "%s  asked     about %s: %s, %s\n", at, about, h.Outcome, cell(h.Asked))
		for _, why := range h.Why {
			fmt.Fprintf(out, "              %s\n", tail.Printable(why))
		}
	}
}

func orNobody(user string) string {
	if user == "" {
		return "somebody"
	}
	return "user " + cell(user)
}

// becauseOf says what was wrong with what came in.
func becauseOf(h *operator.Happening) (text string) {
	if h.Status != 0 {
		text += fmt.Sprintf(" was answered %d", h.Status)
	}
	if h.Dropped > 0 {
		text += fmt.Sprintf(", %d dropped", h.Dropped)
	}
	if h.Unmapped > 0 {
		text += fmt.Sprintf(", %d could not be mapped", h.Unmapped)
	}
	if h.Reason != "" {
		text += ": " + cell(h.Reason)
	}
	return text
}
