package heap

import (
	"context"
	"time"
)

const (
	// tick is how often the number of streams is looked at.
	tick = 3 * time.Second
	// burst is how many more or fewer streams make it worth while.
	burst = 500
)

// giveBack calls free after many streams have opened or closed. Free returns to the
// system what they left behind: TLS handshakes, request heads, grown stacks. Go would
// keep that for the next burst; for idle streams over TLS it is as much again as
// they need. giveBack waits until it is calm, and does nothing where streams come and
// go evenly. It ends with the context.
func giveBack(ctx context.Context, streams func() int, free func()) {
	ticker := time.NewTicker(tick)
	defer ticker.Stop()
	var settled, last int
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		now := streams()
		calm := abs(now-last) <= burst/50
		if last = now; calm && abs(now-settled) >= burst {
			settled = now
			free()
		}
	}
}

func abs(n int) int { return max(n, -n) }
