package stream

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/seed-078801ba/sidestream/stream/event"
	"github.com/seed-078801ba/sidestream/stream/log"
	"github.com/seed-078801ba/sidestream/stream/log/memory"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func newHub(t *testing.T, cfg Config, r log.Retention) *Hub {
	t.Helper()
	if cfg.Drain == 0 {
		cfg.Drain = time.Millisecond
	}
	h, err := Open("test", memory.New(r, time.Now), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		if err := h.Close(ctx); err != nil {
			t.Error(err)
		}
	})
	return h
}

// say publishes messages to a channel and returns where they stand.
func say(t *testing.T, h *Hub, channel string, bodies ...string) []event.Receipt {
	t.Helper()
	var b event.Batch
	for _, body := range bodies {
		b.Events = append(b.Events, event.Event{Channel: event.String(channel), ID: event.String(body[:min(len(body), 64)]), Body: body})
	}
	receipts, err := h.Publish(context.Background(), b)
	if err != nil {
		t.Fatal(err)
	}
	return receipts
}

func TestLiveDelivery(t *testing.T) {
	for kind := range kinds {
		t.Run(kind, func(t *testing.T) {
			h := newHub(t, Config{}, log.Retention{})
			say(t, h, "a", "before")
			l, _ := listen(t, h, opening{kind: kind, channels: []string{"a"}})
			if got := l.message(); got != "\n" {
				t.Fatalf("the first thing is %q, not a heartbeat", got)
			}
			say(t, h, "a", "one", "two")
			say(t, h, "b", "elsewhere")
			say(t, h, "a", "three")
			l.expect("a one", "a two", "a three")
		})
	}
}

func TestOrderOverChannels(t *testing.T) {
	h := newHub(t, Config{}, log.Retention{})
	l, _ := listen(t, h, opening{channels: []string{"a", "b", "c"}})
	var want []string
	for i := range 300 {
		ch := string(rune('a' + i%3))
		say(t, h, ch, fmt.Sprint(i))
		want = append(want, fmt.Sprintf("%s %d", ch, i))
	}
	l.expect(want...)
}

// A stream that begins in the past gets what lies between, then what is new,
// whatever lies in memory and what must be read from the log.
func TestResumeWithoutSeam(t *testing.T) {
	for _, window := range []int{1, 10, 1000} {
		for _, channels := range [][]string{{"a"}, {"a", "b"}} {
			t.Run(fmt.Sprintf("window %d, %d channels", window, len(channels)), func(t *testing.T) {
				h := newHub(t, Config{WindowEvents: window}, log.Retention{})
				first := say(t, h, "a", "0")[0].Position
				var want []string
				say1 := func(i int) {
					ch := channels[i%len(channels)]
					say(t, h, ch, fmt.Sprint(i))
					want = append(want, fmt.Sprintf("%s %d", ch, i))
				}
				for i := 1; i < 500; i++ {
					say1(i)
				}
				l, _ := listen(t, h, opening{format: resumable, channels: channels, from: From{Cursor: first.String()}})
				for i := 500; i < 700; i++ {
					say1(i)
				}
				l.expect(want...)
				l2, _ := listen(t, h, opening{channels: channels, from: From{MessageID: "350"}})
				l2.expect(want[350:]...)
			})
		}
	}
}

func TestWhatCannotBeResumed(t *testing.T) {
	h := newHub(t, Config{}, log.Retention{Events: 3})
	old := say(t, h, "a", "1")[0].Position
	for i := 2; i <= 10; i++ {
		say(t, h, "a", fmt.Sprint(i))
	}
	head := h.Head()
	foreign, future, forged := head, head, head
	foreign.Epoch = event.NewEpoch()
	future.Seq += 1000
	forged.Tag++
	for name, c := range map[string]struct{ cursor, reason string }{
		"trimmed": {old.String(), "trimmed"},
		"foreign": {foreign.String(), "epoch-changed"},
		"future":  {future.String(), "epoch-changed"},
		"forged":  {forged.String(), "epoch-changed"},
		"garbage": {"42", "epoch-changed"},
	} {
		t.Run(name, func(t *testing.T) {
			start, err := h.Resolve([]string{"a"}, From{Cursor: c.cursor})
			if err != nil || start.Resume() != "gap;reason="+c.reason || start.Seq != h.Head().Seq {
				t.Fatalf("resume %q at %d, %v", start.Resume(), start.Seq, err)
			}
			l, _ := listen(t, h, opening{format: resumable, channels: []string{"a"}, from: From{Cursor: c.cursor}})
			l.expect("GAP " + c.reason)
			say(t, h, "a", "new "+name)
			l.expect("a new " + name)
		})
	}
	t.Run("oldest", func(t *testing.T) {
		l, _ := listen(t, h, opening{format: resumable, channels: []string{"a"}, from: From{Cursor: old.String(), Oldest: true}})
		l.expect("GAP trimmed")
		if got := l.next(); !strings.HasPrefix(got, "a ") {
			t.Errorf("got %q instead of the oldest message", got)
		}
	})
	t.Run("head", func(t *testing.T) {
		start, _ := h.Resolve([]string{"a"}, From{Cursor: h.Head().String()})
		if start.Resume() != "complete" {
			t.Errorf("a client at the head was told %q", start.Resume())
		}
	})
}

// A client that reads nothing is closed, and nobody else waits for it.
func TestSlowClient(t *testing.T) {
	for kind := range kinds {
		t.Run(kind, func(t *testing.T) {
			h := newHub(t, Config{Lag: Lag{Bytes: 256 << 10, Time: time.Hour}}, log.Retention{Events: 100})
			closed := make(chan Closed, 1)
			slow, _ := listen(t, h, opening{kind: kind, channels: []string{"a"}, onClose: func(c Closed) { closed <- c }})
			quick, _ := listen(t, h, opening{kind: kind, channels: []string{"a"}})
			body := strings.Repeat("x", 8<<10)
			for i := range 1000 { // far more than the kernel takes and the bound allows
				say(t, h, "a", fmt.Sprintf("%d %s", i, body))
				quick.expect(fmt.Sprintf("a %d %s", i, body))
			}
			select {
			case c := <-closed:
				if c.Reason != SlowClient {
					t.Fatalf("closed because of %s", c.Reason)
				}
			case <-time.After(20 * time.Second):
				t.Fatal("the slow client was never closed")
			}
			if slow.drained() && kind != "handler" { // where the server ends the body
				t.Error("the body of the slow client ended as if it were whole")
			}
		})
	}
}

// A client that goes away is noticed, whether it closes both sides or one.
func TestClientGone(t *testing.T) {
	for kind := range kinds {
		for _, way := range []string{"close", "half-close"} {
			t.Run(kind+" "+way, func(t *testing.T) {
				h := newHub(t, Config{}, log.Retention{})
				closed := make(chan Closed, 1)
				l, _ := listen(t, h, opening{kind: kind, channels: []string{"a"}, onClose: func(c Closed) { closed <- c }})
				l.c.Write([]byte("\r\n")) // as Yajl::HttpStream sends behind its head
				say(t, h, "a", "1")
				l.expect("a 1")
				if way == "close" {
					l.c.Close()
				} else {
					l.c.(interface{ CloseWrite() error }).CloseWrite()
				}
				if c := <-closed; c.Reason != ClientGone || c.Events != 1 {
					t.Errorf("closed: %+v", c)
				}
				if n := h.Stats().Streams(); n != 0 {
					t.Errorf("%d streams are counted as open", n)
				}
			})
		}
	}
}

func TestEndAndDrop(t *testing.T) {
	h := newHub(t, Config{}, log.Retention{})
	l, s := listen(t, h, opening{channels: []string{"a", "b"}})
	say(t, h, "a", "1")
	say(t, h, "b", "2")
	l.expect("a 1", "b 2")
	s.Drop("a", Denied)
	s.Drop("x", Denied)
	dropped := make(chan struct{})
	s.shard.post(func() { close(dropped) })
	<-dropped
	say(t, h, "a", "3")
	say(t, h, "b", "4")
	l.expect("b 4")
	s.End(Denied)
	s.End(SlowClient)
	if !l.drained() {
		t.Error("the stream was not ended at the end of a message")
	}
	if closed := h.Stats().Closed[Denied]; closed > 1 {
		t.Errorf("counted %d times", closed)
	}
}

func TestDrain(t *testing.T) {
	for kind := range kinds {
		t.Run(kind, func(t *testing.T) {
			h := newHub(t, Config{Drain: 300 * time.Millisecond}, log.Retention{})
			var open []*listener
			for range 20 {
				l, _ := listen(t, h, opening{kind: kind, channels: []string{"a"}})
				open = append(open, l)
			}
			say(t, h, "a", "last")
			go h.Drain(context.Background())
			for _, l := range open {
				l.expect("a last")
				l.expectBye()
				if !l.drained() {
					t.Error("not ended properly")
				}
				l.c.Close()
			}
			if _, err := h.Publish(context.Background(), event.Batch{}); !errors.Is(err, event.ErrClosed) && err != nil {
				t.Error(err)
			}
		})
	}
}

func TestHeartbeatMovesTheCursor(t *testing.T) {
	h := newHub(t, Config{}, log.Retention{})
	l, _ := listen(t, h, opening{format: resumable, channels: []string{"quiet"}, beat: 200 * time.Millisecond})
	if got := l.message(); got != h.Head().String()+" HEARTBEAT\n" { // of an empty log as well
		t.Fatalf("got %q", got)
	}
	at := say(t, h, "busy", "1")[0].Position
	for {
		if got := l.message(); got == at.String()+" HEARTBEAT\n" {
			return
		} else if !strings.HasSuffix(got, "HEARTBEAT\n") {
			t.Fatalf("got %q", got)
		}
	}
}

func TestLegacyClientIsEndedRatherThanToldOfAGap(t *testing.T) {
	h := newHub(t, Config{}, log.Retention{})
	old, _ := listen(t, h, opening{channels: []string{"a"}})
	asked, _ := listen(t, h, opening{channels: []string{"a"}, from: From{Since: time.Minute}})
	if _, err := h.Publish(context.Background(), event.Batch{Events: []event.Event{
		{Channel: event.String("a"), ID: event.String("1"), Body: "1"},
		{Channel: event.String("a"), Op: event.Gap, Type: string(event.IngestUncertain)},
	}}); err != nil {
		t.Fatal(err)
	}
	say(t, h, "a", "2")
	asked.expect("a 1", "GAP ingest-uncertain", "a 2")
	old.expect("a 1")
	old.expectBye()
	if !old.drained() {
		t.Error("not ended properly")
	}
}

func TestLimits(t *testing.T) {
	h := newHub(t, Config{Limits: Limits{Streams: 4, PerAddress: 2, PerCredential: 3, PerChannel: 3, ChannelsPerStream: 2}}, log.Retention{})
	type client struct {
		Candidate
		channels []string
	}
	claim := func(addr, cred string, channels ...string) client {
		return client{Candidate{Address: netip.MustParseAddr(addr), Credential: cred, Channels: len(channels)}, channels}
	}
	admit := func(c client, want string) *Ticket {
		t.Helper()
		ticket, err := h.Admit(c.Candidate)
		if err == nil {
			if err = ticket.Grant(c.channels...); err != nil {
				ticket.Release()
			}
		}
		got := ""
		var limit *LimitError
		if errors.As(err, &limit) {
			got = limit.Limit
		}
		if got != want {
			t.Errorf("%v: refused by %q, want %q", c, got, want)
		}
		return ticket
	}
	a := admit(claim("2001:db8::1", "x", "a"), "")
	b := admit(claim("2001:db8::2", "x", "a"), "")
	admit(claim("2001:db8::3", "y", "a"), "address") // the same /64
	c := admit(claim("192.0.2.1", "x", "a"), "")
	admit(claim("192.0.2.2", "x", "b"), "credential")
	admit(claim("192.0.2.2", "y", "a"), "channel")
	admit(claim("192.0.2.2", "y", "1", "2", "3"), "channels")
	d := admit(claim("192.0.2.2", "y", "b"), "")
	admit(claim("192.0.2.3", "z", "c"), "streams")
	a.Return("a")
	a.Return("a")
	a.Return("never granted")
	if err := d.Grant("a", "b"); err != nil {
		t.Errorf("a place in a channel was given back: %v", err)
	}
	if err := a.Grant("a"); err == nil {
		t.Error("more are in a channel than may be")
	}
	if err := d.Grant("3"); err == nil {
		t.Error("one stream has more channels than it may have")
	}
	for _, ticket := range []*Ticket{a, b, c, d} {
		ticket.Release()
		ticket.Release()
	}
	ad := h.admissions
	if ad.streams != 0 || len(ad.address)+len(ad.credential)+len(ad.channel) != 0 {
		t.Errorf("left behind: %+v", ad)
	}
}

// What a client presents counts for nobody before it was accepted, and then for
// the user whose it is.
func TestLimitByCredentialCountsWhoTheClientIs(t *testing.T) {
	h := newHub(t, Config{Limits: Limits{PerCredential: 2}}, log.Retention{})
	admit := func(credential string) *Ticket {
		t.Helper()
		ticket, err := h.Admit(Candidate{Credential: credential})
		if err != nil {
			t.Fatalf("%s: %v", credential, err)
		}
		return ticket
	}
	var limit *LimitError
	for range 5 { // somebody who knows the name, and not the password
		defer admit("ann").Release()
	}
	var open []*Ticket
	for i := range 2 { // one user with many tokens
		ticket := admit(fmt.Sprint("token", i))
		ticket.Identify("user 7")
		if err := ticket.Grant("a"); err != nil {
			t.Fatal(err)
		}
		ticket.Identify("user 8") // too late
		open = append(open, ticket)
	}
	third := admit("token3")
	third.Identify("user 7")
	if err := third.Grant("a"); !errors.As(err, &limit) || limit.Limit != "credential" {
		t.Errorf("a third stream of one user: %v", err)
	}
	third.Release()
	open[0].Release()
	again := admit("token4")
	again.Identify("user 7")
	if err := again.Grant(); err != nil {
		t.Errorf("a place was given back: %v", err)
	}
	again.Release()
	open[1].Release()
	if n := len(h.admissions.credential); n != 0 {
		t.Errorf("%d are counted", n)
	}
}

// What stands beside the proof makes no other client, whichever of several parts the
// proof is.
func TestLimitByCredentialCountsEachProof(t *testing.T) {
	h := newHub(t, Config{Limits: Limits{PerCredential: 2}}, log.Retention{})
	open := func(parts ...string) (*Ticket, error) {
		t.Helper()
		ticket, err := h.Admit(Candidate{Credential: strings.Join(parts, "+"), Proofs: parts})
		if err == nil {
			err = ticket.Grant("a")
		}
		return ticket, err
	}
	var all []*Ticket
	for i, parts := range [][]string{{"session", "x1"}, {"session", "x2"}, {"session", "x3"}, {"y", "x1"}, {"z", "x1"}, {"other", "x9"}} {
		ticket, err := open(parts...)
		all = append(all, ticket)
		if full := i == 2 || i == 4; (err != nil) != full {
			t.Errorf("%d: %q: %v", i, parts, err)
		}
	}
	for _, ticket := range all {
		ticket.Release()
	}
	if n := len(h.admissions.credential); n != 0 {
		t.Errorf("%d are counted", n)
	}
}

// Clients about whom the backend is being asked take none of all places.
func TestWhoAsksTakesNoPlace(t *testing.T) {
	h := newHub(t, Config{Limits: Limits{Streams: 1}}, log.Retention{})
	var limit *LimitError
	admit := func() *Ticket {
		t.Helper()
		ticket, err := h.Admit(Candidate{Asking: true})
		if err != nil {
			t.Fatal(err)
		}
		return ticket
	}
	vain, good, late := admit(), admit(), admit()
	if err := good.Grant("a"); err != nil {
		t.Fatal(err)
	}
	if err := late.Grant("a"); !errors.As(err, &limit) || limit.Limit != "streams" {
		t.Errorf("one more than there may be: %v", err)
	}
	if _, err := h.Admit(Candidate{Asking: true}); !errors.As(err, &limit) || limit.Limit != "streams" {
		t.Errorf("asking when all places are taken: %v", err)
	}
	vain.Release()
	good.Release()
	if err := late.Grant("a"); err != nil {
		t.Errorf("a place was given back: %v", err)
	}
	late.Release()
	if h.admissions.streams != 0 {
		t.Errorf("%d places are taken", h.admissions.streams)
	}
}

// Many clients come and go while many publish: each gets a row without holes.
func TestConcurrentUse(t *testing.T) {
	h := newHub(t, Config{WindowEvents: 16}, log.Retention{})
	ctx, stop := context.WithCancel(context.Background())
	var speaking sync.WaitGroup
	quiet := func() { stop(); speaking.Wait() }
	t.Cleanup(quiet) // before the hub is closed, also when the test has failed
	speaking.Go(func() {
		for i := 1; ctx.Err() == nil; i++ {
			say(t, h, "a", fmt.Sprint(i))
		}
	})
	for range 30 {
		l, s := listen(t, h, opening{channels: []string{"a", "b"}})
		var n int
		if _, err := fmt.Sscanf(l.next(), "a %d", &n); err != nil {
			t.Fatal(err)
		}
		for i := 1; i <= 20; i++ {
			l.expect(fmt.Sprintf("a %d", n+i))
		}
		s.End(Denied)
		l.c.Close()
	}
	quiet()
}

func TestInterest(t *testing.T) {
	h := newHub(t, Config{Linger: time.Millisecond}, log.Retention{})
	listen(t, h, opening{channels: []string{"early"}})
	told := make(chan string, 10)
	h.OnInterest(func(channel string, on bool) []<-chan struct{} {
		told <- fmt.Sprint(channel, " ", on)
		ready := make(chan struct{})
		close(ready)
		return []<-chan struct{}{ready}
	})
	l, s := listen(t, h, opening{channels: []string{"a"}})
	for _, want := range []string{"early true", "a true"} {
		if got := <-told; got != want {
			t.Errorf("told %q, want %q", got, want)
		}
	}
	s.End(Denied)
	l.c.Close()
	if got := <-told; got != "a false" { // when it has lingered
		t.Errorf("told %q", got)
	}
}
