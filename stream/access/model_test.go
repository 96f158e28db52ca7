package access

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"
)

// history is what the backend would have said to a question, and since when.
type history []struct {
	since time.Time
	says  Verdict
}

func (h history) now() Verdict { return h[len(h)-1].says }

// said tells whether the outcome was what the backend would have said at any
// time from then on.
func (h history) said(o Outcome, from time.Time) bool {
	for i, part := range h {
		over := i+1 < len(h) && h[i+1].since.Before(from)
		if part.says.Outcome == o && !over {
			return true
		}
	}
	return false
}

// TestModel lets rights change at random and holds every verdict, and every
// stream that still runs, to what was true lately: a verdict is never older
// than its lifetime, nor than a revocation that concerns it; a stream never
// outlives its right by more than the cadence and five seconds, nor the
// backend's silence by more than the grace.
func TestModel(t *testing.T) {
	// Inside a bubble rapid may not ask for the deadline, so it sees no more of
	// the test than its interface.
	synctest.Test(t, func(t *testing.T) { rapid.Check(struct{ rapid.TB }{t}, runModel) })
}

type stream struct {
	question string
	watcher  *Watcher
	mu       sync.Mutex
	cause    Cause
	ended    time.Time
}

func runModel(t *rapid.T) {
	c := Config{Cadence: 20 * time.Second}.withDefaults()
	var (
		mu        sync.Mutex
		rights    = map[string]history{}
		users     = map[string]string{"a": "ann", "b": "bob", "n": ""}
		revoked   = map[string]time.Time{} // by question
		questions []string
		streams   []*stream
	)
	byName := map[string]Question{}
	for token := range users {
		for _, channel := range []string{"1", "2"} {
			name := token + channel
			byName[name] = question(token, channel)
			questions = append(questions, name)
		}
	}
	set := func(name string, o Outcome) {
		mu.Lock()
		defer mu.Unlock()
		v := Verdict{Outcome: o}
		if o == Allowed {
			v.User = users[name[:1]]
		}
		rights[name] = append(rights[name], struct {
			since time.Time
			says  Verdict
		}{time.Now(), v})
	}
	for _, name := range questions {
		set(name, Allowed)
	}
	b := &backend{}
	b.now(func(q Question) Verdict {
		mu.Lock()
		defer mu.Unlock()
		token, _ := q.Credential.Value("token")
		return rights[token+q.Channel].now()
	})
	g := New(c, b.ask)
	defer g.Close()
	later := func(a, b time.Time) time.Time {
		if a.After(b) {
			return a
		}
		return b
	}
	name := rapid.SampledFrom(questions)
	settleStreams := func() {
		now := time.Now()
		for _, s := range streams {
			s.mu.Lock()
			cause, ended := s.cause, s.ended
			s.mu.Unlock()
			mu.Lock()
			h := rights[s.question]
			mu.Unlock()
			switch cause {
			case NoCause:
				if !h.said(Allowed, now.Add(-c.Cadence-5*time.Second)) && !h.said(Unknown, now.Add(-c.Cadence-c.Cadence/4-5*time.Second)) {
					t.Fatalf("%s is denied and its stream runs", s.question)
				}
				if !h.said(Allowed, now.Add(-c.Cadence-c.Grace-5*time.Second)) {
					t.Fatalf("%s has no verdict and its stream runs", s.question)
				}
			case GraceOver:
				if !h.said(Unknown, ended.Add(-time.Second)) {
					t.Fatalf("%s was ended although the backend answered", s.question)
				}
			default:
				if !h.said(Denied, ended.Add(-5*time.Second)) {
					t.Fatalf("%s was ended (%v) although it was not denied", s.question, cause)
				}
			}
		}
	}
	t.Repeat(map[string]func(*rapid.T){
		"change": func(t *rapid.T) {
			set(name.Draw(t, "question"), Outcome(rapid.IntRange(0, 2).Draw(t, "outcome")))
		},
		"pass": func(t *rapid.T) {
			pass(time.Duration(rapid.IntRange(0, 12_000).Draw(t, "ms")) * time.Millisecond)
		},
		"slow": func(t *rapid.T) {
			b.takes(time.Duration(rapid.IntRange(0, 1500).Draw(t, "ms")) * time.Millisecond)
		},
		"check": func(t *rapid.T) {
			name := name.Draw(t, "question")
			v := g.Check(context.Background(), byName[name])
			now := time.Now()
			lifetime := map[Outcome]time.Duration{Allowed: c.Allowed, Denied: c.Denied, Unknown: c.Timeout + pause}[v.Outcome]
			mu.Lock()
			defer mu.Unlock()
			from := now.Add(-lifetime)
			if v.Outcome == Allowed { // a denial names no user whose rights could have changed
				from = later(from, revoked[name])
			}
			if v.Outcome != Unknown && !rights[name].said(v.Outcome, from) {
				t.Fatalf("%s: %v, which has not been true since %v", name, v.Outcome, now.Sub(from))
			}
			if v.Outcome == Allowed && v.User != users[name[:1]] {
				t.Fatalf("%s: user %q", name, v.User)
			}
		},
		"open": func(t *rapid.T) {
			name := name.Draw(t, "question")
			v := g.Check(context.Background(), byName[name])
			if v.Outcome != Allowed || len(streams) > 50 {
				return
			}
			s := &stream{question: name}
			s.watcher = g.Watch(byName[name], v, func(cause Cause) {
				s.mu.Lock()
				defer s.mu.Unlock()
				if s.cause != NoCause {
					panic(fmt.Sprint("told twice of ", s.question))
				}
				s.cause, s.ended = cause, time.Now()
			})
			streams = append(streams, s)
		},
		"release": func(t *rapid.T) {
			if len(streams) == 0 {
				return
			}
			i := rapid.IntRange(0, len(streams)-1).Draw(t, "stream")
			streams[i].watcher.Release()
			streams = append(streams[:i], streams[i+1:]...)
		},
		"revoke": func(t *rapid.T) {
			who := rapid.SampledFrom([]string{"", "ann", "bob", "eve"}).Draw(t, "user")
			where := rapid.SampledFrom([]string{"", "1", "2"}).Draw(t, "channel")
			g.Revoke(who, where)
			for _, name := range questions {
				user := users[name[:1]]
				if (where == "" || where == name[1:]) && (who == "" || who == user || user == "") {
					revoked[name] = time.Now()
				}
			}
		},
		"": func(*rapid.T) {
			synctest.Wait()
			settleStreams()
		},
	})
	for _, s := range streams {
		s.watcher.Release()
	}
	if n := g.Stats(); n.Watched != 0 || n.Watchers != 0 {
		t.Fatalf("left: %+v", n)
	}
}
