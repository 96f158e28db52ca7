package caddymodule

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/seed-078801ba/sidestream/stream/access"
)

// gates are the gates of this process, one for each hub name. Like hubs they
// outlive the configurations: a stream that was opened under an old one is
// asked for again by the rules of the one that runs.
var gates = caddy.NewUsagePool()

// pooledGate is a gate, and the handlers that ask for it.
type pooledGate struct {
	*access.Gate
	bad *access.BadCredentials

	mu      sync.Mutex
	joined  map[*App][]*Sidestream // handlers of all configurations that are loaded
	running *App                   // the configuration that counts
	askers  map[string]*asker      // its handlers', by scope
}

// asker puts questions in the way of one handler.
type asker struct {
	auth    *Auth
	backend *backend
	logger  *slog.Logger
	warned  atomic.Int64 // when a failure was last logged as a warning, in Unix seconds
}

// Destruct ends all asking, when no configuration names the hub any more.
func (p *pooledGate) Destruct() error {
	p.Close()
	return nil
}

// scopeOf names a way of asking: the same for all handlers, and after all
// reloads, that ask the same backend in the same way.
func scopeOf(auth *Auth, backend json.RawMessage) (string, error) {
	text, err := json.Marshal(auth)
	if err != nil {
		return "", fmt.Errorf("auth: %w", err)
	}
	sum := sha256.Sum256(slices.Concat(text, []byte{0}, backend))
	return hex.EncodeToString(sum[:]), nil
}

// joinGate gives the handler the gate of its hub.
func (s *Sidestream) joinGate(app *App) error {
	v, _, err := gates.LoadOrNew(s.Hub, func() (caddy.Destructor, error) {
		return &pooledGate{
			Gate: access.New(access.Config{}, nil), bad: access.NewBadCredentials(0, 0, 0),
			joined: map[*App][]*Sidestream{},
		}, nil
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
		if s.hubIsDefault || other.hubIsDefault {
			return fmt.Errorf("two sidestream handlers ask different backends, or in different ways, and would share one history: give each a name of its own, as in `hub support`, or the same one to both if that is meant")
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

func (p *pooledGate) leave(app *App, s *Sidestream) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.joined[app] = slices.DeleteFunc(p.joined[app], func(other *Sidestream) bool { return other == s })
	if len(p.joined[app]) == 0 {
		delete(p.joined, app)
	}
	if p.running == app && p.joined[app] == nil {
		p.running, p.askers = nil, nil
	}
}

// activate makes the handler's configuration the one that asks. It is called
// when the configuration really runs, once for each of its handlers.
func (p *pooledGate) activate(app *App, s *Sidestream) {
	p.mu.Lock()
	if p.running != app {
		p.running, p.askers = app, map[string]*asker{}
	}
	p.askers[s.scope] = &asker{auth: s.Auth, backend: s.backend, logger: s.logger}
	// Where one handler asks nobody, the times of another one count.
	configure := !s.Auth.None || len(p.askers) == 1
	p.mu.Unlock()
	if configure {
		p.Configure(s.Auth.gateConfig(), p.ask)
	}
}

// activateFirst is activate for the first configuration of all, before it runs:
// Caddy may start the servers before our app, and clients that come in between
// must not find that nobody may ask.
func (p *pooledGate) activateFirst(app *App, s *Sidestream) {
	p.mu.Lock()
	first := p.running == nil || p.running == app
	p.mu.Unlock()
	if first {
		p.activate(app, s)
	}
}

// asker finds who may put a question. If auth was changed by a reload, the
// streams from before are asked for in the new way, where there is only one.
func (p *pooledGate) asker(scope string) *asker {
	p.mu.Lock()
	defer p.mu.Unlock()
	if a := p.askers[scope]; a != nil {
		return a
	}
	if len(p.askers) == 1 {
		for _, a := range p.askers {
			return a
		}
	}
	return nil
}

// ask is the gate's access.Asker.
func (p *pooledGate) ask(ctx context.Context, q access.Question) access.Verdict {
	c, ok := q.Origin.(*client)
	a := p.asker(q.Scope)
	if !ok || a == nil {
		return access.Verdict{}
	}
	return a.ask(ctx, q, c)
}

func (a *asker) ask(ctx context.Context, q access.Question, c *client) access.Verdict {
	switch {
	case a.auth.None:
		return access.Verdict{Outcome: access.Allowed}
	case c.credential.isZero() && !a.auth.Anonymous:
		return access.Verdict{Outcome: access.Denied, Cause: access.BadCredential}
	case q.List && a.auth.listPath == nil, q.Channel == "" && !q.List && a.auth.identity == nil:
		return access.Verdict{} // a question of another configuration
	}
	identity := q.Channel == "" && !q.List
	list := a.auth.listPath != nil && !identity
	v, err := a.auth.ask(ctx, a.backend, &question{client: c, channel: q.Channel, list: list})
	if err != nil {
		a.complain(err)
	}
	if list && !q.List && v.Outcome == access.Allowed && !slices.Contains(v.Channels, q.Channel) {
		v.Outcome, v.Cause = access.Denied, access.Forbidden
	}
	return v
}

// complain logs that the backend does not answer, as a warning once in ten
// seconds and at debug level else.
func (a *asker) complain(err error) {
	level, now := slog.LevelDebug, time.Now().Unix()
	if last := a.warned.Load(); now-last >= 10 && a.warned.CompareAndSwap(last, now) {
		level = slog.LevelWarn
	}
	a.logger.Log(context.Background(), level, "the backend did not say who may listen", "error", err)
}
