package load

import (
	"math/bits"
	"time"
)

// Histogram counts durations in buckets that are at most 3 % wide. The zero
// value is ready.
type Histogram struct {
	buckets [64 * perOctave]uint64
	count   uint64
	max     int64
}

// perOctave is how many buckets lie between a duration and twice that.
const perOctave = 32

// Add counts a duration in nanoseconds.
func (h *Histogram) Add(nanos int64) {
	nanos = max(nanos, 0)
	h.buckets[bucketOf(nanos)]++
	h.count++
	h.max = max(h.max, nanos)
}

// Merge takes in all of another histogram.
func (h *Histogram) Merge(o *Histogram) {
	for i, n := range o.buckets {
		h.buckets[i] += n
	}
	h.count += o.count
	h.max = max(h.max, o.max)
}

// Quantile is the duration that a share q of all do not exceed; 0 if there are
// none.
func (h *Histogram) Quantile(q float64) time.Duration {
	rank := uint64(q * float64(h.count))
	var seen uint64
	for i, n := range h.buckets {
		if seen += n; n > 0 && (seen > rank || seen == h.count) {
			return time.Duration(min(bucketTop(i), h.max))
		}
	}
	return 0
}

// bucketOf: durations below 64 ns have a bucket each; above, the first six bits
// decide.
func bucketOf(v int64) int {
	shift := max(0, bits.Len64(uint64(v))-6)
	return shift*perOctave + int(v>>shift)
}

// bucketTop is the longest duration that a bucket counts.
func bucketTop(i int) int64 {
	if i < 2*perOctave {
		return int64(i)
	}
	shift := i/perOctave - 1
	return int64(i-shift*perOctave+1)<<shift - 1
}
