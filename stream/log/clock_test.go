package log

import (
	"testing"
	"time"

	"pgregory.net/rapid"
)

// TestClockIsSet plays a machine whose clock is set while the process runs.
// real is a time with a monotonic reading, as time.Now gives it; setting the
// clock changes what its calendar says, and nothing else.
func TestClockIsSet(t *testing.T) {
	const hour = int64(time.Hour / time.Millisecond)
	start := time.Now()
	c := NewClock(start, 0)
	base := c.at
	wall := int64(0) // how far the wall clock was set
	at := func(minutes int) (passed, wallMillis int64) {
		p := int64(minutes) * 60_000
		return p, base + p + wall
	}
	take := func(minutes int) int64 {
		p, w := at(minutes)
		return c.takeAt(p, w) - base
	}
	cutoff := func(minutes int, span time.Duration) int64 {
		p, w := at(minutes)
		return c.cutoffAt(p, w, span) - base
	}
	if got := take(10); got != hour/6 {
		t.Errorf("after ten minutes it is %d", got)
	}
	wall = hour
	// Before anything else is taken, and after: what is ten minutes old stays.
	for _, now := range []int{10, 11, 39} {
		if got := cutoff(now, 30*time.Minute); got > int64(now-30)*60_000 {
			t.Errorf("an hour forward, at %d minutes: the cutoff is %d", now, got)
		}
	}
	if got := take(12); got != 12*60_000+hour {
		t.Errorf("an hour forward, it is %d", got)
	}
	if got := cutoff(20, 30*time.Minute); got != -10*60_000 {
		t.Errorf("the cutoff is %d", got)
	}
	if got := cutoff(43, 30*time.Minute); got != 13*60_000+hour {
		t.Errorf("once all from before is too old, the cutoff is %d", got)
	}
	before := take(44)
	wall = -hour
	if got := take(46); got != before+60_000 {
		t.Errorf("two hours back: %d after %d", got, before)
	}
	if got := take(44 + 400); got != 444*60_000-hour {
		t.Errorf("it has not caught up: %d", got)
	}
}

func TestClockNeverGoesBack(t *testing.T) {
	start := time.UnixMilli(1_700_000_000_000)
	rapid.Check(t, func(t *rapid.T) {
		c := NewClock(start, rapid.Int64Range(0, 2*start.UnixMilli()).Draw(t, "head"))
		last, wall, passed := c.at, start.UnixMilli(), int64(0)
		t.Repeat(map[string]func(*rapid.T){
			"time passes": func(t *rapid.T) {
				d := rapid.Int64Range(0, 10_000_000).Draw(t, "by")
				passed, wall = passed+d, wall+d
			},
			"the clock is set": func(t *rapid.T) {
				wall += rapid.Int64Range(-10_000_000, 10_000_000).Draw(t, "by")
			},
			"take": func(t *rapid.T) {
				span := rapid.Int64Range(0, 20_000_000).Draw(t, "span")
				was := last
				if cut := c.cutoffAt(passed, wall, time.Duration(span)*time.Millisecond); cut > max(was, wall, was+passed) {
					t.Fatalf("cutoff %d is in the future", cut)
				}
				if last = c.takeAt(passed, wall); last < was || last < wall {
					t.Fatalf("%d after %d, the wall clock says %d", last, was, wall)
				}
			},
		})
	})
}
