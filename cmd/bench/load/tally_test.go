package load

import "testing"

func tallyOf(numbers ...uint64) (t Tally) {
	for _, n := range numbers {
		t.Add(n)
	}
	return t
}

func TestCompare(t *testing.T) {
	for _, c := range []struct {
		name        string
		want, got   Tally
		lost, extra uint64
	}{
		{"nothing", tallyOf(), tallyOf(), 0, 0},
		{"the same, in another order", tallyOf(1, 2, 3), tallyOf(3, 1, 2), 0, 0},
		{"one missing", tallyOf(1, 2, 3), tallyOf(1, 3), 1, 0},
		{"one twice", tallyOf(1, 2, 3), tallyOf(1, 2, 2, 3), 0, 1},
		{"one missing and one twice", tallyOf(1, 2, 3), tallyOf(1, 2, 2), 1, 1},
	} {
		if lost, extra := Compare(c.want, c.got); lost != c.lost || extra != c.extra {
			t.Errorf("%s: %d lost, %d extra; want %d and %d", c.name, lost, extra, c.lost, c.extra)
		}
	}
	merged := tallyOf(1, 2)
	merged.Merge(tallyOf(3))
	if merged != tallyOf(1, 2, 3) {
		t.Error("a merged tally is not that of all")
	}
}
