// Package heap tunes Go's garbage collector for a process that serves streams: many
// of them idle, and webhooks leave little behind. It works on the whole process, so
// it belongs to the command and not to the module. A Caddy that has Sidestream beside
// other things keeps the settings of its owner.
package heap

import (
	"context"
	"os"
	"runtime/debug"
)

// Tune tunes the collector until the context ends. A small heap is not collected all
// the time, unless GOGC is set: then the owner has decided. Memory is given back
// after a burst. streams counts the open streams; it is called every few seconds.
func Tune(ctx context.Context, streams func() int) {
	if os.Getenv("GOGC") == "" {
		afterCollections(followHeap(liveBytes, debug.SetGCPercent))
	}
	go giveBack(ctx, streams, debug.FreeOSMemory)
}
