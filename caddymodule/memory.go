package caddymodule

import "time"

const (
	// memoryTick is how often the number of streams is looked at.
	memoryTick = 3 * time.Second
	// memoryGrowth is how many streams make it worth while.
	memoryGrowth = 500
)

// giveBackMemory has free called, which returns to the system what the opening or closing of many
// streams has left behind: TLS handshakes, request heads, grown stacks. Go
// would keep it for the next burst, and of idle streams over TLS that is as
// much again as they need themselves. It waits for a calm moment, and does
// nothing where streams come and go evenly. It ends with stop.
func giveBackMemory(streams func() int, free func(), stop <-chan struct{}) {
	ticker := time.NewTicker(memoryTick)
	defer ticker.Stop()
	var settled, last int
	for {
		select {
		case <-stop:
			return
		case <-ticker.C:
		}
		now := streams()
		calm := abs(now-last) <= memoryGrowth/50
		if last = now; calm && abs(now-settled) >= memoryGrowth {
			settled = now
			free()
		}
	}
}

func abs(n int) int { return max(n, -n) }
