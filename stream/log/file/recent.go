package file

import (
	"maps"
	"sort"

	bolt "go.etcd.io/bbolt"

	"github.com/seed-078801ba/sidestream/stream/event"
	"github.com/seed-078801ba/sidestream/stream/log"
)

const (
	// journalEvents is what the journal holds at most: more of it makes settling
	// cheaper, and the longest commit longer.
	journalEvents = 2048
	// journalShare is how much of what a channel keeps may stand in the journal
	// while the channel is over its bounds: one part in so many. Then it is
	// settled and trimmed.
	journalShare = 32
)

// recent is what stands in the journal and is not settled yet. It is changed by
// Append's goroutine only, with Log.recentMu held; entries and channels that
// were read from it never change.
type recent struct {
	entries  []*recentEntry // without holes
	channels map[string]*recentChannel
	keys     map[string]*recentEntry
	marks    map[string]string
	bytes    int64

	// What edits and deletions have made of entries, recent and settled ones, in
	// order: a reader that took the list before more came knows what was true then.
	rewrites []*recentEntry
	// rewritten is the same by number, the newest; latest are the newest changes of
	// messages, by their keys in the keys bucket. Both are Append's goroutine's own.
	rewritten map[uint64]*recentEntry
	latest    map[string]keyRow
}

type recentEntry struct {
	event.Entry
	encoded []byte
	key     string // in the keys bucket, "" if it has none
	content uint64
	message string // in the keys bucket, of the message that it changes; "" if none
}

// recentChannel is what is recent of a channel, and what else it has.
type recentChannel struct {
	entries       []*recentEntry
	bytes         int64
	settled       uint64 // retained events that are settled
	settledBytes  int64
	overRetention bool // when it was last appended to
}

func newRecent() *recent {
	return &recent{channels: map[string]*recentChannel{}, keys: map[string]*recentEntry{}, marks: map[string]string{},
		rewritten: map[uint64]*recentEntry{}, latest: map[string]keyRow{}}
}

// add appends an entry to r, which is to follow before.
func (r *recent) add(tx *bolt.Tx, before *recent, e *recentEntry) error {
	c := r.channels[e.Channel.Text]
	if c == nil {
		c = new(recentChannel)
		if known := before.channels[e.Channel.Text]; known != nil {
			*c = *known
		} else if row, err := channelByName(tx, e.Channel.Text); err != nil {
			return err
		} else if row != nil {
			c.settled, c.settledBytes = row.events, row.bytes
		}
		r.channels[e.Channel.Text] = c
	}
	c.entries = append(c.entries, e)
	c.bytes += int64(len(e.encoded))
	r.entries = append(r.entries, e)
	r.bytes += int64(len(e.encoded))
	if e.key != "" {
		r.keys[e.key] = e
	}
	return nil
}

// extend takes over what follows r.
func (r *recent) extend(next *recent) {
	r.entries = append(r.entries, next.entries...)
	r.bytes += next.bytes
	maps.Copy(r.channels, next.channels)
	maps.Copy(r.keys, next.keys)
	maps.Copy(r.marks, next.marks)
	r.rewrites = append(r.rewrites, next.rewrites...)
	maps.Copy(r.rewritten, next.rewritten)
	maps.Copy(r.latest, next.latest)
}

// isEmpty tells whether there is nothing to be stored.
func (r *recent) isEmpty() bool { return len(r.entries) == 0 && len(r.marks) == 0 }

// due tells whether the channel is over its bounds by so much that it has to be
// settled.
func (c *recentChannel) due(r log.Retention) bool {
	n := uint64(len(c.entries))
	return r.Events > 0 && c.settled+n > uint64(r.Events) && journalShare*n >= uint64(r.Events) ||
		r.Bytes > 0 && c.settledBytes+c.bytes > r.Bytes && journalShare*c.bytes >= r.Bytes
}

// between is the recent entries with after < Seq <= upto.
func between(entries []*recentEntry, after, upto uint64) []*recentEntry {
	from := sort.Search(len(entries), func(i int) bool { return entries[i].Seq > after })
	entries = entries[from:]
	return entries[:sort.Search(len(entries), func(i int) bool { return entries[i].Seq > upto })]
}

// at is the entry with this number, nil if it is not recent.
func (r *recent) at(seq uint64) *recentEntry {
	if len(r.entries) == 0 || seq < r.entries[0].Seq || seq-r.entries[0].Seq >= uint64(len(r.entries)) {
		return nil
	}
	return r.entries[seq-r.entries[0].Seq]
}

// first is the number of the first entry, 0 if there is none.
func (r *recent) first() uint64 {
	if len(r.entries) == 0 {
		return 0
	}
	return r.entries[0].Seq
}

// rewritten is what a list of rewrites makes of entries, by number; nil for nothing.
func rewritten(rewrites []*recentEntry) map[uint64]*recentEntry {
	if len(rewrites) == 0 {
		return nil
	}
	now := make(map[uint64]*recentEntry, len(rewrites))
	for _, e := range rewrites {
		now[e.Seq] = e
	}
	return now
}

// recentRun is the recent part of a channel that is being read.
type recentRun struct {
	rest      []*recentEntry
	rewritten map[uint64]*recentEntry
}

func (r *recentRun) first() *recentEntry {
	if e := r.rewritten[r.rest[0].Seq]; e != nil {
		return e
	}
	return r.rest[0]
}

func (r *recentRun) Seq() uint64 { return r.rest[0].Seq }
func (r *recentRun) Size() int   { return len(r.first().encoded) }
func (r *recentRun) Next() (entry event.Entry, more bool, err error) {
	entry, r.rest = r.first().Entry, r.rest[1:]
	return entry, len(r.rest) > 0, nil
}
