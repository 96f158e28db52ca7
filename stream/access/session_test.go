package access

import (
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"
)

// farewells collects what a session is told.
type farewells struct {
	mu   sync.Mutex
	told []string
}

func (f *farewells) on(channel string, cause Cause, left int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.told = append(f.told, fmt.Sprintf("%s %v %d", channel, cause, left))
}

func (f *farewells) want(t *testing.T, want ...string) {
	t.Helper()
	f.mu.Lock()
	defer f.mu.Unlock()
	if !slices.Equal(f.told, want) {
		t.Errorf("told %q, want %q", f.told, want)
	}
	f.told = nil
}

// What a session listens to grows and shrinks; each channel ends by itself, and
// once.
func TestSessionGrowsAndShrinks(t *testing.T) {
	inGate(t, Config{Cadence: cadence, Allowed: time.Hour}, func(t *testing.T, g *Gate, b *backend) {
		told := &farewells{}
		s := g.NewSession(told.on)
		add := func(channel string) {
			q := question("t", channel)
			s.Add(channel, q, check(t, g, q, Allowed, NoCause))
		}
		add("1")
		add("2")
		add("3")
		add("3") // again
		if n := g.Stats().Watchers; n != 3 || s.Len() != 3 {
			t.Errorf("%d watchers, %d channels", n, s.Len())
		}
		s.Remove("2")
		s.Remove("2")
		s.Remove("never there")
		b.now(func(q Question) Verdict {
			if q.Channel == "1" || q.Channel == "2" {
				return denied()
			}
			return user("ann")
		})
		pass(cadence)
		told.want(t, "1 forbidden 1")
		b.says(user("ann"))
		pass(time.Hour)
		add("1") // it may join again
		b.says(denied())
		pass(cadence)
		told.mu.Lock()
		slices.Sort(told.told)
		told.mu.Unlock()
		if n := len(told.told); n != 2 || s.Len() != 0 {
			t.Errorf("told %q, %d channels are left", told.told, s.Len())
		}
		b.says(user("ann"))
		pass(time.Hour)
		add("4")
		s.Close()
		s.Close()
		s.Add("5", question("t", "5"), Verdict{Outcome: Allowed})
		s.Remove("4")
		if n := g.Stats().Watchers; n != 0 || s.Len() != 0 {
			t.Errorf("%d watchers are left, %d channels", n, s.Len())
		}
	})
}

// A session may be changed by what it is told.
func TestSessionIsChangedByItsEnd(t *testing.T) {
	inGate(t, Config{Cadence: cadence}, func(t *testing.T, g *Gate, b *backend) {
		told := &farewells{}
		var s *Session
		s = g.NewSession(func(channel string, cause Cause, left int) {
			told.on(channel, cause, left)
			s.Remove("2")
			s.Close()
		})
		for _, channel := range []string{"1", "2"} {
			q := question("t", channel)
			s.Add(channel, q, check(t, g, q, Allowed, NoCause))
		}
		b.says(denied())
		pass(cadence)
		if len(told.told) != 1 {
			t.Errorf("told %q", told.told)
		}
	})
}

func TestSessionsConcurrently(t *testing.T) {
	b := &backend{}
	g := New(Config{Cadence: time.Millisecond, Allowed: time.Millisecond}, b.ask)
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			s := g.NewSession(func(string, Cause, int) {})
			for i := range 500 {
				q := question("t", fmt.Sprint(i%7))
				if v := g.Check(t.Context(), q); v.Outcome == Allowed {
					s.Add(q.Channel, q, v)
				}
				s.Remove(fmt.Sprint((i + 3) % 7))
				if i == 250 {
					b.says(denied())
				}
			}
			s.Close()
		})
	}
	wg.Wait()
	g.Close()
	if n := g.Stats().Watchers; n != 0 {
		t.Errorf("%d watchers are left", n)
	}
}
