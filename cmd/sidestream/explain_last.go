package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	caddycmd "github.com/caddyserver/caddy/v2/cmd"

	"github.com/seed-078801ba/sidestream/caddymodule"
	"github.com/seed-078801ba/sidestream/cmd/sidestream/tail"
)

// showLast asks the running server for the last deliveries that were refused or
// could not be mapped, and shows them. An empty path stands for all webhooks.
func showLast(w io.Writer, f explainFlags, path string) error {
	if u, err := url.Parse(path); err == nil {
		path = u.Path // of a whole URL
	}
	file, config := f.config, []byte(nil)
	if file == "" && f.address == "" {
		file = "Caddyfile"
	}
	address, err := caddycmd.DetermineAdminAPIAddress(f.address, config, file, f.adapter)
	if err != nil {
		return fmt.Errorf("finding the admin API: %w", err)
	}
	uri := caddymodule.LastPath
	if path != "" {
		uri += "?webhook=" + url.QueryEscape(path)
	}
	resp, err := caddycmd.AdminAPIRequest(address, http.MethodGet, uri, nil, nil)
	if err != nil {
		return fmt.Errorf("asking the server, which has to run and to have its admin API on: %w", err)
	}
	defer resp.Body.Close()
	var all []caddymodule.LastDelivery
	if err := json.NewDecoder(resp.Body).Decode(&all); err != nil {
		return errors.New("the server's answer is not that of Sidestream; is it of the same version?")
	}
	if len(all) == 0 {
		fmt.Fprintln(w, "no delivery of the last hour was refused for what it holds, or could not be mapped")
	}
	for i := range all {
		showDelivery(w, &all[i])
	}
	return nil
}

func showDelivery(w io.Writer, d *caddymodule.LastDelivery) {
	show(w, "", "webhook", d.Webhook+" of hub "+d.Hub)
	show(w, "  ", "at", d.At.Local().Format(time.RFC3339))
	from := "verified: it is from the app"
	if !d.Verified {
		from = "not verified: anybody may have sent it"
	}
	fmt.Fprintf(w, "  %s\n", from)
	show(w, "  ", "answered", fmt.Sprintf("%d %s", d.Status, http.StatusText(d.Status)))
	show(w, "  ", "because", d.Reason)
	show(w, "  ", "Content-Type", d.ContentType)
	show(w, "  ", "headers", strings.Join(d.Headers, ", "))
	size := fmt.Sprintf("%d bytes", d.Size)
	if len(d.Body) < d.Size {
		size += ", of which this is the beginning, or secrets are masked"
	}
	fmt.Fprintf(w, "  body: %s\n", size)
	for line := range strings.Lines(d.Body) {
		fmt.Fprintf(w, "  | %s\n", tail.Printable(strings.TrimRight(line, "\r\n")))
	}
	fmt.Fprintln(w)
}
