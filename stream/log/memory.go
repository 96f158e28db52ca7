package log

import (
	"container/heap"
	"crypto/sha256"
	"slices"
	"sort"
	"sync"
	"time"

	"github.com/seed-078801ba/sidestream/stream/event"
)

// maxMemoryKeys bounds the keys that outlive their events, about 100 bytes
// each: past it, the oldest are forgotten before their time.
const maxMemoryKeys = 1 << 20

// Memory is a Log that lives as long as the process: every one has an epoch of
// its own. It keeps the events that it is given, so their payloads are shared
// with whoever else holds them.
type Memory struct {
	now func() time.Time

	mu        sync.RWMutex
	epoch     event.Epoch
	head      event.Cursor
	clock     clock
	retention Retention
	channels  map[string]*memoryChannel
	largest   bySize // the channels with events
	known     []memoryRef
	dead      int    // of known: neither retained nor a key in its window
	aged      uint64 // every entry up to here was lost to its age
	expired   uint64 // the key window of every entry up to here is over
	expiredAt int64
	keys      map[memoryKey]memoryPlace
	marks     map[string]string
	emptied   []emptiedChannel
	forgotten uint64           // the newest entry that a forgotten channel lost
	scan      []*memoryChannel // still to be held to a new retention
	stats     Stats
	scratch   []byte
}

type memoryKey [16]byte

// memoryPlace is where the event with a key stands.
type memoryPlace struct{ seq, content uint64 }

// memoryRef is what is known of an entry, in the order of the log, as long as
// it is retained or its key is remembered.
type memoryRef struct {
	seq     uint64
	at      int64
	channel *memoryChannel
	tag     event.Tag
	keyed   bool
	key     memoryKey
}

func (r *memoryRef) retained() bool { return r.seq > r.channel.trimmed }

type memoryChannel struct {
	name    string
	entries []*memoryEntry // retained ones, from first on
	first   int
	bytes   int64
	trimmed uint64 // every entry up to here is lost
	index   int    // in Memory.largest, -1 if empty
}

func (c *memoryChannel) count() int { return len(c.entries) - c.first }

type memoryEntry struct {
	event.Entry
	size int
}

type emptiedChannel struct {
	channel *memoryChannel
	trimmed uint64
}

// NewMemory makes an empty log. now is the clock; nil means time.Now.
func NewMemory(r Retention, now func() time.Time) *Memory {
	if now == nil {
		now = time.Now
	}
	epoch := event.NewEpoch()
	return &Memory{
		now: now, epoch: epoch, head: event.Cursor{Epoch: epoch}, clock: newClock(now(), 0), retention: r,
		channels: map[string]*memoryChannel{}, keys: map[memoryKey]memoryPlace{}, marks: map[string]string{},
	}
}

// Append implements Log. It never fails.
func (m *Memory) Append(events []event.Event, marks []event.Mark) ([]Appended, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	at := m.clock.take(m.now())
	results := make([]Appended, len(events))
	for i := range events {
		results[i] = m.add(&events[i], at)
	}
	for i := range results {
		if !results[i].Duplicate {
			m.trimChannel(m.channels[events[i].Channel.Text], stepEvents)
		}
	}
	for m.retention.Total > 0 && m.stats.Bytes > m.retention.Total {
		m.trimFirst(m.largest[0])
	}
	for _, mark := range marks {
		m.marks[mark.Source] = mark.Value
	}
	m.stats.Appends++
	return results, nil
}

func (m *Memory) add(e *event.Event, at int64) Appended {
	ref := memoryRef{at: at}
	if key := e.Key(); key != "" {
		ref.keyed = true
		sum := sha256.Sum256([]byte(key))
		ref.key = memoryKey(sum[:16])
		var content uint64
		content, m.scratch = contentOf(e, m.scratch)
		if place, ok := m.keys[ref.key]; ok {
			tag, _ := m.tagAt(place.seq)
			return Appended{
				Entry:     event.Entry{Seq: place.seq, Tag: tag},
				Duplicate: true, Conflict: place.content != content,
			}
		}
		m.keys[ref.key] = memoryPlace{m.head.Seq + 1, content}
	}
	m.scratch = e.AppendBinary(m.scratch[:0])
	ref.seq = m.head.Seq + 1
	ref.tag = event.TagOf(ref.seq, m.scratch)
	c := m.channels[e.Channel.Text]
	if c == nil {
		c = &memoryChannel{name: e.Channel.Text, trimmed: m.forgotten, index: -1}
		m.channels[c.name] = c
	}
	ref.channel = c
	entry := &memoryEntry{event.Entry{Seq: ref.seq, Tag: ref.tag, At: at, Event: *e}, len(m.scratch)}
	c.entries = append(c.entries, entry)
	c.bytes += int64(entry.size)
	m.known = append(m.known, ref)
	m.head.Seq, m.head.Tag = ref.seq, ref.tag
	m.stats.Events++
	m.stats.Bytes += int64(entry.size)
	m.resize(c)
	return Appended{Entry: entry.Entry}
}

// Head implements Log.
func (m *Memory) Head() event.Cursor {
	m.mu.RLock()
	defer m.mu.RUnlock()
	return m.head
}

// Read implements Log.
func (m *Memory) Read(channels []string, after, upto uint64, limit, maxBytes int) ([]event.Entry, bool, error) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	upto = min(upto, m.head.Seq)
	var runs []*memoryRun
	for _, name := range distinct(channels) {
		if c := m.channels[name]; c != nil {
			retained := c.entries[c.first:]
			from := sort.Search(len(retained), func(i int) bool { return retained[i].Seq > after })
			end := from + sort.Search(len(retained)-from, func(i int) bool { return retained[from+i].Seq > upto })
			if from < end {
				runs = append(runs, &memoryRun{retained[from:end]})
			}
		}
	}
	return merge(runs, limit, maxBytes)
}

// memoryRun is the part of a channel that is being read.
type memoryRun struct{ rest []*memoryEntry }

func (r *memoryRun) seq() uint64 { return r.rest[0].Seq }
func (r *memoryRun) size() int   { return r.rest[0].size }
func (r *memoryRun) next() (entry event.Entry, more bool, err error) {
	entry, r.rest = r.rest[0].Entry, r.rest[1:]
	return entry, len(r.rest) > 0, nil
}

// Trimmed implements Log.
func (m *Memory) Trimmed(channel string) (uint64, error) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	if c := m.channels[channel]; c != nil {
		return c.trimmed, nil
	}
	return m.forgotten, nil
}

// TagAt implements Log.
func (m *Memory) TagAt(seq uint64) (event.Tag, bool, error) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	tag, ok := m.tagAt(seq)
	return tag, ok, nil
}

func (m *Memory) tagAt(seq uint64) (event.Tag, bool) {
	i := m.find(seq)
	if i == len(m.known) || m.known[i].seq != seq {
		return 0, false
	}
	return m.known[i].tag, true
}

// find is the index of the first known entry that is not before seq.
func (m *Memory) find(seq uint64) int {
	return sort.Search(len(m.known), func(i int) bool { return m.known[i].seq >= seq })
}

// SeqOf implements Log.
func (m *Memory) SeqOf(channel, id string) (uint64, bool, error) {
	sum := sha256.Sum256([]byte(event.CreateKey(channel, id)))
	m.mu.RLock()
	defer m.mu.RUnlock()
	place, ok := m.keys[memoryKey(sum[:16])]
	return place.seq, ok, nil
}

// SeqBefore implements Log.
func (m *Memory) SeqBefore(t time.Time) (uint64, error) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	at := millisCeil(t)
	var seq uint64
	if m.expiredAt < at {
		seq = m.expired
	}
	if i := sort.Search(len(m.known), func(i int) bool { return m.known[i].at >= at }); i > 0 {
		seq = max(seq, m.known[i-1].seq)
	}
	return seq, nil
}

// Mark implements Log.
func (m *Memory) Mark(source string) (string, error) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	return m.marks[source], nil
}

// SetRetention implements Log.
func (m *Memory) SetRetention(r Retention) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.retention = r
	m.scan = slices.Clone([]*memoryChannel(m.largest))
}

// Stats implements Log.
func (m *Memory) Stats() Stats {
	m.mu.RLock()
	defer m.mu.RUnlock()
	s := m.stats
	s.Channels = uint64(len(m.largest))
	for i := m.find(m.aged + 1); i < len(m.known); i++ {
		if m.known[i].retained() {
			s.Oldest = m.known[i].seq
			break
		}
	}
	return s
}

// Durable implements Log: what is in memory is lost with the process.
func (m *Memory) Durable() bool { return false }

// Grouped implements Log.
func (m *Memory) Grouped() bool { return false }

// Close implements Log.
func (m *Memory) Close() error { return nil }

// bySize is a heap of the channels with events, the one with the most bytes
// first.
type bySize []*memoryChannel

func (h bySize) Len() int           { return len(h) }
func (h bySize) Less(i, j int) bool { return h[i].bytes > h[j].bytes }
func (h bySize) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].index, h[j].index = i, j
}

func (h *bySize) Push(x any) {
	c := x.(*memoryChannel)
	c.index = len(*h)
	*h = append(*h, c)
}

func (h *bySize) Pop() any {
	last := len(*h) - 1
	c := (*h)[last]
	(*h)[last], c.index = nil, -1
	*h = (*h)[:last]
	return c
}

var _ heap.Interface = (*bySize)(nil)
