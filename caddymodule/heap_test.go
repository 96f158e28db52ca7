package caddymodule

import (
	"runtime"
	"runtime/debug"
	"sync/atomic"
	"testing"
)

func TestGrowth(t *testing.T) {
	for _, test := range []struct {
		live uint64
		want int
	}{
		{0, mostGrowth}, {1 << 20, mostGrowth}, {4 << 20, 700}, {16 << 20, usualGrowth}, {15 << 20, 113},
		{smallHeap / 2, usualGrowth}, {smallHeap, usualGrowth}, {1 << 40, usualGrowth},
	} {
		if got := growth(test.live); got != test.want {
			t.Errorf("%d bytes grow by %d%%, not %d%%", test.live, got, test.want)
		}
	}
}

var (
	garbage [][]byte
	ballast []byte
)

// TestGrowSmallHeap: a small heap is collected seldom, a large one as ever.
func TestGrowSmallHeap(t *testing.T) {
	defer debug.SetGCPercent(debug.SetGCPercent(usualGrowth))
	var over atomic.Bool
	follow := followHeap(debug.SetGCPercent)
	afterCollections(func() {
		if !over.Load() {
			follow()
		}
	})
	defer over.Store(true)
	collections := func() uint32 {
		runtime.GC()
		runtime.GC() // the finalizer of the first one ran, and set the growth
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		for range 512 {
			garbage = append(garbage[:0], make([]byte, 1<<20))
		}
		runtime.ReadMemStats(&after)
		return after.NumGC - before.NumGC
	}
	few := collections()
	ballast = make([]byte, 4*smallHeap)
	usual := collections()
	ballast = nil
	// 512 MB of garbage: every 30 MB, and every 128 MB; by itself, it would be
	// every few megabytes.
	if few == 0 || few > 40 || usual < 3 || usual > 6 {
		t.Errorf("%d collections of a small heap, %d of a large one", few, usual)
	}
}
