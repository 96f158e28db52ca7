package load

import (
	"slices"
	"testing"

	"pgregory.net/rapid"
)

func TestQuantilesAreThoseOfASortedList(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		values := rapid.SliceOfN(rapid.Int64Range(0, 1<<40), 1, 200).Draw(t, "values")
		q := rapid.SampledFrom([]float64{0, 0.5, 0.9, 0.99, 1}).Draw(t, "q")
		var h, half Histogram
		for i, v := range values {
			if i%2 == 0 {
				h.Add(v)
			} else {
				half.Add(v)
			}
		}
		h.Merge(&half)
		slices.Sort(values)
		want := values[min(len(values)-1, int(q*float64(len(values))))]
		got := int64(h.Quantile(q))
		if got < want || got > want+want/32+1 {
			t.Fatalf("quantile %v is %d, want %d or at most 3 %% more, of %v", q, got, want, values)
		}
		if h.count != uint64(len(values)) {
			t.Fatalf("counted %d of %d", h.count, len(values))
		}
	})
}

func TestQuantileOfNothing(t *testing.T) {
	if d := new(Histogram).Quantile(0.99); d != 0 {
		t.Errorf("%s, want 0", d)
	}
}
