package main

import (
	"bytes"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/seed-078801ba/sidestream/caddymodule"
	"github.com/seed-078801ba/sidestream/caddymodule/operator"
	"github.com/seed-078801ba/sidestream/webhook"
)

// sendFlags are the flags of send.
type sendFlags struct {
	server   server
	webhook  string
	headers  []string
	insecure bool
}

func sendCommand() *cobra.Command {
	var f sendFlags
	cmd := &cobra.Command{
		Use:   "send --webhook PATH < sample",
		Short: "Posts a test message to a webhook of the running server, signed as the app signs",
		Long: `
Reads a payload from standard input, signs it as the configuration says, posts it to
the running server, and tells what became of it: the events, where they stand, and
who listens to their channels now. It needs the secrets that the configuration names,
so the same environment as the server.

The message is a real one: clients get it, and the history keeps it. To see what
would become of it without that, use "sidestream explain --webhook".

The exit code is 0 if the webhook was taken, and 1 if not.`,
		Example: `  sidestream send --webhook /hooks/chat < sample.json
  echo '{"room":1,"text":"hello"}' | sidestream send --webhook /hooks/chat`,
		Args: cobra.NoArgs, SilenceUsage: true,
		RunE: func(cmd *cobra.Command, _ []string) error {
			taken, err := send(cmd.InOrStdin(), cmd.OutOrStdout(), &f)
			if err == nil && !taken {
				cmd.SilenceErrors = true
				return errQuiet
			}
			return err
		},
	}
	cmd.Flags().StringVarP(&f.server.config, "config", "c", "", "Configuration file (default: Caddyfile)")
	cmd.Flags().StringVarP(&f.server.adapter, "adapter", "a", "", "Its format, if its name does not say")
	cmd.Flags().StringVar(&f.server.address, "address", "", "Admin API of the running server (default: that of the configuration)")
	cmd.Flags().StringVar(&f.webhook, "webhook", "", "Path or URL of the webhook, without its secret")
	cmd.Flags().StringArrayVarP(&f.headers, "header", "H", nil, "Header that the app sends, as in 'Name: value'; may be repeated")
	cmd.Flags().BoolVar(&f.insecure, "insecure", false, "Take any certificate of the server")
	return cmd
}

// send posts a delivery, and tells what became of it.
func send(in io.Reader, out io.Writer, f *sendFlags) (taken bool, err error) {
	if f.webhook == "" {
		return false, errors.New("say which webhook, as in: --webhook /hooks/chat")
	}
	config, err := adapted(f.server.config, f.server.adapter)
	if err != nil {
		return false, err
	}
	x, err := caddymodule.NewExplainer(config)
	if err != nil {
		return false, err
	}
	defer x.Close()
	if !slices.ContainsFunc(f.headers, func(h string) bool { return strings.HasPrefix(strings.ToLower(h), "content-type:") }) {
		f.headers = append(f.headers, "Content-Type: application/json")
	}
	r, err := requestOf(f.webhook, explainFlags{webhook: f.webhook, headers: f.headers}, x.Sites())
	if err != nil {
		return false, err
	}
	r.Body = io.NopCloser(in)
	to, body, shown, err := x.Sign(r)
	if err != nil {
		return false, fmt.Errorf("%s: %w", r.URL.Path, err)
	}
	to.Scheme, to.Host = "http", r.Host
	if r.TLS != nil {
		to.Scheme = "https"
	}
	since := time.Now()
	status, answer, err := post(to, r.Header, body, f.insecure)
	if err != nil {
		return false, err
	}
	show(out, "", "posted to", shown)
	show(out, "", "answered", fmt.Sprintf("%d %s after %d ms", status, http.StatusText(status), time.Since(since).Milliseconds()))
	if status/100 != 2 {
		fmt.Fprintf(out, "why: see %q\n", "sidestream explain --webhook "+f.webhook+" --last")
		return false, nil
	}
	showText(out, answer)
	e, err := explained(config, f, body, r.Header)
	if err == nil {
		tellListeners(out, f, e)
	}
	return true, err
}

// post sends the delivery to the server.
func post(to *url.URL, header http.Header, body []byte, insecure bool) (status int, answer string, err error) {
	req, err := http.NewRequest(http.MethodPost, to.String(), bytes.NewReader(body))
	if err != nil {
		return 0, "", err
	}
	req.Header = header
	client := &http.Client{Timeout: 30 * time.Second, Transport: &http.Transport{
		TLSClientConfig: &tls.Config{InsecureSkipVerify: insecure}, //nolint:gosec // it was asked for
	}}
	resp, err := client.Do(req)
	if err != nil {
		var failed *url.Error
		if errors.As(err, &failed) { // its text has the address, and so perhaps the secret
			err = failed.Err
		}
		return 0, "", fmt.Errorf("posting to %s: %w", to.Host, err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(io.LimitReader(resp.Body, 64<<10))
	return resp.StatusCode, string(text), err
}

// explained is what becomes of the delivery, by the configuration.
func explained(config []byte, f *sendFlags, body []byte, header http.Header) (*webhook.Explanation, error) {
	x, err := caddymodule.NewExplainer(config)
	if err != nil {
		return nil, err
	}
	defer x.Close()
	r, err := requestOf(f.webhook, explainFlags{webhook: f.webhook}, x.Sites())
	if err != nil {
		return nil, err
	}
	r.Header, r.Body = header, io.NopCloser(bytes.NewReader(body))
	_, e, err := x.Webhook(r)
	return &e, err
}

// tellListeners says which channels the events have gone to, and who listens there.
func tellListeners(out io.Writer, f *sendFlags, e *webhook.Explanation) {
	for i := range e.Messages {
		m := &e.Messages[i]
		if why := m.Unmapped + m.Dropped; why != "" {
			show(out, "", "nothing of it", why)
		}
		for j := range m.Events {
			channel := m.Events[j].Channel.Text
			said := "channel " + channel + ": " + m.Events[j].Op.String()
			var ended operator.Ended
			resp, err := f.server.request(http.MethodDelete, operator.StreamsPath, url.Values{"channel": {channel}, "dry": {""}})
			if err == nil {
				err = json.NewDecoder(resp.Body).Decode(&ended)
				resp.Body.Close()
			}
			if err == nil {
				said += fmt.Sprintf(", streams that listen: %d", ended.Matched)
			}
			show(out, "", "went to", said)
		}
	}
}
