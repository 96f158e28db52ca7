package caddymodule

import (
	"sync"
	"time"
)

// occasional bounds how often a line is written into the log that strangers, or
// a misconfigured app, can cause. Safe for concurrent use.
type occasional struct {
	mu   sync.Mutex
	last time.Time
	held int
}

// turn tells whether the line may be written now, once in the given time, and
// how often it happened since it was written last.
func (o *occasional) turn(every time.Duration) (times int, ok bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.held++
	now := time.Now()
	if !o.last.IsZero() && now.Sub(o.last) < every {
		return 0, false
	}
	times, o.last, o.held = o.held, now, 0
	return times, true
}
