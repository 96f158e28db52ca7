package stream

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/seed-078801ba/sidestream/stream/conn"
	"github.com/seed-078801ba/sidestream/stream/event"
	"github.com/seed-078801ba/sidestream/stream/log"
)

// counters count what concerns the whole hub. They live as long as it does, so
// that a config reload does not set them back.
type counters struct {
	batches, events, duplicates, conflicts atomic.Uint64
	commits, failedCommits, commitNanos    atomic.Uint64
	trouble                                atomic.Pointer[error] // what the log said last, if it was an error
	failedAt                               atomic.Int64          // when it last took no events; see now
	mu                                     sync.Mutex
	refusals                               map[string]uint64
}

func newCounters() *counters { return &counters{refusals: map[string]uint64{}} }

func (c *counters) appendFailed(err error) {
	c.failedCommits.Add(1)
	c.failedAt.Store(now())
	c.trouble.Store(&err)
}

func (c *counters) appended(batches int, nanos int64) {
	c.commits.Add(1)
	c.batches.Add(uint64(batches))
	c.commitNanos.Add(uint64(nanos))
}

func (c *counters) published(receipts []event.Receipt) {
	for _, r := range receipts {
		switch {
		case r.Conflict:
			c.conflicts.Add(1)
			fallthrough
		case r.Duplicate:
			c.duplicates.Add(1)
		default:
			c.events.Add(1)
		}
	}
}

func (c *counters) refused(limit string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.refusals[limit]++
}

// shardCounters are written by one shard, so that no two cores share them, and
// read by scrapes.
type shardCounters struct {
	_         [64]byte
	bytes     atomic.Uint64
	delivered [maxEncodings]atomic.Uint64
	behind    atomic.Int64 // streams whose connection did not take everything
	loops     atomic.Uint64
	loopNanos atomic.Uint64
	mu        sync.Mutex // of the maps: streams open and close rarely, and gaps are rare
	open      map[StreamKind]int
	opens     map[StreamKind]uint64
	closes    map[CloseReason]uint64
	gaps      map[event.Reason]uint64
	_         [64]byte
}

// StreamKind tells streams apart in Stats.
type StreamKind struct {
	Format string
	Kind   conn.Kind
}

func (c *shardCounters) loop(nanos int64) {
	c.loops.Add(1)
	c.loopNanos.Add(uint64(nanos))
}

func (c *shardCounters) opened(s *Stream) {
	k := StreamKind{s.spec.Format.Name(), s.conn.Kind()}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.open == nil {
		c.open, c.opens, c.closes = map[StreamKind]int{}, map[StreamKind]uint64{}, map[CloseReason]uint64{}
	}
	c.open[k]++
	c.opens[k]++
}

func (c *shardCounters) closed(s *Stream) {
	k := StreamKind{s.spec.Format.Name(), s.conn.Kind()}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.open[k]--
	c.closes[s.reason]++
}

func (c *shardCounters) gap(reason event.Reason) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.gaps == nil {
		c.gaps = map[event.Reason]uint64{}
	}
	c.gaps[reason]++
}

// Stats are a hub's counts, for metrics and health. All but Open, Channels,
// WindowBytes and Log only grow as long as the hub lives.
type Stats struct {
	Open      map[StreamKind]int
	Behind    int // open streams whose client has not taken everything
	Opened    map[StreamKind]uint64
	Closed    map[CloseReason]uint64
	Gaps      map[event.Reason]uint64 // that a client of one stream was told of
	Refused   map[string]uint64       // by limit
	Delivered map[string]uint64       // messages, by format
	Bytes     uint64                  // written to clients

	Batches       uint64 // publishes that were stored
	Events        uint64 // events stored
	Duplicates    uint64 // events that the log had already
	Conflicts     uint64 // duplicates with other content
	Commits       uint64
	FailedCommits uint64
	CommitTime    time.Duration // in all

	Loops    uint64        // rounds of all shards
	LoopTime time.Duration // spent in them

	Channels    int   // in memory
	WindowBytes int64 // of recent events in memory
	Log         log.Stats
}

// Stats are the hub's counts now.
func (h *Hub) Stats() Stats {
	c := h.counters
	st := Stats{
		Open: map[StreamKind]int{}, Opened: map[StreamKind]uint64{}, Closed: map[CloseReason]uint64{},
		Gaps: map[event.Reason]uint64{}, Refused: map[string]uint64{}, Delivered: map[string]uint64{},
		Batches: c.batches.Load(), Events: c.events.Load(), Duplicates: c.duplicates.Load(), Conflicts: c.conflicts.Load(),
		Commits: c.commits.Load(), FailedCommits: c.failedCommits.Load(), CommitTime: time.Duration(c.commitNanos.Load()),
		WindowBytes: h.windows.Load(), Log: h.log.Stats(),
	}
	c.mu.Lock()
	for k, v := range c.refusals {
		st.Refused[k] = v
	}
	c.mu.Unlock()
	h.mu.Lock()
	st.Channels = len(h.channels)
	encodings := h.encodings
	h.mu.Unlock()
	for _, s := range h.shards {
		sc := &s.counters
		st.Bytes += sc.bytes.Load()
		st.Behind += int(sc.behind.Load())
		st.Loops += sc.loops.Load()
		st.LoopTime += time.Duration(sc.loopNanos.Load())
		for i, e := range encodings {
			st.Delivered[e.format.Name()] += sc.delivered[i].Load()
		}
		sc.mu.Lock()
		for k, v := range sc.open {
			st.Open[k] += v
		}
		for k, v := range sc.opens {
			st.Opened[k] += v
		}
		for k, v := range sc.closes {
			st.Closed[k] += v
		}
		for k, v := range sc.gaps {
			st.Gaps[k] += v
		}
		sc.mu.Unlock()
	}
	return st
}

// Streams is how many are open.
func (st Stats) Streams() (n int) {
	for _, v := range st.Open {
		n += v
	}
	return n
}

// Health is nil while the hub takes events and delivers them, and otherwise
// says what is wrong.
func (h *Hub) Health() error {
	if h.Closing() {
		return event.ErrClosed
	}
	if err := h.counters.trouble.Load(); err != nil {
		return *err
	}
	if h.follower != nil {
		if err := h.follower.trouble.Load(); err != nil {
			return *err
		}
	}
	return nil
}
