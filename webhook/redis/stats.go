package redis

import (
	"maps"
	"sync"
	"sync/atomic"
)

// Stats are counts since the Source was made, and its state now.
type Stats struct {
	Received   uint64 // messages or entries from Redis that are for us
	Published  uint64 // events stored, without duplicates and gaps
	Duplicates uint64 // events that the log had already
	Unmapped   uint64 // messages or items that could not be mapped; UnmappedFor by reason
	Refused    uint64 // messages that could not be read: too large, not JSON, ...
	Dropped    uint64 // items that a drop condition took
	Untimed    uint64 // events whose time could not be read; that of arrival stands in
	Lost       uint64 // messages known to be lost: no room, or the log did not take them
	Gaps       uint64 // gaps written into channels
	Reconnects uint64 // subscriptions or readers that ended other than by the end of Run

	// UnmappedFor counts what could not be mapped, by the reason: one of a few
	// constant texts.
	UnmappedFor map[string]uint64

	// Connected: the subscription's last probes came back, or the stream
	// answers.
	Connected bool
	// Waiting and WaitingBytes are the messages heard and not yet stored.
	Waiting      int
	WaitingBytes int64
}

type counts struct {
	received, published, duplicates, refused, dropped, untimed, lost, gaps, reconnects atomic.Uint64

	connected atomic.Bool

	mu       sync.Mutex
	unmapped map[string]uint64 // by reason
}

func (c *counts) addUnmapped(reasons map[string]int) {
	if len(reasons) == 0 {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.unmapped == nil {
		c.unmapped = map[string]uint64{}
	}
	for reason, n := range reasons {
		c.unmapped[reason] += uint64(n)
	}
}

// Stats are the source's counts. Cheap, and safe for concurrent use.
func (s *Source) Stats() Stats {
	c := &s.counts
	out := Stats{
		Received: c.received.Load(), Published: c.published.Load(), Duplicates: c.duplicates.Load(),
		Refused: c.refused.Load(), Dropped: c.dropped.Load(), Untimed: c.untimed.Load(), Lost: c.lost.Load(),
		Gaps: c.gaps.Load(), Reconnects: c.reconnects.Load(), Connected: c.connected.Load(),
	}
	c.mu.Lock()
	out.UnmappedFor = maps.Clone(c.unmapped)
	c.mu.Unlock()
	for _, n := range out.UnmappedFor {
		out.Unmapped += n
	}
	out.Waiting, out.WaitingBytes = s.queue.waiting()
	return out
}

// Connected tells whether the subscription is proven to work: false as long as
// a probe is overdue.
func (s *Source) Connected() bool { return s.counts.connected.Load() }

// Trouble is what went wrong last, if it is not over; otherwise empty. A message that
// could not be read or mapped counts until the next trouble.
func (s *Source) Trouble() string { return s.trouble.current() }
