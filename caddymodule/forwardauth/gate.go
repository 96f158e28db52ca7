package forwardauth

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/seed-078801ba/sidestream/stream/access"
)

// Gate is where the streams of a hub ask whether they may open and go on. It
// outlives configurations: a stream that was opened under an old one is asked
// for again in the ways of the one that runs. Safe for concurrent use.
type Gate struct {
	*access.Gate

	watch atomic.Pointer[func(access.Question, *Verdict, time.Duration)]

	mu      sync.Mutex
	running any              // the configuration that counts
	auths   map[string]*Auth // its ways of asking, by scope
}

// NewGate makes a gate at which nobody may ask yet.
func NewGate() *Gate {
	return &Gate{Gate: access.New(access.Config{}, nil)}
}

// Running tells whether the configuration is the one that counts, or there is
// none yet.
func (g *Gate) Running(configuration any) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.running == nil || g.running == configuration
}

// Use makes a configuration the one that counts, with one of its ways of
// asking. It is called once for each of them. The configuration is only
// compared.
func (g *Gate) Use(configuration any, a *Auth, times access.Config) {
	g.mu.Lock()
	if g.running != configuration {
		g.running, g.auths = configuration, map[string]*Auth{}
	}
	g.auths[a.scope] = a
	// Where one way is to ask nobody, the times of another one count.
	configure := !a.None() || len(g.auths) == 1
	g.mu.Unlock()
	if configure {
		g.Configure(times, g.ask)
	}
}

// Forget lets go of a configuration that is gone.
func (g *Gate) Forget(configuration any) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.running == configuration {
		g.running, g.auths = nil, nil
	}
}

// ask is the access.Asker.
func (g *Gate) ask(ctx context.Context, q access.Question) access.Verdict {
	a := g.auth(q.Scope)
	if a == nil {
		return access.Verdict{}
	}
	began := time.Now()
	v := a.Ask(ctx, q)
	if watch := g.watch.Load(); watch != nil {
		(*watch)(q, &v, time.Since(began))
	}
	return v.Verdict
}

// Watch has f told of every question that the backend was asked, with the verdict on
// its answer and how long that took. f must not wait.
func (g *Gate) Watch(f func(access.Question, *Verdict, time.Duration)) { g.watch.Store(&f) }

// auth finds the way to ask. If auth was changed by a reload, the streams from
// before are asked about in the new way, where there is only one.
func (g *Gate) auth(scope string) *Auth {
	g.mu.Lock()
	defer g.mu.Unlock()
	if a := g.auths[scope]; a != nil {
		return a
	}
	if len(g.auths) == 1 {
		for _, a := range g.auths {
			return a
		}
	}
	return nil
}
