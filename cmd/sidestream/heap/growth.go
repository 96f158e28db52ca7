package heap

import (
	"runtime"
	"runtime/metrics"
)

// smallHeap is how far the heap may grow before it is collected, however little of
// it is in use. Go collects when the heap has doubled. A quiet Caddy uses a few
// megabytes, so that thousands of webhooks a second mean thirty collections a
// second, which take a sixth of the processor time. With twice this size, an event
// costs a tenth less again, but an idle stream takes 2.4 KB instead of 1.7, because
// the bursts in which streams open leave more holes in the heap. A memory limit
// (GOMEMLIMIT, which Caddy sets in a container) is kept in any case.
const smallHeap = 32 << 20

const (
	usualGrowth = 100  // percent; Go's own
	mostGrowth  = 1600 // percent
)

// growth is by how many percent the heap may grow, if a collection found so many
// bytes of it in use.
func growth(live uint64) int {
	if live >= smallHeap/2 {
		return usualGrowth
	}
	return int(min((smallHeap-live)*100/max(live, 1), mostGrowth))
}

// liveBytes is how much of the heap the last collection found in use.
func liveBytes() uint64 {
	sample := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
	metrics.Read(sample)
	return sample[0].Value.Uint64()
}

// followHeap makes the function that is called after each collection.
func followHeap(live func() uint64, setGrowth func(percent int) int) func() {
	now := usualGrowth
	return func() {
		want := growth(live())
		// Setting it stops the world for a moment: small changes are not worth it.
		if want < now*3/4 || want > now*5/4 || want == usualGrowth && now != want {
			now = want
			setGrowth(now)
		}
	}
}

// collected is unreachable from the start, so that every collection finalizes it.
type collected struct{ then func() }

// afterCollections calls a function after each collection, in the goroutine of
// the finalizers.
func afterCollections(do func()) {
	runtime.SetFinalizer(&collected{do}, func(c *collected) {
		c.then()
		afterCollections(c.then)
	})
}
