package log

import (
	"container/heap"
	"slices"
	"time"

	"github.com/seed-078801ba/sidestream/stream/event"
)

// Run is the part of one channel that is being read, in order. It is never
// empty: Next says whether anything is left.
type Run interface {
	Seq() uint64
	Size() int
	Next() (entry event.Entry, more bool, err error)
}

// Merge reads the runs in the order of the log, up to the limits.
func Merge[R Run](runs []R, limit, maxBytes int) (entries []event.Entry, more bool, err error) {
	h := runHeap[R](runs)
	heap.Init(&h)
	for bytes := 0; len(h) > 0; {
		first := h[0]
		bytes += first.Size()
		if len(entries) > 0 && (limit > 0 && len(entries) == limit || maxBytes > 0 && bytes > maxBytes) {
			return entries, true, nil
		}
		entry, left, err := first.Next()
		if err != nil {
			return nil, false, err
		}
		entries = append(entries, entry)
		if left {
			heap.Fix(&h, 0)
		} else {
			heap.Pop(&h)
		}
	}
	return entries, false, nil
}

type runHeap[R Run] []R

func (h runHeap[R]) Len() int           { return len(h) }
func (h runHeap[R]) Less(i, j int) bool { return h[i].Seq() < h[j].Seq() }
func (h runHeap[R]) Swap(i, j int)      { h[i], h[j] = h[j], h[i] }
func (h *runHeap[R]) Push(x any)        { *h = append(*h, x.(R)) }
func (h *runHeap[R]) Pop() any {
	last := len(*h) - 1
	x := (*h)[last]
	*h = (*h)[:last]
	return x
}

// Distinct is the channels, each of them once.
func Distinct(channels []string) []string {
	if len(channels) < 2 {
		return channels
	}
	channels = slices.Clone(channels)
	slices.Sort(channels)
	return slices.Compact(channels)
}

// MillisCeil is the first whole millisecond that is not before t: an entry was
// taken before t if its At is less.
func MillisCeil(t time.Time) int64 {
	ms := t.UnixMilli()
	if t.After(time.UnixMilli(ms)) {
		ms++
	}
	return ms
}
