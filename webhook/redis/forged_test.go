package redis

import (
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/rueidis"

	"github.com/seed-078801ba/sidestream/stream/redisconn/redistest"
)

// forger hears everything on the channel of the probes, and answers it with all
// that somebody without the secret can say.
func forger(t *testing.T, addr string) (questions, signals func() int) {
	t.Helper()
	client, err := rueidis.NewClient(rueidis.ClientOption{InitAddress: []string{addr}, DisableCache: true, ForceSingleClient: true})
	if err != nil {
		t.Fatal(err)
	}
	heard := make(chan string, 1024)
	ears, release := client.Dedicate()
	lost := ears.SetPubSubHooks(rueidis.PubSubHooks{OnMessage: func(m rueidis.PubSubMessage) { heard <- m.Message }})
	if err := ears.Do(t.Context(), ears.B().Subscribe().Channel(DefaultProbeChannel).Build()).Error(); err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	asked, came, said := 0, 0, map[string]bool{}
	say := func(text string) {
		said[text] = true
		client.Do(t.Context(), client.B().Publish().Channel(DefaultProbeChannel).Message(text).Build())
	}
	var all sync.WaitGroup
	all.Go(func() {
		for text := range heard {
			if said[text] {
				continue // our own
			}
			parts := strings.Split(text, " ")
			if len(parts) != 9 {
				t.Errorf("a signal is %q", text)
				continue
			}
			mu.Lock()
			came++
			mu.Unlock()
			say(text) // once more
			if parts[1] != askSignal {
				continue
			}
			mu.Lock()
			asked++
			mu.Unlock()
			token := parts[4]
			answer := append([]string(nil), parts...)
			answer[1], answer[3], answer[4], answer[5] = answerSignal, newToken(), newToken(), token
			bare := strings.Join(answer[:8], " ")
			for _, proof := range []string{parts[8], "", strings.Repeat("A", proofLen), proof([]byte("a guess"), bare), proof(nil, bare)} {
				say(bare + " " + proof)
			}
			say(bare)
			say(strings.Join(append([]string{"sidestream1"}, answer[1:7]...), " "))
		}
	})
	t.Cleanup(func() {
		release()
		ears.Close()
		client.Close()
		<-lost
		close(heard)
		all.Wait()
	})
	count := func(n *int) func() int {
		return func() int { mu.Lock(); defer mu.Unlock(); return *n }
	}
	return count(&asked), count(&came)
}

// TestForgedAnswerHidesNoGap: somebody who may publish on the channel of the probes
// cannot talk a node out of telling what was lost, nor out of what it hears.
func TestForgedAnswerHidesNoGap(t *testing.T) {
	server := redistest.Start(t)
	questions, signals := forger(t, server.Addr)
	m := newMemory()
	o := Options{Publisher: m, SharedLog: "test"}
	a := newApp(t, server.Addr)
	first := run(t, rooms(server.Addr, "probe 100ms"), o).connected()
	for i := range 20 { // the same text again and again, and windows that somebody repeats
		a.publish("room:1", "same")
		a.publish("room:1", strconv.Itoa(i))
		if i%5 == 4 {
			seen := signals()
			redistest.Until(t, "another window begins", func() bool { return signals() > seen })
		}
	}
	redistest.Until(t, "all of them are stored", func() bool { return len(m.bodies("1")) == 40 })
	first.end()
	before := m.gaps()
	a.publish("room:1", "lost")
	second := run(t, rooms(server.Addr, "probe 100ms"), o).connected()
	second.Interest("1", true)
	redistest.Until(t, "the gap is told", func() bool { return m.gaps() > before })
	redistest.Until(t, "it listens", second.Connected)
	if questions() < 2 {
		t.Errorf("%d questions were answered", questions())
	}
}

// TestSignalsProveTheirSender is the same without Redis, part by part.
func TestSignalsProveTheirSender(t *testing.T) {
	secret := []byte("one")
	s := signatures{secret: func() []byte { return secret }}
	tok := newToken()
	g := signal{kind: answerSignal, scope: tok, session: tok, token: tok, answers: tok, sent: time.Now().Unix()}
	text, err := s.sign(&g)
	if got, ok := s.open(text); err != nil || !ok || got != g || len(text) > maxSignal {
		t.Fatalf("%q: %v, %v, %v", text, got, ok, err)
	}
	for i := range len(text) {
		changed := []byte(text)
		changed[i] ^= 1
		if _, ok := s.open(string(changed)); ok {
			t.Errorf("with another byte at %d it is taken", i)
		}
	}
	secret = []byte("two")
	if _, ok := s.open(text); ok {
		t.Error("the proof of another secret is taken")
	}
	secret = nil
	if _, ok := s.open(text); ok {
		t.Error("it is taken without a secret")
	}
	if _, err := s.sign(&g); err == nil {
		t.Error("it is signed without a secret")
	}
	var r repeats
	now := time.Unix(g.sent, 0)
	if !r.fresh(&g, now) || r.fresh(&g, now) {
		t.Error("a signal counts not once")
	}
	for i := range 1000 {
		later := now.Add(time.Duration(i) * time.Second)
		r.fresh(&signal{token: newToken(), sent: later.Unix()}, later)
	}
	if len(r.seen) > 400 {
		t.Errorf("%d signals are remembered", len(r.seen))
	}
	old := signal{token: newToken(), sent: now.Add(-2 * signalAge).Unix()}
	if r.fresh(&old, now) {
		t.Error("an old signal counts")
	}
}
