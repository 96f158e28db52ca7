package main

import (
	"bufio"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/signal"
	"strings"
	"syscall"

	caddycmd "github.com/caddyserver/caddy/v2/cmd"
	"github.com/spf13/cobra"

	"github.com/seed-078801ba/sidestream/cmd/sidestream/tail"
)

// tokenEnv is the variable that is read without --token, so that a token need not
// be seen in the list of processes.
const tokenEnv = "SIDESTREAM_TOKEN"

// tailFlags are the flags of the tail command.
type tailFlags struct {
	token, bearer, since, cursor, format string
	headers                              []string
	raw                                  bool
}

func tailCommand() caddycmd.Command {
	return caddycmd.Command{
		Name:  "tail",
		Usage: "<url> [--token <token>] [--bearer <token>] [-H 'Name: value'] [--cursor <cursor>] [--since <message id>] [--format sse|json] [--raw]",
		Short: "Prints a stream of messages to the terminal",
		Long: `
Prints a stream, one message a line: Campfire's JSON and XML, Flowdock's JSON and
Server-Sent Events. When the connection ends, it connects again and continues
where it was. It prints to standard error what happens to the connection, and
where messages may be missing. Ctrl-C ends it.

	$ sidestream tail --token alice-token 'http://localhost:8080/flows?filter=1,2'`,
		CobraFunc: func(cmd *cobra.Command) {
			var f tailFlags
			cmd.Flags().StringVarP(&f.token, "token", "t", "", "API token, sent as the user of Basic authentication (default $"+tokenEnv+")")
			cmd.Flags().StringVar(&f.bearer, "bearer", "", "OAuth token, sent as Bearer")
			cmd.Flags().StringArrayVarP(&f.headers, "header", "H", nil, "Header of the request, as in 'Cookie: session=...'; may be repeated")
			cmd.Flags().StringVar(&f.cursor, "cursor", "", "Start behind this cursor (the id of a server-sent event)")
			cmd.Flags().StringVar(&f.since, "since", "", "Start behind the message with this id of the backend")
			cmd.Flags().StringVar(&f.format, "format", "", "Ask for sse or json where the address has both (default: sse)")
			cmd.Flags().BoolVar(&f.raw, "raw", false, "Print messages as they come, without making them readable")
			cmd.Args = cobra.ExactArgs(1)
			cmd.RunE = func(cmd *cobra.Command, args []string) error {
				cmd.SilenceUsage = true
				ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
				defer stop()
				return runTail(ctx, args[0], f, cmd.OutOrStdout(), cmd.ErrOrStderr())
			}
		},
	}
}

// runTail prints until ctx ends or the server refuses.
func runTail(ctx context.Context, url string, f tailFlags, out, errOut io.Writer) error {
	if err := tail.CheckURL(url); err != nil {
		return err
	}
	c := tail.Config{URL: url, Cursor: f.cursor, Since: f.since}
	own := &http.Request{Header: http.Header{}}
	if err := addHeaders(own, f.headers); err != nil {
		return err
	}
	c.Header, c.Host = own.Header, own.Host
	if f.token == "" && f.bearer == "" && own.Header.Get("Authorization") == "" {
		f.token = os.Getenv(tokenEnv)
	}
	switch {
	case f.token != "" && f.bearer != "":
		return errors.New("give --token or --bearer, not both")
	case f.token+f.bearer != "" && own.Header.Get("Authorization") != "":
		return errors.New("give --token, --bearer or -H Authorization, not two of them")
	case f.token != "":
		c.Authorization = "Basic " + base64.StdEncoding.EncodeToString([]byte(f.token+":x"))
	case f.bearer != "":
		c.Authorization = "Bearer " + f.bearer
	}
	switch f.format {
	case "":
	case "sse":
		c.Accept = "text/event-stream"
	case "json":
		c.Accept = "application/json"
	default:
		return fmt.Errorf("--format is sse or json, not %q", f.format)
	}
	c.Client = &http.Client{
		Transport:     &http.Transport{Proxy: http.ProxyFromEnvironment, DisableCompression: true, ForceAttemptHTTP2: true},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	defer c.Client.CloseIdleConnections()

	w := bufio.NewWriter(out)
	c.Item = func(item tail.Item) {
		if item.Payload == nil {
			return
		}
		if f.raw {
			w.Write(item.Payload)
		} else {
			w.WriteString(tail.Line(item.Payload))
		}
		w.WriteByte('\n')
		w.Flush()
	}
	c.Note = func(text string) { fmt.Fprintln(errOut, "--", text) }
	c.Lost = func(text string) {
		fmt.Fprintln(errOut, "!! GAP: messages may be missing here:", tail.Printable(text))
	}
	err := tail.Follow(ctx, c)
	var refused *tail.Refused
	if errors.As(err, &refused) && refused.Text != "" {
		fmt.Fprintln(errOut, "--", "the server said:", tail.Printable(strings.TrimSpace(refused.Text)))
	}
	return err
}
