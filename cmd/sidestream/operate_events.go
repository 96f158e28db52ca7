package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/seed-078801ba/sidestream/caddymodule/operator"
	"github.com/seed-078801ba/sidestream/cmd/sidestream/tail"
)

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
