package tambur

import (
	"fmt"
	"log/slog"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/seed-078801ba/sidestream/caddymodule/endpoint"
	"github.com/seed-078801ba/sidestream/caddymodule/forwardauth"
	"github.com/seed-078801ba/sidestream/stream"
	"github.com/seed-078801ba/sidestream/stream/access"
	"github.com/seed-078801ba/sidestream/stream/bus"
	"github.com/seed-078801ba/sidestream/stream/event"
	"github.com/seed-078801ba/sidestream/stream/log"
	"github.com/seed-078801ba/sidestream/stream/log/memory"
	"github.com/seed-078801ba/sidestream/stream/presence"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// aLine is a line that remembers.
type aLine struct {
	mu     sync.Mutex
	sent   []string
	joined []string
	ended  bool
}

func (l *aLine) Send(message []byte) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.sent = append(l.sent, string(message))
}

func (l *aLine) Join(channel string, _ stream.Start) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.joined = append(l.joined, channel)
}

func (l *aLine) Leave(channel string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.joined = slices.DeleteFunc(l.joined, func(name string) bool { return name == channel })
}

func (l *aLine) End(stream.CloseReason) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.ended = true
}

// aHub is a server with a hub, and an app whose streams are open.
func aHub(t *testing.T) (*endpoint.Server, *hub, *application) {
	t.Helper()
	h, err := stream.Open("test", memory.New(log.Retention{}, time.Now), stream.Config{Drain: time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	carrier := bus.NewMemory()
	roster := presence.New(carrier, presence.Config{Grace: -1})
	gate := forwardauth.NewGate()
	t.Cleanup(func() {
		roster.Close()
		carrier.Close()
		gate.Close()
		h.Close(t.Context())
	})
	server := &endpoint.Server{
		Hub: h, Gate: gate, Names: new(event.Names), Bus: carrier, Roster: roster, Lasting: new(endpoint.Lasting), Logger: slog.New(slog.DiscardHandler),
	}
	app := theApp()
	app.rules = &rules{template: "{stream}", open: []string{"*"}}
	all := hubOf(server)
	all.use(new(tambur), server, app)
	return server, all, app
}

func aSubscriber(t *testing.T, server *endpoint.Server, h *hub, app *application) (*subscriber, *aLine) {
	t.Helper()
	s, err := h.admit(new(forwardauth.Client), server, app)
	if err != nil {
		t.Fatal(err)
	}
	l := new(aLine)
	s.attach(l)
	return s, l
}

func (s *subscriber) told(name string, args ...string) string {
	return s.do(command{name, "1", args})
}

// When a connection ends, nothing of it is left, whatever was on.
func TestNothingIsLeftOfASubscriber(t *testing.T) {
	server, h, app := aHub(t)
	s, l := aSubscriber(t, server, h, app)
	for _, mode := range []string{modeAuth, modePresence, modeDirect} {
		if mode == modeAuth {
			s.told("subscribe", "s")
			s.told("set_mode", mode, "s", app.token("wsbot", mode, "s", s.id))
			continue
		}
		if got := s.told("set_mode", mode, "s", "ann", app.token("wsbot", mode, "s:ann", s.id)); got != answerOK {
			t.Fatal(mode, got)
		}
	}
	if want := []string{"s", event.ModeChannel(app.id, modeAuth, "s")}; !slices.Equal(l.joined, want) {
		t.Errorf("joined %v", l.joined)
	}
	if _, there := server.Roster.Channel(event.ModeChannel(app.id, modePresence, "s")); there != 1 {
		t.Errorf("%d are there", there)
	}
	s.close()
	s.close()
	for deadline := time.Now().Add(20 * time.Second); ; runtime.Gosched() {
		h.mu.Lock()
		left := len(h.direct) + len(h.rolls) + len(h.polling)
		h.mu.Unlock()
		_, there := server.Roster.Channel(event.ModeChannel(app.id, modePresence, "s"))
		if left+there == 0 {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("%d are left, %d there", left, there)
		}
	}
	if got := s.told("subscribe", "t"); got == answerOK {
		t.Error("a subscription after the end")
	}
}

// A right that ends takes the modes along, and the client is told.
func TestRightEnds(t *testing.T) {
	server, h, app := aHub(t)
	s, l := aSubscriber(t, server, h, app)
	defer s.close()
	s.told("subscribe", "s")
	s.told("subscribe", "other")
	s.told("set_mode", modeAuth, "s", app.token("wsbot", modeAuth, "s", s.id))
	s.rightEnded("s", access.Forbidden, 1)
	for deadline := time.Now().Add(20 * time.Second); ; runtime.Gosched() {
		l.mu.Lock()
		joined, sent := slices.Clone(l.joined), strings.Join(l.sent, "")
		l.mu.Unlock()
		if slices.Equal(joined, []string{"other"}) && sent == `["ack",0,"access_ended"]` {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("joined %v, told %s", joined, sent)
		}
	}
}

// Commands, direct messages, rights that end and connections that end come at once.
func TestSubscribersAtOnce(t *testing.T) {
	server, h, app := aHub(t)
	var work sync.WaitGroup
	for i := range 8 {
		s, _ := aSubscriber(t, server, h, app)
		user := fmt.Sprint("user ", i%4)
		for range 2 {
			work.Go(func() {
				for range 20 {
					s.told("subscribe", "s")
					s.told("set_mode", modeAuth, "s", app.token("wsbot", modeAuth, "s", s.id))
					s.told("set_mode", modePresence, "s", user, app.token("wsbot", modePresence, "s:"+user, s.id))
					s.told("set_mode", modeDirect, "s", user, app.token("wsbot", modeDirect, "s:"+user, s.id))
					s.told("direct", "s", "user 1", "hello")
					s.told("unset_mode", modePresence, "s")
					s.told("unsubscribe", "s")
				}
			})
		}
		work.Go(func() {
			s.rightEnded("s", access.Forbidden, 0)
			if i%2 == 0 {
				s.close()
			}
		})
		defer s.close()
	}
	work.Wait()
}
