package access

import (
	"context"
	"fmt"
	"math/rand/v2"
	"runtime"
	"sync"
	"testing"
	"time"
)

// TestConcurrently does everything at once, for the race detector; what it
// holds the gate to is that nothing is left over.
func TestConcurrently(t *testing.T) {
	b := &backend{}
	b.now(func(Question) Verdict {
		return []Verdict{{Outcome: Allowed, User: "u"}, {Outcome: Allowed, User: "u"}, {Outcome: Denied}, {}}[rand.IntN(4)]
	})
	c := Config{Cadence: time.Millisecond, Allowed: time.Millisecond, Denied: time.Millisecond, MaxInFlight: 4, MaxWaiting: 4}
	g := New(c, b.ask)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			var watchers []*Watcher
			for range 2000 {
				q := question(fmt.Sprint(rand.IntN(5)), fmt.Sprint(rand.IntN(5)))
				q.List = rand.IntN(4) == 0
				ctx, cancel := context.WithTimeout(context.Background(), time.Duration(rand.IntN(2))*time.Millisecond)
				v := g.Check(ctx, q)
				cancel()
				switch rand.IntN(8) {
				case 0:
					g.Revoke("u", q.Channel)
				case 1:
					g.Stats()
				case 2:
					if rand.IntN(20) == 0 {
						g.Configure(c, b.ask)
					}
				default:
					if v.Outcome == Allowed {
						watchers = append(watchers, g.Watch(q, v, func(Cause) {}))
					}
				}
			}
			for _, w := range watchers {
				w.Release()
			}
		})
	}
	wg.Wait()
	g.Close()
	if s := g.Stats(); s.Watched != 0 || s.Watchers != 0 || s.InFlight != 0 || s.Waiting != 0 ||
		len(g.asking.flights) != 0 || len(g.watches.later) != 0 || len(g.watches.byChannel) != 0 || len(g.watches.byUser) != 0 {
		t.Errorf("left: %+v", s)
	}
}

func BenchmarkCheckRemembered(b *testing.B) {
	g := New(Config{}, func(context.Context, Question) Verdict { return Verdict{Outcome: Allowed} })
	defer g.Close()
	q := question("a token of some length, as they have", "1")
	g.Check(b.Context(), q)
	b.ReportAllocs()
	for b.Loop() {
		if v := g.Check(b.Context(), q); v.Outcome != Allowed {
			b.Fatal(v.Outcome)
		}
	}
}

func BenchmarkCheckAsked(b *testing.B) {
	g := New(Config{}, func(context.Context, Question) Verdict { return Verdict{Outcome: Allowed, MaxAge: -1} })
	defer g.Close()
	q := question("a token of some length, as they have", "1")
	b.ReportAllocs()
	for b.Loop() {
		g.Check(b.Context(), q)
	}
}

func BenchmarkWatch(b *testing.B) {
	g := New(Config{}, func(context.Context, Question) Verdict { return Verdict{Outcome: Allowed} })
	defer g.Close()
	q := question("a token of some length, as they have", "1")
	v := g.Check(b.Context(), q)
	b.ReportAllocs()
	for b.Loop() {
		g.Watch(q, v, func(Cause) {}).Release()
	}
}

// BenchmarkRechecks is one round of asking again for 10,000 questions.
func BenchmarkRechecks(b *testing.B) {
	g := New(Config{}, func(context.Context, Question) Verdict { return Verdict{Outcome: Allowed} })
	defer g.Close()
	for i := range 10_000 {
		q := question(fmt.Sprint(i), "1")
		g.Watch(q, g.Check(b.Context(), q), func(Cause) {})
	}
	b.ReportAllocs()
	for b.Loop() {
		before := g.Stats().Rechecks
		g.mu.Lock()
		for _, w := range g.watches.byKey {
			g.watches.reschedule(w, time.Now())
		}
		g.mu.Unlock()
		g.nudge()
		for s := g.Stats(); s.Rechecks < before+10_000 || s.InFlight > 0; s = g.Stats() {
			runtime.Gosched()
		}
	}
}
