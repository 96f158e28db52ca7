package log

import "time"

// minKeys is the least time for which a key is remembered: senders repeat a
// delivery for hours, and none that we know for longer than a day.
const minKeys = 24 * time.Hour

// KeyWindow is how long after it was taken an event's key is known, even if
// the event itself is gone.
func (r Retention) KeyWindow() time.Duration {
	return max(r.Age, r.Keys, minKeys)
}

// Over tells whether a channel with so much holds more than r keeps.
func (r Retention) Over(events uint64, bytes int64) bool {
	return r.Events > 0 && events > uint64(r.Events) || r.Bytes > 0 && bytes > r.Bytes
}

// Bounds of one step of trimming: what fits beside an append without being
// felt.
const (
	StepEvents   = 256
	StepChannels = 1024
)
