package main

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"time"
)

// figures are the results of one run, by name.
type figures map[string]float64

// measured are the results of all runs.
type measured []figures

// median is the middle one of a figure's values; of an even number, the mean of
// the two in the middle. NaN if there are none.
func (m measured) median(name string) float64 {
	v := m.values(name)
	if len(v) == 0 {
		return math.NaN()
	}
	slices.Sort(v)
	return (v[(len(v)-1)/2] + v[len(v)/2]) / 2
}

// worst is the largest value: of what must not happen, once is too often.
func (m measured) worst(name string) float64 {
	v := m.values(name)
	if len(v) == 0 {
		return math.NaN()
	}
	return slices.Max(v)
}

// ratio is the median of what one figure is of another in the same run.
func (m measured) ratio(name, of string) float64 {
	var each measured
	for _, f := range m {
		a, ok := f[name]
		b, ok2 := f[of]
		if ok && ok2 && b != 0 {
			each = append(each, figures{"": a / b})
		}
	}
	return each.median("")
}

func (m measured) values(name string) []float64 {
	var v []float64
	for _, f := range m {
		if x, ok := f[name]; ok {
			v = append(v, x)
		}
	}
	return v
}

// bytesText writes a size.
func bytesText(v float64) string {
	switch a := math.Abs(v); {
	case math.IsNaN(v):
		return "?"
	case a >= 1e6:
		return fmt.Sprintf("%.1f MB", v/1e6)
	case a >= 1e3:
		return fmt.Sprintf("%.2f KB", v/1e3)
	}
	return fmt.Sprintf("%.0f B", v)
}

// timeText writes a duration given in nanoseconds.
func timeText(nanos float64) string {
	switch {
	case nanos >= float64(time.Second):
		return fmt.Sprintf("%.2f s", nanos/1e9)
	case nanos >= float64(time.Millisecond):
		return fmt.Sprintf("%.1f ms", nanos/1e6)
	}
	return fmt.Sprintf("%.2f µs", nanos/1e3)
}

// countText writes a number with commas.
func countText(v float64) string {
	if math.IsNaN(v) {
		return "?"
	}
	digits := strconv.FormatInt(int64(math.Round(math.Abs(v))), 10)
	for i := len(digits) - 3; i > 0; i -= 3 {
		digits = digits[:i] + "," + digits[i:]
	}
	if math.Round(v) < 0 {
		return "-" + digits
	}
	return digits
}
