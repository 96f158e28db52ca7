package log

import "time"

// JumpMillis is how far the wall clock may run away from the time that passed
// before it counts as set, not as drifting.
const JumpMillis = 1000

// Clock gives the times of entries and the age of what is stored, so that
// somebody who sets the machine's clock neither reorders nor expires anything.
//
// Entries carry the wall clock's time, but never one before the last entry's:
// while the wall clock is behind, the log's time runs at half speed until the
// wall clock has caught up. When the wall clock is set forward, what was there
// before keeps its age: it is the time that passed that makes events old. That
// the clock was set is seen by the monotonic reading of time.Now, so only
// while the process runs; over a restart the wall clock is all there is.
//
// Its user serialises the calls. All numbers are milliseconds.
type Clock struct {
	start  time.Time
	at     int64 // the log's time, since 1970
	passed int64 // when it was that, since start
	jump   int64 // how far the wall clock was set forward, together
	jumped int64 // the log's time right after that
}

// NewClock starts a clock; head is the time of the newest entry, 0 if there is
// none.
func NewClock(now time.Time, head int64) Clock {
	return Clock{start: now, at: max(now.UnixMilli(), head)}
}

// Take moves the clock to now and returns the log's time.
func (c *Clock) Take(now time.Time) int64 {
	return c.takeAt(now.Sub(c.start).Milliseconds(), now.UnixMilli())
}

func (c *Clock) takeAt(passed, wall int64) int64 {
	t, jump, jumped := c.read(passed, wall)
	c.jump, c.jumped = jump, jumped
	if t != c.at {
		// While the log's time stands still, the time that passes adds up.
		c.at, c.passed = t, passed
	}
	return t
}

// Cutoff is the log's time before which an entry is older than span.
func (c *Clock) Cutoff(now time.Time, span time.Duration) int64 {
	return c.cutoffAt(now.Sub(c.start).Milliseconds(), now.UnixMilli(), span)
}

func (c *Clock) cutoffAt(passed, wall int64, span time.Duration) int64 {
	t, jump, jumped := c.read(passed, wall)
	if jump > 0 && t-jumped < span.Milliseconds() {
		t -= jump
	}
	return t - span.Milliseconds()
}

func (c *Clock) read(passed, wall int64) (t, jump, jumped int64) {
	elapsed := max(0, passed-c.passed)
	t, jump, jumped = max(wall, c.at+elapsed/2), c.jump, c.jumped
	if ahead := wall - (c.at + elapsed); ahead > JumpMillis {
		jump, jumped = jump+ahead, wall
	}
	return t, jump, jumped
}
