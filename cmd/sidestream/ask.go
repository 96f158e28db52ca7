package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"

	"github.com/caddyserver/caddy/v2"
	caddycmd "github.com/caddyserver/caddy/v2/cmd"
	"github.com/spf13/cobra"

	"github.com/seed-078801ba/sidestream/cmd/sidestream/tail"
)

// server is the running server that a command asks, over Caddy's admin API.
type server struct {
	address, config, adapter string
	hub                      string
	json                     bool
}

// flags adds the flags that every such command has.
func (s *server) flags(cmd *cobra.Command) {
	cmd.Flags().StringVar(&s.address, "address", "", "Admin API of the running server (default: that of the configuration, or localhost:2019)")
	cmd.Flags().StringVarP(&s.config, "config", "c", "", "Configuration file that says where the admin API is")
	cmd.Flags().StringVarP(&s.adapter, "adapter", "a", "", "Its format, if its name does not say")
	cmd.Flags().StringVar(&s.hub, "hub", "", "Only this hub")
	cmd.Flags().BoolVar(&s.json, "json", false, "Write what the server says, as JSON")
}

// adminAPI is the address of the admin API: the one that was given, or that of the
// configuration.
func (s *server) adminAPI() (string, error) {
	if s.address != "" {
		return s.address, nil
	}
	if s.config == "" {
		if _, err := os.Stat("Caddyfile"); err != nil {
			return caddy.DefaultAdminListen, nil
		}
	}
	config, err := adapted(s.config, s.adapter)
	if err != nil {
		return "", fmt.Errorf("finding the admin API: %w", err)
	}
	var whole struct {
		Admin caddy.AdminConfig `json:"admin"`
	}
	if err := json.Unmarshal(config, &whole); err != nil {
		return "", fmt.Errorf("finding the admin API: reading the configuration: %w", err)
	}
	switch {
	case whole.Admin.Disabled:
		return "", errors.New("the configuration has the admin API off; this command asks it")
	case whole.Admin.Listen == "":
		return caddy.DefaultAdminListen, nil
	}
	return caddy.NewReplacer().ReplaceKnown(whole.Admin.Listen, ""), nil
}

// request sends a request, and returns the answer if it is a good one.
func (s *server) request(method, path string, parameters url.Values) (*http.Response, error) {
	address, err := s.adminAPI()
	if err != nil {
		return nil, err
	}
	if s.hub != "" {
		parameters.Set("hub", s.hub)
	}
	uri := path
	if len(parameters) > 0 {
		uri += "?" + parameters.Encode()
	}
	resp, err := caddycmd.AdminAPIRequest(address, method, uri, nil, nil)
	if err == nil {
		return resp, nil
	}
	// Caddy's client makes a text of an answer that is no good one.
	if _, text, ok := strings.Cut(err.Error(), "HTTP 4"); ok {
		if _, said, ok := strings.Cut(text, ": "); ok {
			var answer struct {
				Error string `json:"error"`
			}
			if json.Unmarshal([]byte(said), &answer) == nil && answer.Error != "" {
				return nil, errors.New(answer.Error)
			}
		}
	}
	return nil, fmt.Errorf("asking the server at %s, which has to run and to have its admin API on: %w", address, err)
}

// ask reads the answer to a request into v, or with --json writes it as it came.
func (s *server) ask(out io.Writer, method, path string, parameters url.Values, v any) (shown bool, err error) {
	resp, err := s.request(method, path, parameters)
	if err != nil {
		return false, err
	}
	defer resp.Body.Close()
	if s.json {
		_, err := io.Copy(out, resp.Body)
		return true, err
	}
	if err := json.NewDecoder(resp.Body).Decode(v); err != nil {
		return false, errors.New("the server's answer is not that of Sidestream; is it of the same version?")
	}
	return false, nil
}

// size is a number of bytes for people.
func size(n int64) string {
	switch {
	case n >= 10<<20:
		return fmt.Sprintf("%d MiB", n>>20)
	case n >= 10<<10:
		return fmt.Sprintf("%d KiB", n>>10)
	}
	return fmt.Sprintf("%d B", n)
}

// cell is a text in a table: printable, and short.
func cell(text string) string {
	text = tail.Printable(text)
	if len([]rune(text)) > 60 {
		text = string([]rune(text)[:59]) + "…"
	}
	if text == "" {
		return "-"
	}
	return text
}
