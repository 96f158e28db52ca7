package stream

import (
	"bytes"
	"fmt"
	"io"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/seed-078801ba/sidestream/stream/conn"
	"github.com/seed-078801ba/sidestream/stream/event"
	"github.com/seed-078801ba/sidestream/stream/log"
)

// resolve is Resolve where nothing can go wrong.
func resolve(t testing.TB, h *Hub, channel string, from From) Start {
	t.Helper()
	start, err := h.Resolve([]string{channel}, from)
	if err != nil {
		t.Fatal(err)
	}
	return start
}

// settle waits until the stream's client was given everything.
func settle(t testing.TB, s *Stream) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); ; runtime.Gosched() {
		settled := make(chan bool, 1)
		if !s.shard.post(func() {
			settled <- s.attentive() && s.acts == nil && s.late == 0 && s.pageOf == nil && len(s.page) == 0
		}) || <-settled {
			return
		}
		if time.Now().After(deadline) {
			t.Fatal("the stream does not come to rest")
		}
	}
}

func TestJoinAndLeave(t *testing.T) {
	for kind := range kinds {
		t.Run(kind, func(t *testing.T) {
			h := newHub(t, Config{WindowEvents: 4}, log.Retention{})
			first := say(t, h, "b", "1")[0].Position
			l, s := listen(t, h, opening{kind: kind, format: resumable, standing: true})
			s.Send([]byte("- hello\n"))
			say(t, h, "a", "unheard")
			s.Join("a", resolve(t, h, "a", From{}))
			for i := 2; i < 20; i++ {
				say(t, h, "b", fmt.Sprint(i))
			}
			say(t, h, "a", "heard")
			s.Send([]byte("- now b\n"))
			s.Join("b", resolve(t, h, "b", From{Cursor: first.String()}))
			s.Join("b", resolve(t, h, "b", From{Cursor: first.String()})) // changes nothing
			s.Send([]byte("- b is whole\n"))
			settle(t, s)
			say(t, h, "b", "20")
			l.expect("hello", "a heard", "now b")
			for i := 2; i < 20; i++ {
				l.expect(fmt.Sprintf("b %d", i))
			}
			l.expect("b is whole", "b 20")
			s.Leave("a")
			s.Leave("never joined")
			s.Send([]byte("- a is left\n"))
			settle(t, s)
			say(t, h, "a", "unheard again")
			say(t, h, "b", "21")
			settle(t, s)
			s.Leave("b")
			s.Send([]byte("- alone\n"))
			settle(t, s)
			say(t, h, "b", "22")
			l.expect("a is left", "b 21", "alone")
			s.End(ClientLeft)
			if !l.drained() {
				t.Error("not ended properly")
			}
		})
	}
}

// Whoever joins with a place that is no longer there is told so, of this channel
// alone.
func TestJoinTellsWhatIsMissing(t *testing.T) {
	h := newHub(t, Config{}, log.Retention{Events: 2})
	old := say(t, h, "b", "1")[0].Position
	for i := 2; i < 9; i++ {
		say(t, h, "b", fmt.Sprint(i))
	}
	l, s := listen(t, h, opening{format: resumable, channels: []string{"a"}})
	s.Join("b", resolve(t, h, "b", From{Cursor: old.String(), Oldest: true}))
	l.expect("GAP trimmed", "b 7", "b 8")
	foreign := resolve(t, h, "c", From{})
	foreign.epoch = event.NewEpoch() // an epoch ends between Resolve and Join
	s.Join("c", foreign)
	l.expect("GAP epoch-changed")
	say(t, h, "c", "1")
	say(t, h, "a", "2")
	l.expect("c 1", "a 2")
}

// A stream that has left a channel gets nothing of it, also if it was being read
// from the log in that moment.
func TestLeaveWhileReading(t *testing.T) {
	h := newHub(t, Config{WindowEvents: 1}, log.Retention{})
	first := say(t, h, "a", "0")[0].Position
	for i := 1; i < 20; i++ {
		say(t, h, "a", fmt.Sprintf("a%d", i))
		say(t, h, "b", fmt.Sprintf("b%d", i))
	}
	l, s := listen(t, h, opening{format: resumable, channels: []string{"a", "b"}})
	settle(t, s)
	inShard(s.shard, func() { // as if it had just begun, and asked for a page
		s.cursor, s.state = first.Seq, fetching
		q := fetch{s: s, epoch: s.within, after: s.cursor, subs: 2}
		for i := range s.subs {
			q.channels = append(q.channels, reach{s.subs[i].ch, first.Seq, 0})
		}
		p, missing, err := h.fetchers.read(q)
		s.shard.leave(s, "a")
		s.shard.fetched(q, p, missing, err)
	})
	for i := 1; i < 20; i++ {
		l.expect(fmt.Sprintf("b b%d", i))
	}
}

// A word stands behind the events that came before it, and before those that came
// after it, also for a client that gets them all later.
func TestWordsKeepTheirPlace(t *testing.T) {
	for _, channels := range [][]string{{"a"}, {"a", "b"}} {
		h := newHub(t, Config{}, log.Retention{})
		l, s := listen(t, h, opening{format: resumable, channels: channels})
		settle(t, s)
		inShard(s.shard, func() { s.state = fetching }) // it is kept busy
		word := func(text string) {
			inShard(s.shard, func() { s.shard.act(s, act{word: s.encoding().frame([]byte(text))}) })
		}
		say(t, h, "a", "1", "2")
		word("- one\n")
		word("- two\n")
		say(t, h, "a", "3")
		word("- three\n")
		inShard(s.shard, func() {
			s.state = open
			s.shard.deliver(s)
		})
		l.expect("a 1", "a 2", "one", "two", "a 3", "three")
	}
}

// A page of older events that was read before a channel joined does not lead over
// what that channel says.
func TestJoinBesideAPage(t *testing.T) {
	h := newHub(t, Config{WindowEvents: 1}, log.Retention{})
	first := say(t, h, "a", "0")[0].Position
	say(t, h, "a", "1", "2")
	l, s := listen(t, h, opening{format: resumable, channels: []string{"a"}})
	settle(t, s)
	start := resolve(t, h, "b", From{})
	inShard(s.shard, func() { // as if it had just begun, and asked for a page
		s.cursor, s.state = first.Seq, fetching
		s.shard.act(s, act{join: h.join("b", s.shard.index), start: start})
	})
	say(t, h, "b", "3")
	say(t, h, "a", "4")
	inShard(s.shard, func() {
		q := fetch{s: s, epoch: s.within, after: s.cursor, subs: 1, channels: []reach{{s.subs[0].ch, first.Seq, 0}}}
		p, missing, err := h.fetchers.read(q)
		s.shard.fetched(q, p, missing, err)
	})
	l.expect("a 1", "a 2", "b 3", "a 4")
}

// A connection that takes more again while older events are being read is not
// forgotten.
func TestWritableWhileReading(t *testing.T) {
	h := newHub(t, Config{WindowEvents: 1}, log.Retention{})
	first := say(t, h, "a", "0")[0].Position
	say(t, h, "a", "1", "2")
	c := &taker{}
	s, err := h.Attach(Opening{Conn: c, Spec: &Spec{Format: resumable, Heartbeat: time.Hour}, Channels: []string{"a"}, Start: resolve(t, h, "a", From{})})
	if err != nil {
		t.Fatal(err)
	}
	settle(t, s)
	inShard(s.shard, func() {
		s.cursor, s.state = first.Seq, fetching
		c.full = true
		s.shard.heartbeat(s)
		c.full = false
		s.shard.ready(s, conn.Event{Writable: true})
		q := fetch{s: s, epoch: s.within, after: s.cursor, subs: 1, channels: []reach{{s.subs[0].ch, first.Seq, 0}}}
		p, missing, err := h.fetchers.read(q)
		s.shard.fetched(q, p, missing, err)
		if s.cursor != h.Head().Seq || s.behind != 0 {
			t.Errorf("it stands at %d of %d, and is behind", s.cursor, h.Head().Seq)
		}
	})
}

func TestPrelude(t *testing.T) {
	for kind := range kinds {
		t.Run(kind, func(t *testing.T) {
			h := newHub(t, Config{}, log.Retention{})
			say(t, h, "a", "1")
			l, _ := listen(t, h, opening{
				kind: kind, format: resumable, channels: []string{"a"}, from: From{Cursor: "not ours", Oldest: true},
				prelude: [][]byte{[]byte("- your name is 5\n"), []byte("- and this is yours\n")},
			})
			l.expect("your name is 5", "and this is yours", "GAP epoch-changed", "a 1")
		})
	}
}

// What a client says is heard in order, what came behind its request first.
func TestInput(t *testing.T) {
	for kind := range kinds {
		if kind == "handler" {
			continue // the server reads there
		}
		t.Run(kind, func(t *testing.T) {
			h := newHub(t, Config{}, log.Retention{})
			var heard []byte
			l, _ := listen(t, h, opening{
				kind: kind, format: resumable, standing: true, sent: []byte("before\n"),
				input: func(s *Stream, piece []byte) {
					heard = append(heard, piece...)
					for {
						line, rest, ok := bytes.Cut(heard, []byte("\n"))
						if !ok {
							return
						}
						s.Send(fmt.Appendf(nil, "- you said %s\n", line))
						if string(line) == "nonsense" {
							s.End(BadInput)
						}
						heard = rest
					}
				},
			})
			l.expect("you said before")
			for i := range 100 {
				fmt.Fprintf(l.c, "line %d\n", i)
				l.expect(fmt.Sprintf("you said line %d", i))
			}
			io.WriteString(l.c, "non")
			io.WriteString(l.c, "sense\n")
			l.expect("you said nonsense")
			if !l.drained() {
				t.Error("not ended properly")
			}
		})
	}
}

// A client that takes nothing is not told without end.
func TestWordsHaveABound(t *testing.T) {
	h := newHub(t, Config{Lag: Lag{Bytes: 64 << 10, Time: time.Hour}}, log.Retention{})
	closed := make(chan Closed, 1)
	_, s := listen(t, h, opening{format: resumable, standing: true, onClose: func(c Closed) { closed <- c }})
	word := []byte("- " + strings.Repeat("x", 8<<10) + "\n")
	for deadline := time.Now().Add(20 * time.Second); len(closed) == 0; {
		s.Send(word)
		if time.Now().After(deadline) {
			t.Fatal("it is never ended")
		}
		runtime.Gosched()
	}
	if c := <-closed; c.Reason != SlowClient {
		t.Errorf("closed because of %s", c.Reason)
	}
}

// The way back and forth between being told and asking loses nothing.
func TestStreamBecomesReader(t *testing.T) {
	h := newHub(t, Config{WindowEvents: 4}, log.Retention{})
	closed := make(chan Closed, 1)
	l, s := listen(t, h, opening{format: resumable, channels: []string{"a"}, onClose: func(c Closed) { closed <- c }})
	s.Join("b", resolve(t, h, "b", From{}))
	say(t, h, "a", "1")
	say(t, h, "b", "2")
	l.expect("a 1", "b 2")
	s.End(ClientLeft)
	left := (<-closed).Left
	say(t, h, "b", "3")
	for i := range 10 {
		say(t, h, "a", fmt.Sprintf("4-%d", i))
	}
	r := h.NewReader(nil)
	defer r.Close()
	r.Join("a", left)
	r.Join("b", left)
	taken, err := r.Take(t.Context(), 1)
	if err != nil || len(taken.Entries) != 1 || taken.Entries[0].Body != "3" || !taken.More {
		t.Fatalf("%+v, %v", taken, err)
	}
	r.Done(taken)
	start := r.Start()
	again, _ := listen(t, h, opening{format: resumable, channels: r.Channels(), start: &start})
	for i := range 10 {
		again.expect(fmt.Sprintf("a 4-%d", i))
	}
}
