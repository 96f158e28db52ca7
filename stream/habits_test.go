package stream

import (
	"context"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/seed-078801ba/sidestream/stream/event"
	"github.com/seed-078801ba/sidestream/stream/log"
	"github.com/seed-078801ba/sidestream/stream/log/memory"
)

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
