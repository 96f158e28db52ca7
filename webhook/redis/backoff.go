package redis

import (
	"context"
	"math/rand/v2"
	"time"
)

// backoff is a pause that grows while something keeps failing. The zero value
// is ready.
type backoff struct{ pause time.Duration }

const (
	firstPause = 50 * time.Millisecond
	lastPause  = 5 * time.Second
)

func (b *backoff) reset() { b.pause = 0 }

// next is how long to wait now: between half and all of the pause, so that
// many nodes do not come back at once.
func (b *backoff) next() time.Duration {
	b.pause = min(max(2*b.pause, firstPause), lastPause)
	return b.pause/2 + rand.N(b.pause/2)
}

// wait waits for the next pause; false if ctx ended first.
func (b *backoff) wait(ctx context.Context) bool { return pause(ctx, b.next()) }

func pause(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}
