package caddymodule

import (
	"context"
	"fmt"
	"log/slog"
	"math"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/seed-078801ba/sidestream/caddymodule/endpoint"
	"github.com/seed-078801ba/sidestream/caddymodule/forwardauth"
	"github.com/seed-078801ba/sidestream/stream/event"
	"github.com/seed-078801ba/sidestream/webhook"
)

// Webhook is an address that the backend posts its messages to.
type Webhook struct {
	// Path is the address. A segment in braces is a parameter: `{room}` is
	// known to the mapping as `{path.room}`. Where the secret is part of the
	// path, it is the parameter `{secret}`, or one more segment at the end.
	Path string `json:"path"`

	webhook.Config

	hook   *webhook.Hook
	route  pathRoute
	secret string // the parameter in which the hook looks for the secret, if it does
	places webhook.Places
	counts *webhookCounts
	in     *wayIn
	// secrets are what senders may prove themselves with, to find one that went
	// astray.
	secrets []string
}

// pathRoute is a path whose segments may be parameters.
type pathRoute []routeSegment

// routeSegment is literal text, or a parameter if name is set.
type routeSegment struct{ literal, name string }

func (s *Sidestream) provisionWebhooks(repl *caddy.Replacer) error {
	taken := map[string]bool{}
	for _, h := range s.Webhooks {
		if err := h.provision(repl); err != nil {
			return err
		}
		if taken[h.Path] {
			return fmt.Errorf("webhook %s is given twice", h.Path)
		}
		taken[h.Path] = true
	}
	return nil
}

func (h *Webhook) provision(repl *caddy.Replacer) error {
	var err error
	if h.route, err = parseRoute("webhook", h.Path); err != nil {
		return err
	}
	config := h.Config // the secrets stay unresolved in what is stored
	if config.Secrets, err = resolveSecrets(repl, h.Secrets); err != nil {
		return fmt.Errorf("webhook %s: %w", h.Path, err)
	}
	if h.hook, err = webhook.New(config); err != nil {
		return fmt.Errorf("webhook %s: %w", h.Path, err)
	}
	h.places, h.secrets = h.hook.Secrets(), config.Secrets
	if parameter, ok := h.hook.PathSecret(); ok {
		h.secret = parameter
		for _, segment := range h.route {
			if segment.name == parameter {
				return nil
			}
		}
		h.route = append(h.route, routeSegment{name: parameter})
	}
	return nil
}

// checkRoute refuses what other programs write for a part of a path that may be
// anything: it would be taken as it stands, and no request would have it.
func checkRoute(directive, path string) error {
	switch {
	case strings.HasSuffix(path, "/*"):
		return fmt.Errorf("%s %s: it is one address, and * would be a part of it; write %[1]s %[3]s, or a parameter, as in %[1]s %[3]s/{name}", directive, path, strings.TrimSuffix(path, "/*"))
	case strings.ContainsAny(path, "*^$()[]<>|\\"):
		return fmt.Errorf("%s %s: * and the like would be taken as they stand; a segment that may be anything is a parameter, as in /hooks/{name}", directive, path)
	case strings.Contains(path, "/:"):
		return fmt.Errorf("%s %s: a parameter stands in braces, as in /hooks/{name}", directive, path)
	case strings.Contains(path, "://"):
		return fmt.Errorf("%s %s: write the path alone, as in /hooks/chat", directive, path)
	}
	return nil
}

// parseRoute reads a path whose segments may be parameters, for a directive.
func parseRoute(directive, path string) (pathRoute, error) {
	if err := checkRoute(directive, path); err != nil {
		return nil, err
	}
	plain := strings.NewReplacer("{", "", "}", "").Replace(path)
	if err := endpoint.CheckPath(directive, plain); err != nil {
		return nil, fmt.Errorf("%s: %q is no path of an endpoint; write for example /hooks/chat", directive, path)
	}
	var segments pathRoute
	for segment := range strings.SplitSeq(path[1:], "/") {
		name, isParameter := strings.CutPrefix(segment, "{")
		name, closed := strings.CutSuffix(name, "}")
		switch {
		case isParameter && closed && name != "" && !strings.ContainsAny(name, "{}"):
			segments = append(segments, routeSegment{name: name})
		case strings.ContainsAny(segment, "{}"):
			return nil, fmt.Errorf("%s %s: a parameter must be a whole segment of the path, as in /hooks/{room}", directive, path)
		default:
			segments = append(segments, routeSegment{literal: segment})
		}
	}
	return segments, nil
}

// match tells whether a path is this webhook's, and what its parameters are. If the
// last segment is the secret, it may be missing: that is refused like a wrong one.
func (h *Webhook) match(escaped string) (map[string]string, bool) {
	if !strings.HasPrefix(escaped, "/") {
		return nil, false
	}
	segments := strings.Split(escaped[1:], "/")
	short := len(segments) == len(h.route)-1 && h.secret != "" && h.route[len(h.route)-1].name == h.secret
	if len(segments) != len(h.route) && !short && !(h.hook.Subtree() && len(segments) > len(h.route)) {
		return nil, false
	}
	return h.route.begin(segments)
}

// match tells whether an escaped path is this route, and what its parameters are.
func (r pathRoute) match(escaped string) (map[string]string, bool) {
	if !strings.HasPrefix(escaped, "/") {
		return nil, false
	}
	segments := strings.Split(escaped[1:], "/")
	if len(segments) != len(r) {
		return nil, false
	}
	return r.begin(segments)
}

// begin compares segments with the beginning of the route.
func (r pathRoute) begin(segments []string) (map[string]string, bool) {
	var vars map[string]string
	for i, want := range r {
		if i == len(segments) {
			break
		}
		if want.name == "" {
			if segments[i] != want.literal {
				return nil, false
			}
			continue
		}
		value, err := url.PathUnescape(segments[i])
		if err != nil {
			return nil, false
		}
		if vars == nil {
			vars = make(map[string]string, 2)
		}
		vars[want.name] = value
	}
	return vars, true
}

// shownPath is what logs may show of the address.
func (h *Webhook) shownPath() string {
	var b strings.Builder
	for _, segment := range h.route {
		switch {
		case segment.name == "":
			b.WriteString("/" + segment.literal)
		case slices.Contains(h.places.Path, segment.name):
			b.WriteString("/" + forwardauth.Masked)
		default:
			b.WriteString("/{" + segment.name + "}")
		}
	}
	return b.String()
}

// serveIngest serves webhooks, revocations and the check for load balancers.
// It returns false if the request is for none of them.
func (s *Sidestream) serveIngest(w http.ResponseWriter, r *http.Request) bool {
	escaped := r.URL.EscapedPath()
	for _, h := range s.Webhooks {
		if vars, ok := h.match(escaped); ok {
			shown := s.log.secretFree(r)
			if len(h.places.Path) > 0 {
				shown = h.shownPath()
			}
			w, logged := s.log.maskedAs(w, r, shown)
			defer logged()
			s.serveWebhook(w, r, h, vars)
			return true
		}
	}
	switch {
	case s.Revoke != nil && escaped == s.Revoke.Path:
		w, logged := s.log.masked(w, r)
		defer logged()
		s.revoker.ServeHTTP(w, r)
		return true
	case s.Health != "" && escaped == s.Health:
		serveHealth(w, r, s.app.unhealthy(s.Hub))
		return true
	}
	return false
}

func (s *Sidestream) serveWebhook(w http.ResponseWriter, r *http.Request, h *Webhook, vars map[string]string) {
	w.Header().Set("Cache-Control", "no-store")
	began := time.Now()
	outcome := h.hook.Serve(w, r, vars, h.in)
	h.in.hub.times.webhook.Observe(time.Since(began).Seconds())
	h.counts.add(outcome)
	h.in.hub.tellOutcome(h.in.name, &outcome)
	for _, revocation := range outcome.Revoke {
		_, _ = s.revoke(r.Context(), revocation.User, revocation.Channel) // it has logged the error
	}
	for _, channel := range outcome.Poke {
		s.pooled.Poke(event.Poke{Channel: channel, Why: "a webhook"})
	}
	s.logWebhook(h, &outcome)
}

// interrupted has it noted that senders that do not repeat may have found nobody
// here: while the process was not there, or while Caddy has changed its servers.
func (s *Sidestream) interrupted() {
	for _, h := range s.Webhooks {
		if h.hook.NeverRetries() {
			s.hub.Interrupted(h.in.name)
			s.pooled.Poke(event.Poke{Why: "a webhook was not there for a moment"})
		}
	}
}

// logWebhook writes what the operator has to know of a delivery: what fails, one
// line a second, what cannot be mapped, one a minute, and once that times cannot
// be read. The counts have all.
func (s *Sidestream) logWebhook(h *Webhook, o *webhook.Outcome) {
	if o.Untimed > 0 {
		if _, ok := h.counts.untimable.turn(math.MaxInt64); ok {
			s.logger.Warn("a webhook brings messages whose time cannot be read: the time of their arrival stands in; look at map time, and try it with \"sidestream explain\"",
				"webhook", h.Path)
		}
	}
	var (
		turn  = &h.counts.unmappable
		every = time.Minute
		level = slog.LevelWarn
		text  = "a webhook brought messages that could not be mapped"
		args  = []any{"webhook", h.Path, "reason", o.Reason}
	)
	switch {
	case o.Status >= 500:
		turn, every, level, text = &h.counts.failed, time.Second, slog.LevelError, "a webhook could not be stored"
		args = append(args, "status", o.Status)
	case o.Err != nil:
		turn, every, level, text = &h.counts.refused, time.Second, slog.LevelInfo, "a webhook was refused"
		args = append(args, "status", o.Status)
	case o.Unmapped > 0:
		args = append(args, "messages", o.Unmapped)
	default:
		return
	}
	if times, ok := turn.turn(every); ok {
		s.logger.Log(context.Background(), level, text, append(args, "times", times)...)
	}
}
