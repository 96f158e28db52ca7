package caddymodule

import (
	"context"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/seed-078801ba/sidestream/stream"
)

// File descriptors are the process's, and every connection takes one. When they are
// used up, nobody gets in: no webhook, no load balancer that asks for the health.
// Streams stay for hours, so new ones are refused before that.

const (
	// descriptorTick is how often they are looked at, besides when a stream opens.
	descriptorTick = time.Second
	// descriptorLine is how often the log tells that they are running out.
	descriptorLine = time.Minute
)

// reservedOf is how many of so many descriptors are kept for other things than
// streams.
func reservedOf(limit uint64) uint64 { return min(max(limit/16, 32), 1024, limit/2) }

// descriptors tells of the process's file descriptors. Safe for concurrent use.
type descriptors struct {
	// probe tells whether there are more than are reserved, and how many the
	// process may have.
	probe func() (room bool, limit uint64)

	short atomic.Bool // as the log has it
	lines occasional
}

// processDescriptors are those of this process.
var processDescriptors = &descriptors{probe: probeDescriptors}

// room tells whether a stream may take a descriptor.
func (d *descriptors) room() bool {
	room, limit := d.probe()
	switch {
	case !room:
		if times, ok := d.lines.turn(descriptorLine); ok {
			d.short.Store(true)
			hubLogger().Warn("file descriptors are running out: new streams are refused. Give the process more, with LimitNOFILE of systemd or ulimit -n",
				slog.Uint64("limit", limit), slog.Uint64("reserved", reservedOf(limit)), slog.Int("seen", times))
		}
	case d.short.CompareAndSwap(true, false):
		hubLogger().Info("there are enough file descriptors again", slog.Uint64("limit", limit))
	}
	return room
}

// watch looks now and then, so that the log tells of it even if nobody gets in.
func (d *descriptors) watch(ctx context.Context) {
	ticker := time.NewTicker(descriptorTick)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			d.room()
		}
	}
}

// roomyHub is a hub that takes no streams when descriptors are running out.
type roomyHub struct {
	*stream.Hub
	descriptors *descriptors
}

// Admit takes a place for a stream, as the hub does.
func (h roomyHub) Admit(c stream.Candidate) (*stream.Ticket, error) {
	if !h.descriptors.room() {
		return nil, &stream.LimitError{Limit: "descriptors", RetryAfter: 10 * time.Second}
	}
	return h.Hub.Admit(c)
}
