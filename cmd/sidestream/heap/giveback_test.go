package heap

import (
	"context"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// Memory is given back once after a burst, when it is calm again, and never
// while streams just come and go.
func TestGiveBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var n, freed atomic.Int64
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() {
			defer close(done)
			giveBack(ctx, func() int { return int(n.Load()) }, func() { freed.Add(1) })
		}()
		during := func(streams ...int64) int64 {
			before := freed.Load()
			for _, v := range streams {
				n.Store(v)
				time.Sleep(tick)
				synctest.Wait()
			}
			return freed.Load() - before
		}
		if got := during(0, 5, 3, 100, 90, 80); got != 0 {
			t.Errorf("freed %d times for nothing", got)
		}
		if got := during(1000, 2000, 3000); got != 0 {
			t.Errorf("freed %d times in the middle of a burst", got)
		}
		if got := during(3005, 3003, 3000, 3001); got != 1 {
			t.Errorf("freed %d times after a burst", got)
		}
		cancel()
		<-done
	})
}
