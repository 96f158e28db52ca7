package stream

import (
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seed-078801ba/sidestream/stream/event"
)

// TestGather: who is alone does not wait; who was not is waited for, up to a
// number and a time; and what was gathered is in order.
func TestGather(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		publications := make(chan *publication, 2*commitEvents)
		g := newGathering(true)
		send := func(n int) {
			for range n {
				publications <- &publication{batch: event.Batch{Events: make([]event.Event, 1)}}
			}
		}
		var later sync.WaitGroup
		defer later.Wait()
		const apart = gatherGap/2 + 7*time.Microsecond
		for i, test := range []struct {
			others, waiting, later, want int // later come one by one
			waits                        time.Duration
		}{
			{0, 1, 0, 1, 0},
			{0, 1, 0, 1, 0},
			{0, 3, 0, 3, 0},
			{0, 1, 2, 3, 2 * apart},
			{0, 1, 1, 2, apart + gatherGap},
			{0, 1, 0, 1, gatherGap},
			{0, 1, 0, 1, 0},
			{1, 1, 1, 2, apart}, // the other one, and then the first again
			{1, 1, 0, 1, gatherGap},
			{0, 4 * gatherEnough, 0, 4 * gatherEnough, 0},
			{gatherEnough, gatherEnough, 0, gatherEnough, 0},
			{0, commitEvents + 7, 0, commitEvents, 0},
			{0, gatherEnough - 7, 0, gatherEnough, 0}, // and those that were too many
			{0, 1, gatherEnough, 1 + int(gatherWait/apart), gatherWait},
		} {
			g.others = test.others
			send(test.waiting)
			first := <-publications
			begun := time.Now()
			if test.later > 0 {
				later.Go(func() {
					for range test.later {
						time.Sleep(apart)
						send(1)
					}
				})
			}
			got := g.gather(first, publications)
			if len(got.group) != test.want || len(got.events) != test.want || got.group[0] != first {
				t.Errorf("%d: %d of %d events", i, len(got.group), len(got.events))
			}
			if waited := time.Since(begun); waited != test.waits {
				t.Errorf("%d: waited %s, not %s", i, waited, test.waits)
			}
		}
	})
}

// What is not synced has nothing to gain from waiting.
func TestGatherDoesNotWaitWithoutSync(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		publications := make(chan *publication, 3)
		g := newGathering(false)
		for _, waiting := range []int{3, 0} {
			for range waiting {
				publications <- &publication{}
			}
			begun := time.Now()
			if got := len(g.gather(&publication{}, publications).group); got != waiting+1 || time.Since(begun) != 0 {
				t.Errorf("gathered %d of %d in %v", got, waiting+1, time.Since(begun))
			}
		}
	})
}
