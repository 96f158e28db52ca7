package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strconv"
	"strings"

	caddycmd "github.com/caddyserver/caddy/v2/cmd"

	"github.com/seed-078801ba/sidestream/caddymodule"
	"github.com/seed-078801ba/sidestream/cmd/sidestream/tail"
	"github.com/seed-078801ba/sidestream/webhook/tap"
)

// runExplainTap shows what taps make of an answer.
func runExplainTap(args []string, f explainFlags, in io.Reader, out io.Writer) (code int, err error) {
	parts := strings.Fields(f.tap)
	if len(parts) != 3 || len(args) > 0 || f.webhook != "" {
		return cannotSay, errors.New("write --tap with a method, a path and a status, as in --tap 'POST /rooms/1/messages.json 201'")
	}
	status, err := strconv.Atoi(parts[2])
	if err != nil || status < 100 || status > 599 {
		return cannotSay, fmt.Errorf("%q is no status; write for example 201", parts[2])
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
	answer := &http.Request{Header: http.Header{}}
	if err := addHeaders(answer, f.headers); err != nil {
		return cannotSay, err
	}
	if answer.Header.Get("Content-Type") == "" {
		answer.Header.Set("Content-Type", "application/json")
	}
	f.headers = nil
	r, err := requestOf(parts[1], f, explainer.Sites())
	if err != nil {
		return cannotSay, err
	}
	r.Method = parts[0]
	if f.request != "" {
		if err := withBody(r, f.request); err != nil {
			return cannotSay, err
		}
	}
	body, err := io.ReadAll(in)
	if err != nil {
		return cannotSay, fmt.Errorf("reading the answer: %w", err)
	}
	e, err := explainer.Tap(r, status, answer.Header, body, f.user)
	if err != nil {
		if errors.Is(err, caddymodule.ErrNotOurs) {
			err = fmt.Errorf("no tap is for it: %w", err)
		}
		return codeOf(err), fmt.Errorf("%s %s: %w", parts[0], r.URL.Path, err)
	}
	w := bufio.NewWriter(out)
	defer w.Flush()
	return showTap(w, &e), nil
}

// withBody makes a file the body of a request: JSON, or a form.
func withBody(r *http.Request, file string) error {
	posted, err := os.ReadFile(file)
	if err != nil {
		return fmt.Errorf("reading the request: %w", err)
	}
	posted = bytes.TrimSpace(posted)
	kind := "application/x-www-form-urlencoded"
	if json.Valid(posted) {
		kind = "application/json"
	}
	r.Header.Set("Content-Type", kind)
	r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(posted)), int64(len(posted))
	return nil
}

// showTap shows what becomes of an answer. It returns the exit code.
func showTap(w io.Writer, e *tap.Explanation) (code int) {
	show(w, "", "tap", e.Route)
	show(w, "", "unread", e.Unread)
	code = isRefused
	for i := range e.Rules {
		r := &e.Rules[i]
		fmt.Fprintf(w, "\nrule %s\n", tail.Printable(r.Name))
		show(w, "  ", "does not count", r.Not)
		if r.Not != "" {
			continue
		}
		show(w, "  ", "pokes", r.Poke)
		if r.Poke != "" && len(r.Messages) > 0 {
			fmt.Fprintf(w, "  and, where nobody reads that channel:\n")
		}
		if r.Revokes {
			fmt.Fprintf(w, "  the app is asked again whether the client may listen\n")
			show(w, "  ", "and about user", r.User)
			show(w, "  ", "in channel", r.Channel)
		}
		showMessages(w, r.Messages)
		for _, m := range r.Messages {
			if m.Unmapped == "" {
				code = isStream
			}
		}
		if r.Revokes || r.Poke != "" {
			code = isStream
		}
	}
	return code
}

// showCoverage asks the running server which way in has brought which part of the
// messages.
func showCoverage(w io.Writer, f explainFlags) error {
	file := f.config
	if file == "" && f.address == "" {
		file = "Caddyfile"
	}
	address, err := caddycmd.DetermineAdminAPIAddress(f.address, nil, file, f.adapter)
	if err != nil {
		return fmt.Errorf("finding the admin API: %w", err)
	}
	resp, err := caddycmd.AdminAPIRequest(address, http.MethodGet, caddymodule.CoveragePath, nil, nil)
	if err != nil {
		return fmt.Errorf("asking the server, which has to run and to have its admin API on: %w", err)
	}
	defer resp.Body.Close()
	var all []caddymodule.HubCoverage
	if err := json.NewDecoder(resp.Body).Decode(&all); err != nil {
		return errors.New("the server's answer is not that of Sidestream; is it of the same version?")
	}
	for i := range all {
		showHubCoverage(w, &all[i])
	}
	return nil
}

func showHubCoverage(w io.Writer, hub *caddymodule.HubCoverage) {
	var total uint64
	for _, way := range hub.Ways {
		total += way.First
	}
	fmt.Fprintf(w, "hub %s: %d messages since it was opened\n", hub.Hub, total)
	if total == 0 {
		return
	}
	percent := func(n uint64) string { return fmt.Sprintf("%.1f %%", 100*float64(n)/float64(total)) }
	for _, way := range hub.Ways {
		fmt.Fprintf(w, "  %s: brought %s, was first with %s, alone with %s\n",
			tail.Printable(way.Way), percent(way.Seen), percent(way.First), percent(way.Alone))
	}
	if len(hub.Untapped) > 0 {
		fmt.Fprintf(w, "  requests that passed to the app, and that no tap is for:\n")
	}
	for _, u := range hub.Untapped {
		fmt.Fprintf(w, "    %d %s\n", u.Count, tail.Printable(u.Shape))
	}
}
