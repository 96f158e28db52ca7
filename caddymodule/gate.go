package caddymodule

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
	"sync"

	"github.com/caddyserver/caddy/v2"

	"github.com/seed-078801ba/sidestream/caddymodule/forwardauth"
)

// gates are the gates of this process, one for each hub name. Like hubs they
// outlive the configurations: a stream that was opened under an old one is
// asked about again by the rules of the one that runs.
var gates = caddy.NewUsagePool()

// pooledGate is a gate, and the handlers that ask for it.
type pooledGate struct {
	*forwardauth.Gate

	refusals refusals

	mu     sync.Mutex
	joined map[*App][]*Sidestream // handlers of all configurations that are loaded
}

// refusals counts requests for streams that were refused, by the status of the
// answer. The zero value is ready to use.
type refusals struct {
	mu       sync.Mutex
	byStatus map[int]uint64
}

func (r *refusals) add(status int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.byStatus == nil {
		r.byStatus = map[int]uint64{}
	}
	r.byStatus[status]++
}

// counts is a copy of what was counted. The usual statuses are in it from the start, so
// that the first refusal is seen as an increase.
func (r *refusals) counts() map[int]uint64 {
	n := map[int]uint64{
		http.StatusUnauthorized: 0, http.StatusForbidden: 0, http.StatusNotFound: 0,
		http.StatusTooManyRequests: 0, http.StatusServiceUnavailable: 0,
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	maps.Copy(n, r.byStatus)
	return n
}

// Destruct ends all asking, when no configuration names the hub any more.
func (p *pooledGate) Destruct() error {
	p.Close()
	return nil
}

// joinGate gives the handler the gate of its hub.
func (s *Sidestream) joinGate(app *App) error {
	v, _, err := gates.LoadOrNew(s.Hub, func() (caddy.Destructor, error) {
		return &pooledGate{Gate: forwardauth.NewGate(), joined: map[*App][]*Sidestream{}}, nil
	})
	if err != nil {
		return fmt.Errorf("opening the gate of hub %q: %w", s.Hub, err)
	}
	s.gate, s.app = v.(*pooledGate), app
	return s.gate.join(app, s)
}

// leaveGate undoes joinGate, also one that failed.
func (s *Sidestream) leaveGate() error {
	if s.gate == nil {
		return nil
	}
	s.gate.leave(s.app, s)
	s.gate = nil
	_, err := gates.Delete(s.Hub)
	return err
}

// join refuses handlers of one configuration that cannot share a hub.
func (p *pooledGate) join(app *App, s *Sidestream) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, other := range p.joined[app] {
		if other.scope == s.scope {
			continue
		}
		if (s.hubIsDefault || other.hubIsDefault) && !s.asksTheSame(other) {
			return fmt.Errorf("two sidestream handlers ask different backends, or in different ways, or under the names of different sites, and would share one history: give each a name of its own, as in `hub support`, or the same one to both if that is meant")
		}
		if other.Auth.None || s.Auth.None {
			continue
		}
		if other.Auth.gateConfig() != s.Auth.gateConfig() {
			return fmt.Errorf("hub %q: two handlers give auth different times or limits: make cache, negative, recheck, grace, timeout and max_in_flight the same", s.Hub)
		}
	}
	p.joined[app] = append(p.joined[app], s)
	return nil
}

// asksTheSame tells whether two handlers are two ways to one app: they ask the
// same backend in the same way, and at most one of them under the name of its
// site. Two names could be two tenants.
func (s *Sidestream) asksTheSame(other *Sidestream) bool {
	return s.way == other.way && (s.siteName == "" || other.siteName == "" || s.siteName == other.siteName)
}

func (p *pooledGate) leave(app *App, s *Sidestream) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.joined[app] = slices.DeleteFunc(p.joined[app], func(other *Sidestream) bool { return other == s })
	if len(p.joined[app]) == 0 {
		delete(p.joined, app)
		p.Forget(app)
	}
}

// activate makes the handler's configuration the one that asks. It is called
// when the configuration really runs, once for each of its handlers.
func (p *pooledGate) activate(app *App, s *Sidestream) {
	p.Use(app, s.auth, s.Auth.gateConfig())
	for _, auth := range s.objectAuths {
		p.Use(app, auth, s.Auth.gateConfig())
	}
}

// activateFirst is activate for the first configuration of all, before it runs:
// Caddy may start the servers before our app, and clients that come in between
// must not find that nobody may ask.
func (p *pooledGate) activateFirst(app *App, s *Sidestream) {
	if p.Running(app) {
		p.activate(app, s)
	}
}
