package redis

import "sync/atomic"

// Stats are counts since the Source was made, and its state now.
type Stats struct {
	Received   uint64 // messages or entries from Redis that are for us
	Published  uint64 // events stored, without duplicates and gaps
	Duplicates uint64 // events that the log had already
	Unmapped   uint64 // messages or items that could not be mapped
	Refused    uint64 // messages that could not be read: too large, not JSON, ...
	Dropped    uint64 // items that a drop condition took
	Lost       uint64 // messages known to be lost: no room, or the log did not take them
	Gaps       uint64 // gaps written into channels
	Reconnects uint64 // subscriptions or readers that ended other than by the end of Run

	// Connected: the subscription's last probes came back, or the stream
	// answers.
	Connected bool
	// Waiting and WaitingBytes are the messages heard and not yet stored.
	Waiting      int
	WaitingBytes int64
}

type counts struct {
	received, published, duplicates, unmapped, refused, dropped, lost, gaps, reconnects atomic.Uint64

	connected atomic.Bool
}

// Stats are the source's counts. Cheap, and safe for concurrent use.
func (s *Source) Stats() Stats {
	c := &s.counts
	out := Stats{
		Received: c.received.Load(), Published: c.published.Load(), Duplicates: c.duplicates.Load(),
		Unmapped: c.unmapped.Load(), Refused: c.refused.Load(), Dropped: c.dropped.Load(), Lost: c.lost.Load(),
		Gaps: c.gaps.Load(), Reconnects: c.reconnects.Load(), Connected: c.connected.Load(),
	}
	out.Waiting, out.WaitingBytes = s.queue.waiting()
	return out
}

// Connected tells whether the subscription is proven to work: false as long as
// a probe is overdue.
func (s *Source) Connected() bool { return s.counts.connected.Load() }
