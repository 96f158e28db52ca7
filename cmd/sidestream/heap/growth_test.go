package heap

import (
	"runtime"
	"slices"
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

// TestFollowHeap: the growth follows what is in use, but not every little of it.
func TestFollowHeap(t *testing.T) {
	var live uint64
	var set []int
	follow := followHeap(func() uint64 { return live }, func(percent int) int {
		set = append(set, percent)
		return 0
	})
	for _, mb := range []uint64{15, 8, 9, 8, 4, 14, 20, 1000, 13, 12, 500} {
		live = mb << 20
		follow()
	}
	if want := []int{300, 700, 128, 100, 146, 100}; !slices.Equal(set, want) {
		t.Errorf("set to %d, not %d", set, want)
	}
}

func TestAfterCollections(t *testing.T) {
	runs := make(chan struct{}, 1)
	afterCollections(func() {
		select {
		case runs <- struct{}{}:
		default:
		}
	})
	for range 3 {
		runtime.GC()
		<-runs
	}
	if live := liveBytes(); live < 1<<16 || live > 1<<33 {
		t.Errorf("%d bytes are in use", live)
	}
}
