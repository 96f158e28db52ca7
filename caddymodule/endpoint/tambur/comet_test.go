package tambur

import (
	"context"
	"net/http/httptest"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/seed-078801ba/sidestream/stream"
	"github.com/seed-078801ba/sidestream/stream/format"
)

// aPoller is a client that polls.
func aPoller(t *testing.T) *poller {
	t.Helper()
	server, h, app := aHub(t)
	s, _ := aSubscriber(t, server, h, app)
	p := &poller{sub: s, reader: server.Hub.NewReader(s.ticket), format: format.Tambur{Channels: "{stream}"}}
	s.attach(p)
	t.Cleanup(func() { p.End(stream.ClientLeft) })
	return p
}

// polls begins a poll, and says what it was answered.
func (p *poller) polls(t *testing.T, ctx, ending context.Context) chan string {
	t.Helper()
	p.mu.Lock()
	before := p.number
	p.mu.Unlock()
	answer := make(chan string, 1)
	go func() {
		w := httptest.NewRecorder()
		p.poll(ctx, ending, w, call{"cb", "1"})
		answer <- w.Body.String()
	}()
	for deadline := time.Now().Add(20 * time.Second); ; runtime.Gosched() {
		p.mu.Lock()
		begun := p.number > before
		p.mu.Unlock()
		if begun {
			return answer
		}
		if time.Now().After(deadline) {
			t.Fatal("the poll has not begun")
		}
	}
}

func TestPollsThatEndEarly(t *testing.T) {
	p := aPoller(t)
	first := p.polls(t, t.Context(), nil)
	second := p.polls(t, t.Context(), nil)
	if got := <-first; got != scriptHead {
		t.Errorf("a poll whose place was taken: %q", got)
	}
	p.Send([]byte(`["a"]`)) // while the second one is held
	if got := <-second; !strings.Contains(got, `cb(1,["a"]);`) {
		t.Errorf("the one that took it: %q", got)
	}

	ctx, cancel := context.WithCancel(t.Context())
	gone := p.polls(t, ctx, nil)
	cancel()
	<-gone
	p.Send([]byte(`["b"]`))
	if got := <-p.polls(t, t.Context(), nil); !strings.Contains(got, `["b"]`) {
		t.Errorf("after one whose client has gone: %q", got)
	}

	ending, end := context.WithCancel(t.Context())
	held := p.polls(t, t.Context(), ending)
	end()
	if got := <-held; got != scriptHead {
		t.Errorf("when the server ends: %q", got)
	}

	held = p.polls(t, t.Context(), nil)
	p.End(stream.ClientLeft)
	if got := <-held; got != scriptHead {
		t.Errorf("when the client has said that it goes: %q", got)
	}
}
