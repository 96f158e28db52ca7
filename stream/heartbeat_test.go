package stream

import (
	"runtime"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/seed-078801ba/sidestream/stream/conn"
	"github.com/seed-078801ba/sidestream/stream/log"
)

// taker takes everything, and knows for how long it was given nothing, by the clock
// of its shard.
type taker struct {
	sh      *shard
	at      int64
	silence int64 // the longest
	times   int
	full    bool // it takes nothing now
}

func (c *taker) Watch(*conn.Poller, conn.Token) error { return nil }
func (c *taker) Write(bufs [][]byte) (n int, err error) {
	if c.full {
		return 0, nil
	}
	for _, b := range bufs {
		n += len(b)
	}
	if c.sh != nil {
		c.silence = max(c.silence, c.sh.clock-c.at)
		c.at = c.sh.clock
	}
	c.times++
	return n, nil
}
func (c *taker) Read(func([]byte)) bool { return false }
func (c *taker) Framing() conn.Framing  { return conn.Chunked }
func (c *taker) Kind() conn.Kind        { return conn.Epoll }
func (c *taker) Finish()                {}
func (c *taker) Close()                 {}

// Whatever is said in its channel and whenever, no client hears nothing for longer
// than its period and a tick; and who was just told something has no heartbeat on
// top of it.
func TestSilenceHasABound(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		h := newHub(t, Config{}, log.Retention{})
		period := time.Duration(rapid.IntRange(1, 40).Draw(rt, "ticks")) * tick
		spec := &Spec{Format: legacy, Heartbeat: period}
		var clients []*taker
		var streams []*Stream
		for range rapid.IntRange(1, 30).Draw(rt, "streams") {
			c := &taker{}
			s, err := h.Attach(Opening{Conn: c, Spec: spec, Channels: []string{"a"}, Start: resolve(t, h, "a", From{})})
			if err != nil {
				t.Fatal(err)
			}
			settle(t, s)
			clients, streams = append(clients, c), append(streams, s)
		}
		sh := streams[0].shard
		every := rapid.IntRange(0, 60).Draw(rt, "a message every so many ticks")
		inShard(sh, func() {
			start := sh.clock
			for i, c := range clients {
				c.sh, c.at, streams[i].wrote = sh, start, start
			}
			for _, w := range sh.beats {
				w.at = start
			}
			for n := int64(1); n < 200; n++ {
				sh.clock = start + n*int64(tick)
				if every > 0 && n%int64(every) == 0 {
					for _, s := range streams {
						sh.write(s, []byte("a message"))
					}
				}
				before := 0
				for _, c := range clients {
					before += c.times
				}
				for _, w := range sh.beats {
					sh.beatWheel(w, sh.clock)
				}
				for i, c := range clients {
					if silence := max(c.silence, sh.clock-c.at); silence > int64(period+tick) {
						rt.Fatalf("stream %d has heard nothing for %s, its period is %s", i, time.Duration(silence), period)
					}
				}
			}
			if every == 1 && period > 8*tick {
				for i, c := range clients {
					if c.times > 200+3 {
						rt.Errorf("stream %d was written to %d times for 200 messages", i, c.times)
					}
				}
			}
		})
		for _, s := range streams {
			s.End(ClientLeft)
		}
	})
}

// A shard that is busy lets those run who bring the next messages. Counted on one
// processor: how often somebody else ran who gives way at once.
func TestBusyShardLetsOthersRun(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	h := newHub(t, Config{}, log.Retention{})
	spec := &Spec{Format: legacy, Heartbeat: time.Hour}
	const turns = 10
	var last *Stream
	for range turns * yieldEvery {
		s, err := h.Attach(Opening{Conn: &taker{}, Spec: spec, Channels: []string{"a"}, Start: resolve(t, h, "a", From{})})
		if err != nil {
			t.Fatal(err)
		}
		last = s
	}
	settle(t, last)
	ran := 0
	inShard(last.shard, func() {
		stop, stopped := make(chan struct{}), make(chan struct{})
		go func() {
			defer close(stopped)
			for {
				select {
				case <-stop:
					return
				default:
					ran++
					runtime.Gosched()
				}
			}
		}()
		last.shard.fanOut(last.subs[0].ch)
		close(stop)
		<-stopped
	})
	if ran < turns/2 {
		t.Errorf("while %d streams were served, others ran %d times", turns*yieldEvery, ran)
	}
}
