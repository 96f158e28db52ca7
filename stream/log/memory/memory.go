// Package memory keeps a hub's log in this process's memory: the fastest kind,
// and gone with the process. What was acknowledged is not durable.
package memory

import (
	"container/heap"
	"crypto/sha256"
	"math"
	"slices"
	"sort"
	"sync"
	"time"

	"github.com/seed-078801ba/sidestream/stream/event"
	"github.com/seed-078801ba/sidestream/stream/log"
)

// maxKeys bounds the keys that outlive their events, about 100 bytes
// each: past it, the oldest are forgotten before their time.
const maxKeys = 1 << 20

// Log is a log.Log that lives as long as the process: every one has an epoch of
// its own. It keeps the binary form of its events, which takes a third of the memory
// that the events would take; readers get events of their own.
type Log struct {
	now func() time.Time

	mu        sync.RWMutex
	epoch     event.Epoch
	head      event.Cursor
	clock     log.Clock
	retention log.Retention
	channels  map[string]*channel
	largest   bySize // the channels with events
	known     []ref
	dead      int    // of known: neither retained nor a key in its window
	aged      uint64 // every entry up to here was lost to its age
	expired   uint64 // the key window of every entry up to here is over
	expiredAt int64
	keys      map[digest]first
	latest    map[digest]change // of each message that was edited or deleted, by MessageKey
	changes   map[uint64]digest // the messages that remembered entries have changed
	marks     map[string]string
	emptied   []emptiedChannel
	forgotten uint64     // the newest entry that a forgotten channel lost
	scan      []*channel // still to be held to a new retention
	stats     log.Stats
	// What the retained events cost, and what outlives them: see cost.go.
	held, remembered int64

	tags    event.Tags
	scratch []byte

	recordsMu sync.Mutex
	records   log.RecordTable
}

type digest [16]byte

func digestOf(key string) digest {
	sum := sha256.Sum256([]byte(key))
	return digest(sum[:16])
}

// first is where the event with a key stands.
type first struct{ seq, content uint64 }

// ref is what is known of an entry, in the order of the log, as long as
// it is retained or its key is remembered.
type ref struct {
	seq     uint64
	at      int64
	channel *channel
	tag     event.Tag
	keyed   bool
	key     digest
}

func (r *ref) retained() bool { return r.seq > r.channel.trimmed }

type channel struct {
	name    string
	entries []entry // retained ones, from first on
	first   int
	bytes   int64
	trimmed uint64 // every entry up to here is lost
	index   int    // in Log.largest, -1 if empty
}

func (c *channel) count() int { return len(c.entries) - c.first }

// entry is a retained event.
type entry struct {
	seq     uint64
	at      int64
	tag     event.Tag
	encoded []byte // as event.AppendBinary has it
}

func (e *entry) size() int64 { return int64(len(e.encoded)) }

// decode is the event in its place.
func (e *entry) decode() (event.Entry, error) {
	said, err := event.DecodeBinary(e.encoded)
	return event.Entry{Seq: e.seq, Tag: e.tag, At: e.at, Event: said}, err
}

type emptiedChannel struct {
	channel *channel
	trimmed uint64
}

// New makes an empty log. now is the clock; nil means time.Now.
func New(r log.Retention, now func() time.Time) *Log {
	if now == nil {
		now = time.Now
	}
	epoch := event.NewEpoch()
	return &Log{
		now: now, epoch: epoch, head: event.Cursor{Epoch: epoch}, clock: log.NewClock(now(), 0), retention: r,
		channels: map[string]*channel{}, keys: map[digest]first{}, latest: map[digest]change{}, changes: map[uint64]digest{}, marks: map[string]string{},
	}
}

// Append implements Log. It never fails.
func (m *Log) Append(events []event.Event, marks []event.Mark) ([]log.Appended, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	at := m.clock.Take(m.now())
	results := make([]log.Appended, len(events))
	for i := range events {
		results[i] = m.add(&events[i], at)
	}
	for i := range results {
		if !results[i].Duplicate {
			m.trimChannel(m.channels[events[i].Channel.Text], log.StepEvents)
		}
	}
	for m.crowded() {
		m.trimFirst(m.largest[0])
	}
	if m.forgetful() {
		for m.expireKeys(math.MinInt64) {
		}
		m.forget()
		m.compact()
	}
	for _, mark := range marks {
		m.marks[mark.Source] = mark.Value
	}
	m.stats.Appends++
	return results, nil
}

func (m *Log) add(given *event.Event, at int64) log.Appended {
	e, changed := m.keep(given)
	ref := ref{at: at}
	if key := e.Key(); key != "" {
		ref.keyed, ref.key = true, digestOf(key)
		var content uint64
		content, m.scratch = log.ContentOf(given, m.scratch)
		if first, ok := m.keys[ref.key]; ok {
			tag, _ := m.tagAt(first.seq)
			return log.Appended{
				Entry:     event.Entry{Seq: first.seq, Tag: tag},
				Duplicate: true, Conflict: log.Conflict(first.content, content),
			}
		}
		if changed {
			content = 0
		}
		m.keys[ref.key] = first{m.head.Seq + 1, content}
	}
	m.scratch = e.AppendBinary(m.scratch[:0])
	ref.seq = m.head.Seq + 1
	ref.tag = m.tags.Next()
	c := m.channels[e.Channel.Text]
	if c == nil {
		c = &channel{name: e.Channel.Text, trimmed: m.forgotten, index: -1}
		m.channels[c.name] = c
		m.remembered += c.cost()
	}
	ref.channel = c
	kept := entry{seq: ref.seq, at: at, tag: ref.tag, encoded: slices.Clone(m.scratch)}
	c.entries = append(c.entries, kept)
	c.bytes += kept.size()
	m.known = append(m.known, ref)
	m.head.Seq, m.head.Tag = ref.seq, ref.tag
	m.stats.Events++
	m.stats.Bytes += kept.size()
	m.held += kept.cost()
	if e.Changes() {
		m.change(&e, ref.seq)
	}
	m.resize(c)
	return log.Appended{Entry: event.Entry{Seq: ref.seq, Tag: ref.tag, At: at, Event: e}}
}

// Head implements Log.
func (m *Log) Head() event.Cursor {
	m.mu.RLock()
	defer m.mu.RUnlock()
	return m.head
}

// Read implements Log.
func (m *Log) Read(channels []string, after, upto uint64, limit, maxBytes int) ([]event.Entry, bool, error) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	upto = min(upto, m.head.Seq)
	var runs []*run
	for _, name := range log.Distinct(channels) {
		if c := m.channels[name]; c != nil {
			retained := c.entries[c.first:]
			from := sort.Search(len(retained), func(i int) bool { return retained[i].seq > after })
			end := from + sort.Search(len(retained)-from, func(i int) bool { return retained[from+i].seq > upto })
			if from < end {
				runs = append(runs, &run{retained[from:end]})
			}
		}
	}
	return log.Merge(runs, limit, maxBytes)
}

// run is the part of a channel that is being read.
type run struct{ rest []entry }

func (r *run) Seq() uint64 { return r.rest[0].seq }
func (r *run) Size() int   { return len(r.rest[0].encoded) }
func (r *run) Next() (e event.Entry, more bool, err error) {
	e, err = r.rest[0].decode()
	r.rest = r.rest[1:]
	return e, len(r.rest) > 0, err
}

// Trimmed implements Log.
func (m *Log) Trimmed(channel string) (uint64, error) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	if c := m.channels[channel]; c != nil {
		return c.trimmed, nil
	}
	return m.forgotten, nil
}

// TagAt implements Log.
func (m *Log) TagAt(seq uint64) (event.Tag, bool, error) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	tag, ok := m.tagAt(seq)
	return tag, ok, nil
}

func (m *Log) tagAt(seq uint64) (event.Tag, bool) {
	i := m.find(seq)
	if i == len(m.known) || m.known[i].seq != seq {
		return 0, false
	}
	return m.known[i].tag, true
}

// find is the index of the first known entry that is not before seq.
func (m *Log) find(seq uint64) int {
	return sort.Search(len(m.known), func(i int) bool { return m.known[i].seq >= seq })
}

// SeqOf implements Log.
func (m *Log) SeqOf(channel, id string) (uint64, bool, error) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	first, ok := m.keys[digestOf(event.CreateKey(channel, id))]
	return first.seq, ok, nil
}

// SeqBefore implements Log.
func (m *Log) SeqBefore(t time.Time) (uint64, error) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	at := log.MillisCeil(t)
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
func (m *Log) Mark(source string) (string, error) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	return m.marks[source], nil
}

// SetRetention implements Log.
func (m *Log) SetRetention(r log.Retention) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.retention = r
	m.scan = slices.Clone([]*channel(m.largest))
}

// Stats implements Log.
func (m *Log) Stats() log.Stats {
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
func (m *Log) Durable() bool { return false }

// Grouped implements Log.
func (m *Log) Grouped() bool { return false }

// Close implements Log.
func (m *Log) Close() error { return nil }

// bySize is a heap of the channels with events, the one with the most bytes
// first.
type bySize []*channel

func (h bySize) Len() int           { return len(h) }
func (h bySize) Less(i, j int) bool { return h[i].bytes > h[j].bytes }
func (h bySize) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].index, h[j].index = i, j
}

func (h *bySize) Push(x any) {
	c := x.(*channel)
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
