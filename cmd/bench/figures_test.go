package main

import (
	"math"
	"strings"
	"testing"
)

func TestMedians(t *testing.T) {
	m := measured{{"a": 3, "b": 1}, {"a": 1, "b": 4}, {"a": 2}}
	for name, got := range map[string]float64{
		"odd":                m.median("a") - 2,
		"even":               m.median("b") - 2.5,
		"worst":              m.worst("a") - 3,
		"ratio run by run":   m.ratio("a", "b") - (3+0.25)/2,
		"order is untouched": m[0]["a"] - 3,
	} {
		if got != 0 {
			t.Errorf("%s: off by %v", name, got)
		}
	}
	if !math.IsNaN(m.median("none")) || !math.IsNaN(m.worst("none")) || !math.IsNaN(m.ratio("a", "none")) {
		t.Error("what was not measured has a value")
	}
}

func TestOddities(t *testing.T) {
	m := measured{{"file lost": 1, "file repeated": 3, "loop closed": 0}, {"file lost": 2, "file repeated": 0, "loop closed": 4}}
	if got := m.oddText([]string{"file", "loop", "none"}); got != "file: 2 lost, 3 posts repeated; loop: 4 streams closed" {
		t.Errorf("%q", got)
	}
}

func TestTexts(t *testing.T) {
	for _, c := range []struct{ got, want string }{
		{bytesText(612), "612 B"},
		{bytesText(2950), "2.95 KB"},
		{bytesText(12_345_678), "12.3 MB"},
		{timeText(4567), "4.57 µs"},
		{timeText(12.34e6), "12.3 ms"},
		{timeText(2.5e9), "2.50 s"},
		{countText(7), "7"},
		{countText(1234567.4), "1,234,567"},
		{countText(-1000), "-1,000"},
		{countText(math.NaN()), "?"},
	} {
		if c.got != c.want {
			t.Errorf("%q, want %q", c.got, c.want)
		}
	}
}

func TestTable(t *testing.T) {
	var b strings.Builder
	printTable(&b, []row{
		{what: "a", bar: "<= 3 KB", figure: "2 KB", met: meets(true), sticks: "x | y", odd: "file: 2 lost"},
		{what: "b", figure: "1"},
	})
	want := `| what | bar | Sidestream | met | beside it, in the same run | odd |
|---|---|---|---|---|---|
| a | <= 3 KB | 2 KB | yes | x \| y | file: 2 lost |
| b |  | 1 |  |  |  |
`
	if b.String() != want {
		t.Errorf("got\n%s\nwant\n%s", b.String(), want)
	}
}
