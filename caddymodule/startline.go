package caddymodule

import (
	"maps"
	"slices"
	"strings"

	"github.com/seed-078801ba/sidestream/caddymodule/version"
)

// sayWhatRuns writes one line for each hub: what it keeps where, how messages come in,
// who can listen, and who is asked about it. It has no secrets.
func (a *App) sayWhatRuns() {
	logger := a.ctx.Slogger()
	for _, name := range slices.Sorted(maps.Keys(a.tenancies)) {
		t := a.tenancies[name]
		ways, listens, asks := map[string]bool{}, map[string]bool{}, map[string]bool{}
		for _, s := range t.handlers() {
			for _, h := range s.Webhooks {
				ways["webhook "+h.shownPath()] = true
			}
			for endpoint := range s.Endpoints.kinds() {
				listens[endpoint] = true
			}
			asks[s.whoIsAsked()] = true
		}
		for _, way := range t.pulls {
			ways["pull "+way.name] = true
		}
		for _, source := range t.sources {
			ways["redis "+source.Load().Name()] = true
		}
		logger.Info("a hub is open", "hub", name, "version", version.String(), "store", t.history.shown(), "head", t.hub.Head().String(),
			"ways_in", sortedList(ways), "endpoints", sortedList(listens), "asks", sortedList(asks))
	}
}

func sortedList(set map[string]bool) string {
	return strings.Join(slices.Sorted(maps.Keys(set)), ", ")
}

// handlers are those of the configuration that name the hub.
func (t *tenancy) handlers() []*Sidestream {
	if t.gate == nil {
		return nil
	}
	t.gate.mu.Lock()
	defer t.gate.mu.Unlock()
	for _, handlers := range t.gate.joined {
		if len(handlers) > 0 && handlers[0].app.tenancies[handlers[0].Hub] == t {
			return slices.Clone(handlers)
		}
	}
	return nil
}

// whoIsAsked says in words who decides about access.
func (s *Sidestream) whoIsAsked() string {
	if s.Auth.None {
		return "nobody: everybody may listen"
	}
	method, uri := s.Auth.Method, s.Auth.URI
	if method == "" {
		method = "GET"
	}
	if uri == "" {
		uri = "as preset " + s.Auth.Preset + " does"
	}
	return strings.TrimSpace(method + " " + uri + " at " + strings.Join(s.upstreams, ", "))
}
