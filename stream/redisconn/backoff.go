package redisconn

import (
	"context"
	"math/rand/v2"
	"time"
)

// Backoff is a pause that doubles while something keeps failing, with chance in it,
// so that many nodes do not come back at once. It is for one goroutine. The zero
// value is ready.
//
// It is written here because it is all that is needed: the libraries for it wrap the
// call that is repeated, and a session is no call.
type Backoff struct {
	// First and Last bound the pause. Defaults: 50 ms and 5 s.
	First, Last time.Duration

	pause time.Duration
}

const (
	firstPause = 50 * time.Millisecond
	lastPause  = 5 * time.Second
)

// Reset begins anew: it has worked.
func (b *Backoff) Reset() { b.pause = 0 }

// next is how long to wait now: between half and all of the pause.
func (b *Backoff) next() time.Duration {
	set(&b.First, firstPause)
	set(&b.Last, lastPause)
	b.pause = min(max(2*b.pause, b.First), b.Last)
	return b.pause/2 + rand.N(b.pause/2)
}

// Wait waits for the next pause; false if ctx ended first.
func (b *Backoff) Wait(ctx context.Context) bool { return Pause(ctx, b.next()) }

// Pause waits for a time; false if ctx ended first.
func Pause(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}
