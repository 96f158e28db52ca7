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

// giveBack calls free, which returns to the system what the opening or closing of
// many streams has left behind: TLS handshakes, request heads, grown stacks. Go
// would keep it for the next burst, and of idle streams over TLS that is as
// much again as they need themselves. It waits for a calm moment, and does
// nothing where streams come and go evenly. It ends with the context.
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
