package stream

import "time"

// Timings are told how long something took, for metrics. They are called often and
// must not wait.
type Timings struct {
	// Commit is one transaction of the log.
	Commit func(time.Duration)
	// Deliver is the time from handing an event to its channel until one shard has
	// written it to all of its streams that take it now.
	Deliver func(time.Duration)
}

// OnTimings has the timings told from now on.
func (h *Hub) OnTimings(t *Timings) { h.timings.Store(t) }
