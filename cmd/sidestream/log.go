package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/seed-078801ba/sidestream/stream/event"
	"github.com/seed-078801ba/sidestream/stream/log/file"
)

// logCommand is "sidestream log": it reads the file of a hub's log while no server
// uses it.
func logCommand() *cobra.Command {
	var verify, export bool
	var channels []string
	cmd := &cobra.Command{
		Use:   "log FILE [--verify] [--export] [--channel NAME]...",
		Short: "Shows, checks or exports the file of a hub's log",
		Long: `
Shows what is in the file of a hub's log: the channels, how many events are kept
of each, their sizes, and the first and the last position. Nothing is changed.
Stop the server that uses the file, or read a copy of the file.

With --verify, the whole file is read and checked: every record is as it was
written, no channel lacks an event, and counts, keys and references are right.
What is wrong is listed, and the exit status is 1.

With --export, the events are written as JSON, one a line, oldest first.

--channel limits the list and the export to one channel; it may be given again.`,
		Example: `  sidestream log /var/lib/caddy/.local/share/caddy/sidestream/default.db
  sidestream log default.db --verify
  sidestream log default.db --export --channel 1 | jq .payload.body`,
		Args:          cobra.ExactArgs(1),
		SilenceUsage:  true,
		SilenceErrors: false,
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			inspection, err := file.Inspect(args[0])
			if err != nil {
				return err
			}
			defer func() { err = errors.Join(err, inspection.Close()) }()
			out := cmd.OutOrStdout()
			if !verify { // which says more of a damaged file
				if err := noteUnknown(cmd.ErrOrStderr(), inspection, channels); err != nil {
					return err
				}
			}
			switch {
			case verify && export:
				return errors.New("say either --verify or --export")
			case verify:
				return verifyLog(out, inspection)
			case export:
				return exportLog(out, inspection, channels)
			}
			return showLog(out, inspection, channels)
		},
	}
	cmd.Flags().BoolVar(&verify, "verify", false, "read and check the whole file")
	cmd.Flags().BoolVar(&export, "export", false, "write the events as JSON lines")
	cmd.Flags().StringArrayVar(&channels, "channel", nil, "only this channel; may be repeated")
	return cmd
}

// noteUnknown says which of the channels the log does not have.
func noteUnknown(out io.Writer, inspection *file.Inspection, channels []string) error {
	if len(channels) == 0 {
		return nil
	}
	known := map[string]bool{}
	err := inspection.Channels(func(c file.ChannelSummary) error {
		known[c.Name] = true
		return nil
	})
	for _, name := range channels {
		if err == nil && !known[name] {
			fmt.Fprintf(out, "the log has no channel %q; without --channel, its channels are listed\n", name)
		}
	}
	return err
}

func showLog(out io.Writer, inspection *file.Inspection, channels []string) error {
	s, err := inspection.Summary()
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "epoch     %v\nlast      %d (%v)\nfirst     %d\nevents    %d in %d channels, %d bytes\nfile      %d bytes, %d of them free\n",
		s.Head.Epoch, s.Head.Seq, s.Head, s.Oldest, s.Events, s.Channels, s.Bytes, s.FileSize, s.Free)
	if s.Unclean {
		fmt.Fprintln(out, "unclean   written without sync and not closed: the next start checks it and begins a new epoch")
	}
	wanted := map[string]bool{}
	for _, name := range channels {
		wanted[name] = true
	}
	table := tabwriter.NewWriter(out, 0, 8, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(table, "\nevents\tbytes\tfirst\tlast\ttrimmed\t channel")
	err = inspection.Channels(func(c file.ChannelSummary) error {
		if len(wanted) > 0 && !wanted[c.Name] {
			return nil
		}
		_, err := fmt.Fprintf(table, "%d\t%d\t%d\t%d\t%d\t %q\n", c.Events, c.Bytes, c.First, c.Last, c.Trimmed, c.Name)
		return err
	})
	return errors.Join(err, table.Flush())
}

func verifyLog(out io.Writer, inspection *file.Inspection) error {
	problems, err := inspection.Verify()
	if err != nil {
		return err
	}
	for _, problem := range problems {
		fmt.Fprintln(out, problem)
	}
	if len(problems) > 0 {
		return fmt.Errorf("%d problems: the log is damaged", len(problems))
	}
	_, err = fmt.Fprintln(out, "the log is whole")
	return err
}

// exportedEntry is a line of the export.
type exportedEntry struct {
	Position string          `json:"position"`
	Seq      uint64          `json:"seq"`
	Taken    time.Time       `json:"taken"`
	Channel  string          `json:"channel"`
	ID       string          `json:"id,omitempty"`
	Op       string          `json:"op"`
	Version  string          `json:"version,omitempty"`
	Type     string          `json:"type,omitempty"`
	User     string          `json:"user,omitempty"`
	UserName string          `json:"user_name,omitempty"`
	Thread   string          `json:"thread,omitempty"`
	To       string          `json:"to,omitempty"`
	Time     *time.Time      `json:"time,omitempty"`
	Gone     bool            `json:"gone,omitempty"` // it was taken back
	Body     string          `json:"body,omitempty"`
	Delivery string          `json:"delivery,omitempty"`
	Payload  json.RawMessage `json:"payload,omitempty"`
}

func exportLog(out io.Writer, inspection *file.Inspection, channels []string) error {
	s, err := inspection.Summary()
	if err != nil {
		return err
	}
	lines := json.NewEncoder(out)
	lines.SetEscapeHTML(false)
	return inspection.Entries(func(e event.Entry) error {
		line := exportedEntry{
			Position: event.Cursor{Epoch: s.Head.Epoch, Seq: e.Seq, Tag: e.Tag}.String(),
			Seq:      e.Seq, Taken: time.UnixMilli(e.At).UTC(),
			Channel: e.Channel.Text, ID: e.ID.Text, Op: e.Op.String(), Version: e.Version, Type: e.Type,
			User: e.User.Text, UserName: e.UserName, Thread: e.Thread.Text, To: e.To.Text,
			Gone: e.Shape == event.Gone, Body: e.Body, Delivery: e.Delivery, Payload: e.Payload,
		}
		if !e.Time.IsZero() {
			line.Time = &e.Time
		}
		if err := lines.Encode(line); err != nil {
			return fmt.Errorf("exporting entry %d: %w", e.Seq, err)
		}
		return nil
	}, channels...)
}
