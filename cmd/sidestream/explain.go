package main

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2/caddyconfig"
	caddycmd "github.com/caddyserver/caddy/v2/cmd"
	"github.com/spf13/cobra"

	"github.com/seed-078801ba/sidestream/caddymodule"
	"github.com/seed-078801ba/sidestream/cmd/sidestream/tail"
	"github.com/seed-078801ba/sidestream/stream/access"
	"github.com/seed-078801ba/sidestream/stream/event"
	"github.com/seed-078801ba/sidestream/stream/format"
	"github.com/seed-078801ba/sidestream/webhook"
	"github.com/seed-078801ba/sidestream/webhook/decode"
)

// explainFlags are the flags of the explain command.
type explainFlags struct {
	config, adapter, token, bearer, webhook, address string
	tap, request, user                               string
	headers                                          []string
	last, coverage                                   bool
}

func explainCommand() caddycmd.Command {
	return caddycmd.Command{
		Name:  "explain",
		Usage: "--config <file> [--token <token>] [-H <header>]... <url> | --config <file> --webhook <path> [-H <header>]... < sample | --config <file> --webhook [<path>] --last | --config <file> --tap '<method> <path> <status>' < answer | --coverage",
		Short: "Shows why a client is let in or refused, or what becomes of a webhook",
		Long: `
Tells what the configuration makes of a request, step by step. Nothing is
started and no history is touched: it may run beside the server, with the same
environment.

With a URL, or the path of one, it shows for which channels a client asks, what
the app is asked about it, what the app answers, which condition decides, and
what the client gets. The app is really asked, from this machine.

With --webhook it reads a payload from standard input, and shows the messages
that it becomes, or why it becomes none: what is wrong with its signature, which
rule drops it, which field is missing. Give the headers that the app sends with
-H. Nothing is published.

With --tap it reads an answer of the app from standard input, for a request and a
status such as 'POST /rooms/1/messages.json 201', and shows which rule of a tap is for
it and what it brings. Give the headers of the answer with -H (default: Content-Type:
application/json), and what the client had posted in a file, with --request. Nothing is
published.

With --coverage it asks the running server, over Caddy's admin API, which way in has
brought which part of the messages, and which requests no tap is for.

With --webhook and --last it asks the running server, over Caddy's admin API, for the
last deliveries that were refused or could not be mapped, and shows them: what your
app really sends. The server keeps a few of them for an hour, without secrets.

The way through the site is that of the server: matchers, handle and route,
rewrites, passwords. Where a forward_auth stands in front, it is really asked. What
cannot be followed, such as a module from elsewhere, is named.

The exit code is 0 if a stream would be opened (or the webhook taken), 1 if not, and
2 if that cannot be told. Secrets are not shown.`,
		CobraFunc: func(cmd *cobra.Command) {
			var f explainFlags
			cmd.Example = `  sidestream explain --config Caddyfile --token alice-token https://chat.example.com/room/1/live.json
  sidestream explain --config Caddyfile -H 'Cookie: chat_session=...' '/flows?filter=1,2'
  sidestream explain --config Caddyfile --webhook /hooks/mm -H 'Content-Type: application/json' < sample.json
  sidestream explain --config Caddyfile --webhook /hooks/mm --last
  sidestream explain --config Caddyfile --tap 'POST /rooms/1/messages.json 201' < answer.json
  sidestream explain --config Caddyfile --coverage`
			cmd.Flags().StringVarP(&f.config, "config", "c", "", "Configuration file (default: Caddyfile)")
			cmd.Flags().StringVarP(&f.adapter, "adapter", "a", "", "Its format, if its name does not say")
			cmd.Flags().StringVarP(&f.token, "token", "t", "", "API token, sent as the user of Basic authentication (default $"+tokenEnv+")")
			cmd.Flags().StringVar(&f.bearer, "bearer", "", "OAuth token, sent as Bearer")
			cmd.Flags().StringVar(&f.webhook, "webhook", "", "Path or URL of a webhook, whose payload is on standard input")
			cmd.Flags().BoolVar(&f.last, "last", false, "Show the last deliveries to the webhook that were refused or could not be mapped")
			cmd.Flags().StringVar(&f.tap, "tap", "", "Method, path and status of an answer of the app, which is on standard input")
			cmd.Flags().StringVar(&f.request, "request", "", "File with what the client had posted, for --tap")
			cmd.Flags().StringVar(&f.user, "user", "", "Whose credential the client has, for --tap")
			cmd.Flags().BoolVar(&f.coverage, "coverage", false, "Show which way in brings which part of the messages")
			cmd.Flags().StringVar(&f.address, "address", "", "Admin API of the running server, for --last and --coverage (default: that of the configuration)")
			cmd.Flags().StringArrayVarP(&f.headers, "header", "H", nil, "Header of the request, as in 'Name: value'; may be repeated")
			cmd.Args = cobra.MaximumNArgs(1)
			cmd.RunE = func(cmd *cobra.Command, args []string) error {
				cmd.SilenceUsage = true
				code, err := runExplain(args, f, cmd.InOrStdin(), cmd.OutOrStdout())
				if err != nil && code == cannotSay {
					fmt.Fprintln(cmd.ErrOrStderr(), "Error:", err)
				}
				return exitWith(cmd, code, err)
			}
		},
	}
}

// Exit codes of explain.
const (
	isStream  = 0 // a stream would be opened; a webhook would be taken
	isRefused = 1 // there is no stream; nothing of the webhook would be taken
	cannotSay = 2 // it is not known: a wrong call, a backend that does not answer
)

// errQuiet ends a command with code 1 when everything has been said.
var errQuiet = errors.New("refused")

// exitWith makes a command end with a code.
func exitWith(cmd *cobra.Command, code int, err error) error {
	switch {
	case code == isStream:
		return nil
	case code == isRefused && err == nil:
		cmd.SilenceErrors = true
		return errQuiet
	case code == isRefused:
		return err
	}
	cmd.SilenceErrors = true
	return caddycmd.WrapCommandFuncForCobra(func(caddycmd.Flags) (int, error) { return code, nil })(cmd, nil)
}

func runExplain(args []string, f explainFlags, in io.Reader, out io.Writer) (code int, err error) {
	if f.coverage {
		if err := showCoverage(out, f); err != nil {
			return cannotSay, err
		}
		return isStream, nil
	}
	if f.tap != "" {
		return runExplainTap(args, f, in, out)
	}
	if f.webhook == "--last" { // of all webhooks
		f.webhook, f.last = "", true
	}
	if f.last && len(args) == 0 {
		if err := showLast(out, f, f.webhook); err != nil {
			return cannotSay, err
		}
		return isStream, nil
	}
	target := f.webhook
	switch {
	case (len(args) == 1) == (f.webhook != ""):
		return cannotSay, errors.New("say what to explain: the URL of a stream, or --webhook and its path")
	case f.token != "" && f.bearer != "":
		return cannotSay, errors.New("give --token or --bearer, not both")
	case len(args) == 1:
		target = args[0]
	}
	config, err := adapted(f.config, f.adapter)
	if err != nil {
		return cannotSay, err
	}
	explainer, err := caddymodule.NewExplainer(config)
	if err != nil {
		return cannotSay, err
	}
	defer explainer.Close()
	r, err := requestOf(target, f, explainer.Sites())
	if err != nil {
		return cannotSay, err
	}
	w := bufio.NewWriter(out)
	defer w.Flush()
	if f.webhook != "" {
		r.Body = io.NopCloser(in)
		path, e, err := explainer.Webhook(r)
		if err != nil {
			return codeOf(err), fmt.Errorf("%s: %w", r.URL.Path, err)
		}
		showWebhook(w, path, &e)
		return codeOfWebhook(&e), nil
	}
	e, err := explainer.Stream(r)
	if err != nil {
		return codeOf(err), fmt.Errorf("%s: %w", r.URL.Path, err)
	}
	showStream(w, e)
	return codeOfStream(e), nil
}

// codeOf is the exit code of a request that no sidestream handler takes.
func codeOf(err error) int {
	if errors.Is(err, caddymodule.ErrNotOurs) {
		return isRefused
	}
	return cannotSay
}

func codeOfStream(e *caddymodule.StreamExplanation) int {
	unknown := slices.ContainsFunc(e.Exchanges, func(x caddymodule.Exchange) bool { return x.Outcome == access.Unknown.String() })
	switch {
	case e.Unsure, e.Session, unknown && !e.Opened:
		return cannotSay
	case e.Opened && e.Status == http.StatusOK:
		return isStream
	}
	return isRefused
}

func codeOfWebhook(e *webhook.Explanation) int {
	unmapped := len(e.Messages) > 0 && !slices.ContainsFunc(e.Messages, func(m decode.Message) bool { return m.Unmapped == "" })
	if e.Status >= 400 || e.Unreadable != "" || unmapped {
		return isRefused
	}
	return isStream
}

// adapted is the configuration in Caddy's JSON.
func adapted(file, adapter string) ([]byte, error) {
	if file == "" {
		file = "Caddyfile"
	}
	config, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("reading the configuration: %w", err)
	}
	if adapter == "" && strings.EqualFold(filepath.Ext(file), ".json") {
		return config, nil
	}
	if adapter == "" {
		adapter = "caddyfile"
	}
	adapt := caddyconfig.GetAdapter(adapter)
	if adapt == nil {
		return nil, fmt.Errorf("--adapter: there is no %s", adapter)
	}
	config, _, err = adapt.Adapt(config, map[string]any{"filename": file})
	if err != nil {
		return nil, fmt.Errorf("reading the configuration: %w", err)
	}
	return config, nil
}

// requestOf makes the request to be explained. A path alone is on the site with
// Sidestream, if there is one.
func requestOf(target string, f explainFlags, sites []string) (*http.Request, error) {
	if strings.HasPrefix(target, "/") {
		if len(sites) != 1 {
			return nil, fmt.Errorf("the configuration has Sidestream in %d sites; give a whole URL, which begins with one of: %s", len(sites), strings.Join(sites, ", "))
		}
		target = sites[0] + target
	}
	u, err := url.Parse(target)
	if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" {
		return nil, errors.New("the address must be a URL, as in https://chat.example.com/room/1/live.json, or the path of one")
	}
	// The request as a server gets it, from a client on this machine.
	line, err := url.ParseRequestURI(u.RequestURI())
	if err != nil {
		return nil, errors.New("the address has a path that no request can have")
	}
	r := &http.Request{
		Method: methodOf(f), URL: line, RequestURI: u.RequestURI(), Host: u.Host, RemoteAddr: "127.0.0.1:0",
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Header: http.Header{}, Body: http.NoBody,
	}
	if u.Scheme == "https" {
		r.TLS = new(tls.ConnectionState)
	}
	if u.User != nil && f.token == "" && f.bearer == "" {
		password, _ := u.User.Password()
		r.SetBasicAuth(u.User.Username(), password)
		return r, addHeaders(r, f.headers)
	}
	if f.token == "" && f.bearer == "" && f.webhook == "" {
		f.token = os.Getenv(tokenEnv)
	}
	switch {
	case f.token != "":
		r.Header.Set("Authorization", "Basic "+base64.StdEncoding.EncodeToString([]byte(f.token+":x")))
	case f.bearer != "":
		r.Header.Set("Authorization", "Bearer "+f.bearer)
	}
	return r, addHeaders(r, f.headers)
}

// methodOf is how a request comes: webhooks are posted.
func methodOf(f explainFlags) string {
	if f.webhook != "" {
		return http.MethodPost
	}
	return http.MethodGet
}

func addHeaders(r *http.Request, lines []string) error {
	for _, line := range lines {
		name, value, ok := strings.Cut(line, ":")
		if name, value = strings.TrimSpace(name), strings.TrimSpace(value); !ok || name == "" {
			return errors.New("-H is a header, as in 'Name: value'")
		}
		if strings.EqualFold(name, "Host") {
			r.Host = value
			continue
		}
		r.Header.Add(name, value)
	}
	return nil
}

// shownHeaders are those of the app's and of our answers that matter.
var shownHeaders = []string{
	"Access-Control-Allow-Credentials", "Access-Control-Allow-Origin", "Cache-Control", "Content-Type", "Location", "Retry-After",
	"Stream-Refused", "Www-Authenticate",
}

func showStream(w io.Writer, e *caddymodule.StreamExplanation) {
	for _, note := range e.Notes {
		show(w, "", "in front", note)
	}
	list := slices.Clone(e.Channels)
	if e.Private {
		list = append(list, "the user's own")
	}
	show(w, "", "asks for", e.Endpoint+" of hub "+e.Hub)
	show(w, "", "format", e.Format)
	show(w, "", "channels", strings.Join(list, ", "))
	show(w, "", "credential", e.Credential)
	for _, x := range e.Exchanges {
		about := "channel " + x.Channel
		if x.Channel == "" {
			about = "who it is, or all its channels"
		}
		fmt.Fprintf(w, "\nthe app is asked about %s\n", about)
		if x.Method != "" {
			show(w, "  ", x.Method, x.URI)
			show(w, "  ", "Host", x.Host)
			showHeader(w, x.Header, slices.Sorted(maps.Keys(x.Header)))
			show(w, "  ", "form", x.Form)
		}
		if x.Status != 0 {
			fmt.Fprintf(w, "and answers %d %s\n", x.Status, http.StatusText(x.Status))
			showHeader(w, x.Answer, shownHeaders)
			showText(w, x.Body)
		}
		fmt.Fprintf(w, "which means: %s\n", x.Outcome)
		for _, why := range x.Why {
			fmt.Fprintf(w, "  %s\n", tail.Printable(why))
		}
		show(w, "  ", "user", x.User)
	}
	if e.Session {
		fmt.Fprintf(w, "\n%s has sessions: the app is asked about each channel as a client subscribes to it, and not here.\n"+
			"Explain a stream of that channel, to see what the app says: /flows?filter=<channel>, if flowdock is on.\n", e.Endpoint)
		return
	}
	fmt.Fprintf(w, "\nthe client gets %d %s\n", e.Status, http.StatusText(e.Status))
	showHeader(w, e.Header, shownHeaders)
	if e.Opened {
		fmt.Fprintf(w, "  a stream of: %s\n", tail.Printable(strings.Join(e.Listens, ", ")))
		for _, shown := range e.Shown {
			fmt.Fprintf(w, "  presence: %s\n", tail.Printable(shown))
		}
	}
	showText(w, e.Body)
	if e.Unsure {
		fmt.Fprintf(w, "if what stands in front lets it pass; this cannot be told from here\n")
	}
}

func showWebhook(w io.Writer, path string, e *webhook.Explanation) {
	show(w, "", "webhook", path)
	switch verified := "by " + e.Scheme + ": "; {
	case e.Scheme == "none":
		show(w, "", "verified", "no, anybody may post")
	case e.Unverified != "":
		show(w, "", "verified", verified+e.Unverified+"; it would be refused, what follows is for the same payload with a good one")
	default:
		show(w, "", "verified", verified+"good")
	}
	show(w, "", "unreadable", e.Unreadable)
	if e.Challenge {
		show(w, "", "challenge", "the app asks whether somebody is there, and is answered what it wants to hear")
	}
	showMessages(w, e.Messages)
	fmt.Fprintf(w, "\nthe app gets %d %s\n", e.Status, http.StatusText(e.Status))
	show(w, "  ", "Content-Type", e.ContentType)
	showText(w, e.Body)
}

// showMessages shows what a payload holds.
func showMessages(w io.Writer, messages []decode.Message) {
	for i := range messages {
		m := &messages[i]
		fmt.Fprintf(w, "\nmessage %d\n", i+1)
		for _, field := range m.Fields {
			if field.Value == "" {
				field.Value = "nothing there"
			}
			show(w, "  ", field.Name, field.Rule+" -> "+field.Value)
		}
		if m.Dropped != "" {
			show(w, "  ", "dropped", "because "+m.Dropped)
		}
		if m.Unmapped != "" {
			show(w, "  ", "unmapped", m.Unmapped)
		}
		if m.Untimed {
			fmt.Fprintf(w, "  the time cannot be read; that of arrival stands in\n")
		}
		for _, e := range m.Events {
			showEvent(w, &e)
		}
		for _, channel := range m.Poke {
			fmt.Fprintf(w, "  pulls read channel %s\n", tail.Printable(channel))
		}
		for _, r := range m.Revoke {
			if r.Channel == "" {
				r.Channel = "all channels"
			}
			fmt.Fprintf(w, "  the access of user %s to %s is asked for again\n", tail.Printable(r.User), tail.Printable(r.Channel))
		}
	}
}

// showEvent shows an event, and what clients get of it.
func showEvent(w io.Writer, e *event.Event) {
	id := "id " + tail.Printable(e.ID.Text)
	if e.ID.IsZero() {
		id = "without id"
	}
	fmt.Fprintf(w, "  becomes an event in channel %s: %s, %s\n", tail.Printable(e.Channel.Text), id, e.Op)
	for _, name := range []string{"campfire-json", "flowdock-json"} {
		if f, ok := format.ByName(name); ok {
			entry := &event.Entry{At: time.Now().UnixMilli(), Event: *e}
			if text := f.Event(nil, entry, event.Cursor{}); len(text) > 0 {
				show(w, "    ", name, string(bytes.TrimRight(text, "\r\n")))
			}
		}
	}
}

func show(w io.Writer, indent, name, value string) {
	if value != "" {
		fmt.Fprintf(w, "%s%s: %s\n", indent, name, tail.Printable(value))
	}
}

func showHeader(w io.Writer, h http.Header, names []string) {
	for _, name := range names {
		for _, value := range h[name] {
			show(w, "  ", name, value)
		}
	}
}

// showText shows what was sent, as lines of text.
func showText(w io.Writer, text string) {
	for line := range strings.Lines(text) {
		fmt.Fprintf(w, "  | %s\n", tail.Printable(strings.TrimRight(line, "\r\n")))
	}
}
