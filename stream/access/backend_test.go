package access

import (
	"context"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// backend is a scriptable one that records what it was asked.
type backend struct {
	mu       sync.Mutex
	answer   func(q Question) Verdict // default: Allowed
	delay    time.Duration
	asked    []Question
	at       []time.Time
	inFlight int
	peak     int
}

func (b *backend) ask(ctx context.Context, q Question) Verdict {
	b.mu.Lock()
	b.asked, b.at = append(b.asked, q), append(b.at, time.Now())
	b.inFlight++
	b.peak = max(b.peak, b.inFlight)
	delay := b.delay
	b.mu.Unlock()
	defer func() {
		b.mu.Lock()
		b.inFlight--
		b.mu.Unlock()
	}()
	if delay > 0 {
		select {
		case <-time.After(delay):
		case <-ctx.Done():
			return Verdict{}
		}
	}
	b.mu.Lock()
	answer := b.answer
	b.mu.Unlock()
	if answer == nil {
		return Verdict{Outcome: Allowed}
	}
	return answer(q)
}

// now sets what the backend says from now on.
func (b *backend) now(answer func(q Question) Verdict) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.answer = answer
}

func (b *backend) says(v Verdict) { b.now(func(Question) Verdict { return v }) }

func (b *backend) takes(delay time.Duration) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.delay = delay
}

// count is how often it was asked since the last count.
func (b *backend) count() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	n := len(b.asked)
	b.asked, b.at = nil, nil
	return n
}

func (b *backend) highest() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	p := b.peak
	b.peak = 0
	return p
}

// inGate runs the test in a bubble with a clock of its own.
func inGate(t *testing.T, c Config, f func(t *testing.T, g *Gate, b *backend)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		b := &backend{}
		g := New(c, b.ask)
		defer g.Close()
		f(t, g, b)
	})
}

func question(token, channel string) Question {
	return Question{Credential: NewCredential(Input{"token", token}), Channel: channel, Scope: "s"}
}

func check(t *testing.T, g *Gate, q Question, want Outcome, cause Cause) Verdict {
	t.Helper()
	v := g.Check(t.Context(), q)
	if v.Outcome != want || v.Cause != cause {
		t.Fatalf("%s: got %v (%v), want %v (%v)", q.Channel, v.Outcome, v.Cause, want, cause)
	}
	return v
}

func wantAsked(t *testing.T, b *backend, want int) {
	t.Helper()
	if got := b.count(); got != want {
		t.Fatalf("the backend was asked %d times, want %d", got, want)
	}
}

// ends collects what watchers are told.
type ends struct {
	mu     sync.Mutex
	causes []Cause
	at     []time.Time
}

func (e *ends) on(c Cause) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.causes, e.at = append(e.causes, c), append(e.at, time.Now())
}

func (e *ends) told() []Cause {
	e.mu.Lock()
	defer e.mu.Unlock()
	return slices.Clone(e.causes)
}

// open checks and watches, as a stream does.
func open(t *testing.T, g *Gate, q Question, e *ends) *Watcher {
	t.Helper()
	v := check(t, g, q, Allowed, NoCause)
	return g.Watch(q, v, e.on)
}

// pass lets time go by and everything that happens in it happen.
func pass(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}
