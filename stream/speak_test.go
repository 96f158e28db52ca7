package stream

import (
	"bytes"
	"context"
	"crypto/sha1"
	"encoding/base64"
	"fmt"
	"io"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/net/websocket"
	"pgregory.net/rapid"

	"github.com/seed-078801ba/sidestream/stream/conn"
	"github.com/seed-078801ba/sidestream/stream/event"
	"github.com/seed-078801ba/sidestream/stream/log"
	"github.com/seed-078801ba/sidestream/stream/log/memory"
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

// webSocket opens a WebSocket to a stream of the hub, with a client that others
// wrote.
func webSocket(t *testing.T, h *Hub, o Opening) (*websocket.Conn, *Stream) {
	t.Helper()
	c, nc := tcpPair(t)
	go func() { // the server's side of the handshake, which is not this package's
		b := make([]byte, 4096)
		n, _ := nc.Read(b)
		_, rest, _ := strings.Cut(string(b[:n]), "Sec-WebSocket-Key: ")
		key, _, _ := strings.Cut(rest, "\r\n")
		fmt.Fprintf(nc, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: %s\r\n\r\n", acceptKey(key))
	}()
	config, err := websocket.NewConfig("ws://localhost/", "http://localhost/")
	if err != nil {
		t.Fatal(err)
	}
	ws, err := websocket.NewClient(config, c)
	if err != nil {
		t.Fatal(err)
	}
	o.Conn = conn.TakeOver(nc, conn.WebSocket, conn.Options{})
	o.Spec, o.Standing = &Spec{Format: resumable, Heartbeat: time.Hour}, true
	s, err := h.Attach(o)
	if err != nil {
		t.Fatal(err)
	}
	return ws, s
}

func TestWebSocketStream(t *testing.T) {
	h := newHub(t, Config{}, log.Retention{})
	plain, _ := listen(t, h, opening{format: resumable, channels: []string{"a"}})
	ws, s := webSocket(t, h, Opening{Prelude: [][]byte{[]byte("- hello\n")}})
	next := func() string {
		t.Helper()
		ws.SetReadDeadline(time.Now().Add(20 * time.Second))
		for {
			var m string
			if err := websocket.Message.Receive(ws, &m); err != nil {
				return err.Error()
			}
			if !strings.HasSuffix(m, "HEARTBEAT\n") {
				_, m, _ = strings.Cut(m, " ")
				return m
			}
		}
	}
	s.Join("a", resolve(t, h, "a", From{}))
	settle(t, s)
	long := strings.Repeat("x", 70_000)
	say(t, h, "a", "1", long)
	plain.expect("a 1", "a "+long)
	for _, want := range []string{"hello\n", "a 1\n", "a " + long + "\n"} {
		if got := next(); got != want {
			t.Fatalf("got %.100q, want %.100q", got, want)
		}
	}
	s.SendRaw(conn.AppendWebSocket(nil, conn.PingFrame, []byte("are you there")))
	h.Drain(context.Background())
	var raw []byte
	for {
		frame, err := nextFrame(ws)
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.HasSuffix(frame, []byte("HEARTBEAT\n")) { // its first may come at any time
			raw = append(raw, frame...)
		}
	}
	if want := "\x89\x0dare you there\x81\x04BYE\n\x88\x0f\x03\xe9shutting-down"; string(raw) != want {
		t.Errorf("at the end: %q, want %q", raw, want)
	}
}

// acceptKey is the server's proof that it speaks the protocol (RFC 6455, 4.2.2).
func acceptKey(key string) string {
	sum := sha1.Sum([]byte(key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"))
	return base64.StdEncoding.EncodeToString(sum[:])
}

// nextFrame is the next frame that the client has not read, with its header.
func nextFrame(ws *websocket.Conn) ([]byte, error) {
	frame, err := ws.NewFrameReader()
	if err != nil {
		return nil, err
	}
	head, err := io.ReadAll(frame.HeaderReader())
	if err != nil {
		return nil, err
	}
	payload, err := io.ReadAll(frame)
	return append(head, payload...), err
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

// The oracle: what a client of random habits gets is exactly what was said in the
// channels while it was in them, in the order of the log, and once.
func TestRandomHabits(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		names := []string{"/a/1", "/a/2", "/a/b/1", "/c"}
		patterns := []string{"/a/*", "/a/**", "/a/b/*"}
		h, err := Open("test", memory.New(log.Retention{}, time.Now), Config{Drain: time.Millisecond, WindowEvents: rapid.IntRange(10, 16).Draw(rt, "window")})
		if err != nil {
			t.Fatal(err)
		}
		defer h.Close(context.Background())
		var said []event.Entry // everything, by position
		joined := map[string]bool{}
		in := map[string]int{} // patterns, and how much was said before they joined
		hears := func(channel string) bool {
			for p := range in {
				if pattern, _ := ParsePattern(p); pattern.Matches(channel) {
					return true
				}
			}
			return joined[channel]
		}
		var want []string
		kind := rapid.SampledFrom([]string{"socket", "goroutine", "handler"}).Draw(rt, "kind")
		closed := make(chan Closed, 1)
		open := func(o opening) (*listener, *Stream) {
			o.kind, o.format, o.standing, o.onClose = kind, resumable, true, func(c Closed) { closed <- c }
			return listen(t, h, o)
		}
		l, s := open(opening{})
		words := 0
		check := func() {
			settle(t, s)
			l.expect(want...)
			want = nil
		}
		publish := func(channel string) {
			body := fmt.Sprint(len(said) + 1)
			say(t, h, channel, body)
			said = append(said, event.Entry{Seq: uint64(len(said) + 1), Event: event.Event{Channel: event.String(channel), Body: body}})
		}
		rt.Repeat(map[string]func(*rapid.T){
			"say": func(rt *rapid.T) {
				for range rapid.IntRange(1, 8).Draw(rt, "times") {
					channel := rapid.SampledFrom(names).Draw(rt, "channel")
					publish(channel)
					if hears(channel) {
						want = append(want, channel+" "+said[len(said)-1].Body)
					}
				}
			},
			"join": func(rt *rapid.T) {
				channel := rapid.SampledFrom(names).Draw(rt, "channel")
				at := len(said)
				from := From{}
				if back := rapid.IntRange(0, 20).Draw(rt, "back"); back > 0 && back <= len(said) {
					at = len(said) - back
					c, err := h.cursorOf(uint64(at), h.Head().Epoch)
					if err != nil {
						rt.Fatal(err)
					}
					from.Cursor = c.String()
				}
				s.Join(channel, resolve(t, h, channel, from))
				if joined[channel] {
					return
				}
				joined[channel] = true
				had := len(said)
				for p, since := range in {
					if pattern, _ := ParsePattern(p); pattern.Matches(channel) {
						had = min(had, since)
					}
				}
				for _, e := range said[min(at, had):had] {
					if e.Channel.Text == channel {
						want = append(want, channel+" "+e.Body)
					}
				}
				settle(t, s) // or what is said next may come before
			},
			"joinPattern": func(rt *rapid.T) {
				p, err := ParsePattern(rapid.SampledFrom(patterns).Draw(rt, "pattern"))
				if err != nil {
					rt.Fatal(err)
				}
				s.JoinPattern(p)
				if _, ok := in[p.String()]; !ok {
					in[p.String()] = len(said)
				}
				settle(t, s)
			},
			"leave": func(rt *rapid.T) {
				name := rapid.SampledFrom(append(names, patterns...)).Draw(rt, "name")
				settle(t, s)
				s.Leave(name)
				delete(joined, name)
				delete(in, name)
				settle(t, s)
			},
			"send": func(rt *rapid.T) {
				words++
				s.Send(fmt.Appendf(nil, "- word %d\n", words))
				want = append(want, fmt.Sprintf("word %d", words))
			},
			"reconnect": func(rt *rapid.T) {
				check()
				if !rapid.Bool().Draw(rt, "badly") {
					s.End(ClientLeft)
					l.drained()
				}
				l.c.Close()
				left := (<-closed).Left
				in = map[string]int{}
				var channels []string
				for _, name := range names {
					if !joined[name] {
						continue
					}
					channels = append(channels, name)
				}
				for range rapid.IntRange(0, 10).Draw(rt, "missed") {
					channel := rapid.SampledFrom(names).Draw(rt, "channel")
					publish(channel)
					if joined[channel] {
						want = append(want, channel+" "+said[len(said)-1].Body)
					}
				}
				l, s = open(opening{channels: channels, start: &left})
				settle(t, s)
			},
			"": func(*rapid.T) { check() },
		})
		l.c.Close()
		<-closed
	})
}

// The same, with nobody waiting for anybody: words mark where the client joined
// and left.
func TestJoinAndLeaveWhileManySpeak(t *testing.T) {
	for _, kind := range []string{"socket", "tls", "goroutine", "handler"} {
		t.Run(kind, func(t *testing.T) {
			h := newHub(t, Config{WindowEvents: 64, Lag: Lag{Bytes: 64 << 20, Time: time.Hour}}, log.Retention{})
			channels := []string{"/a/1", "/a/2", "/a/3"}
			ctx, stop := context.WithCancel(context.Background())
			var speaking sync.WaitGroup
			quiet := func() { stop(); speaking.Wait() }
			t.Cleanup(quiet) // before the hub is closed, also when the test has failed
			for _, channel := range channels {
				speaking.Go(func() {
					for i := 1; ctx.Err() == nil; i++ {
						say(t, h, channel, fmt.Sprint(i))
						runtime.Gosched()
					}
				})
			}
			l, s := listen(t, h, opening{kind: kind, format: resumable, standing: true})
			pattern, _ := ParsePattern("/a/**")
			const rounds = 60
			speaking.Go(func() {
				s.Join("/a/3", resolve(t, h, "/a/3", From{}))
				for i := range rounds {
					channel := channels[i%2]
					s.Send(fmt.Appendf(nil, "- join %s\n", channel))
					s.Join(channel, resolve(t, h, channel, From{Since: time.Duration(i%3) * time.Millisecond}))
					if i%5 == 0 {
						s.JoinPattern(pattern)
					}
					for head := h.Head().Seq; h.Head().Seq < head+20 && ctx.Err() == nil; runtime.Gosched() {
					}
					s.Leave(pattern.String())
					s.Leave(channel)
					s.Send(fmt.Appendf(nil, "- left %s\n", channel))
				}
				s.Send([]byte("- done\n"))
			})
			last, inside, total := map[string]int{}, "", 0
			for {
				m := l.next()
				if m == "done" {
					break
				}
				if to, ok := strings.CutPrefix(m, "join "); ok {
					inside, last[to] = to, 0
					continue
				}
				if strings.HasPrefix(m, "left ") {
					inside = ""
					continue
				}
				channel, body, _ := strings.Cut(m, " ")
				n := 0
				fmt.Sscan(body, &n)
				if channel != "/a/3" && inside == "" {
					t.Fatalf("%q came when its channel was left", m)
				}
				if before := last[channel]; before != 0 && n != before+1 && (channel == inside || channel == "/a/3") {
					t.Fatalf("%q came behind %d", m, before)
				}
				last[channel] = n
				total++
			}
			quiet()
			if total < rounds {
				t.Errorf("only %d events came", total)
			}
		})
	}
}
