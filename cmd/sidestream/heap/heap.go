// Package heap tunes Go's garbage collector for a process whose business is
// streams: many that idle, and webhooks that leave little behind. It works on
// the whole process, so it belongs to the command, never to a module: a Caddy
// that has Sidestream beside other things keeps what its owner has chosen.
package heap

import (
	"context"
	"os"
	"runtime/debug"
)

// Tune sees to the heap from now on: a small one is not collected all the time
// (unless GOGC is set: then somebody has decided), and memory is given back
// after a burst. streams counts what is open; it is called every few seconds,
// until the context ends.
func Tune(ctx context.Context, streams func() int) {
	if os.Getenv("GOGC") == "" {
		afterCollections(followHeap(liveBytes, debug.SetGCPercent))
	}
	go giveBack(ctx, streams, debug.FreeOSMemory)
}
