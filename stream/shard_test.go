package stream

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/seed-078801ba/sidestream/stream/event"
	"github.com/seed-078801ba/sidestream/stream/log"
)

// TestManySenders: whoever publishes, all streams hear the same, in the order of
// the positions that the senders are told; and once the hub closes, whoever is
// still told a position was in time.
func TestManySenders(t *testing.T) {
	const senders, each = 8, 100
	h := newHub(t, Config{}, log.Retention{})
	var listeners []*listener
	for range 3 {
		l, _ := listen(t, h, opening{channels: []string{"a"}})
		listeners = append(listeners, l)
	}
	told := make([]string, senders*each+1)
	var wg sync.WaitGroup
	for s := range senders {
		wg.Go(func() {
			for i := range each {
				body := fmt.Sprintf("%d/%d", s, i)
				receipts, err := h.Publish(context.Background(), event.Batch{Events: []event.Event{{
					Channel: event.String("a"), ID: event.String(body), Body: body,
				}}})
				if err != nil {
					t.Error(err)
					return
				}
				told[receipts[0].Position.Seq] = "a " + body
			}
		})
	}
	wg.Wait()
	for _, l := range listeners {
		l.expect(told[1:]...)
	}
	var last atomic.Uint64
	for range senders {
		wg.Go(func() {
			for {
				receipts, err := h.Publish(context.Background(), event.Batch{Events: []event.Event{{Channel: event.String("a")}}})
				if err != nil {
					if !errors.Is(err, event.ErrClosed) {
						t.Error(err)
					}
					return
				}
				for seq := receipts[0].Position.Seq; ; {
					if known := last.Load(); known >= seq || last.CompareAndSwap(known, seq) {
						break
					}
				}
			}
		})
	}
	for last.Load() < 2*senders*each {
		runtime.Gosched()
	}
	h.Drain(context.Background())
	wg.Wait()
	if head := h.Log().Head().Seq; head != last.Load() {
		t.Errorf("%d events are stored, the last one that was told is %d", head, last.Load())
	}
}

// TestBusyShard: what a sender does not do itself, because somebody is at it or
// there are too many streams, the shard does.
func TestBusyShard(t *testing.T) {
	h := newHub(t, Config{}, log.Retention{})
	first, s := listen(t, h, opening{channels: []string{"a"}})
	s.shard.working.Lock()
	say(t, h, "a", "1")
	s.shard.working.Unlock()
	first.expect("a 1")
	listeners := []*listener{first}
	for range helpedStreams {
		l, _ := listen(t, h, opening{channels: []string{"a"}})
		listeners = append(listeners, l)
	}
	if s.shard.helpOut(s.subs[0].ch) {
		t.Errorf("a sender serves %d streams", len(listeners))
	}
	say(t, h, "a", "2")
	for _, l := range listeners {
		l.expect("a 2")
	}
}

// TestPlaces: a small channel's streams share a shard, so that an event wakes
// one; those of a large one are spread, and so are the channels.
func TestPlaces(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(3))
	h := newHub(t, Config{}, log.Retention{})
	perShard := make([]int, len(h.shards))
	for i := range 10 * len(h.shards) {
		name := fmt.Sprint(i)
		home := h.home([]string{name})
		perShard[home]++
		for range crowd {
			if shard := h.home([]string{name}); shard != home {
				t.Fatalf("a stream of channel %s is in shard %d, not %d", name, shard, home)
			}
			h.join(name, home)
		}
	}
	for i, n := range perShard {
		if n != 10 {
			t.Errorf("shard %d is the home of %d channels", i, n)
		}
	}
	clear(perShard)
	for range 10 * len(h.shards) {
		perShard[h.home([]string{"0"})]++
	}
	for i, n := range perShard {
		if n != 10 {
			t.Errorf("shard %d has %d of a crowd's streams", i, n)
		}
	}
}
