package file

import (
	"bytes"
	"errors"
	"fmt"
	"sort"
	"time"

	bolt "go.etcd.io/bbolt"

	"github.com/seed-078801ba/sidestream/stream/event"
	"github.com/seed-078801ba/sidestream/stream/log"
)

// errHole is the error of a channel that lacks an entry that it should have.
var errHole = errors.New("an entry is missing")

func bucketOf(tx *bolt.Tx, name string) *bolt.Bucket { return tx.Bucket(nameOf[name]) }

// lookup is the value of a key, without its checksum; nil if there is none.
// What is not there is looked for twice: bbolt's inner pages have no checksum,
// and a damaged one, or a damaged key, would make things disappear. So the
// neighbours of the missing key must be whole and stand on its two sides.
func lookup(tx *bolt.Tx, bucket string, key []byte) ([]byte, error) {
	cursor := bucketOf(tx, bucket).Cursor()
	k, v := cursor.Seek(key)
	if bytes.Equal(k, key) {
		value, err := unseal(bucket, k, v)
		if err == nil && value == nil {
			value = []byte{}
		}
		return value, err
	}
	if k != nil {
		if _, err := unseal(bucket, k, v); err != nil || bytes.Compare(k, key) < 0 {
			return nil, errRecord
		}
		k, v = cursor.Prev()
	} else {
		k, v = cursor.Last()
	}
	if k != nil {
		if _, err := unseal(bucket, k, v); err != nil || bytes.Compare(k, key) >= 0 {
			return nil, errRecord
		}
	}
	return nil, nil
}

// channelNumber finds a channel by name.
func channelNumber(tx *bolt.Tx, name string) (number uint64, ok bool, err error) {
	value, err := lookup(tx, bucketNames, appendText(nil, name))
	if value == nil || err != nil {
		return 0, false, err
	}
	number, err = oneNumber(value)
	return number, err == nil, err
}

func channelByNumber(tx *bolt.Tx, number uint64) (*channelRow, error) {
	key := appendNumber(nil, number)
	_, row, err := parseChannelRecord(key, bucketOf(tx, bucketChannels).Get(key))
	return row, err
}

func parseChannelRecord(key, value []byte) (number uint64, row *channelRow, err error) {
	if number, err = oneNumber(key); err != nil {
		return 0, nil, err
	}
	if value, err = unseal(bucketChannels, key, value); err != nil {
		return 0, nil, err
	}
	row, err = parseChannel(number, value)
	return number, row, err
}

// channelByName is the row of a channel, nil if it is not known.
func channelByName(tx *bolt.Tx, name string) (*channelRow, error) {
	number, ok, err := channelNumber(tx, name)
	if !ok || err != nil {
		return nil, err
	}
	return channelByNumber(tx, number)
}

func tagAt(tx *bolt.Tx, seq uint64) (tag event.Tag, ok bool, err error) {
	key := appendNumber(nil, seq)
	value, err := lookup(tx, bucketOrder, key)
	if err != nil {
		return 0, false, err
	}
	if value != nil {
		row, err := parseOrderValue(value)
		return row.tag, err == nil, err
	}
	if value, err = lookup(tx, bucketTaken, key); value == nil || err != nil {
		return 0, false, err
	}
	row, err := parseTakenValue(value)
	return row.tag, err == nil, err
}

// Read implements Log. It checks every record and that none is missing.
func (f *Log) Read(channels []string, after, upto uint64, limit, maxBytes int) (entries []event.Entry, more bool, err error) {
	// A transaction that is not acknowledged yet may be visible in the file.
	upto = min(upto, f.state.Load().seq)
	if after >= upto {
		return nil, false, nil
	}
	channels = log.Distinct(channels)
	recents, generation, changed := f.recentOf(channels)
	err = f.view(func(tx *bolt.Tx) error {
		state, err := loadState(tx)
		if err != nil {
			return err
		}
		now := changed
		if state.generation != generation {
			now = nil // it has been settled since, with more perhaps
		}
		var runs []log.Run
		for i, name := range channels {
			// Some of it may have been settled since.
			if rest := between(recents[i], max(after, state.seq), upto); len(rest) > 0 {
				runs = append(runs, &recentRun{rest, now})
			}
			row, err := channelByName(tx, name)
			if err != nil {
				return err
			}
			if row == nil || row.last <= after || row.events == 0 {
				continue
			}
			run := &settledRun{row: row, cursor: bucketOf(tx, bucketEvents).Cursor(), last: max(after, row.trimmed), upto: upto, rewritten: now}
			k, v := run.cursor.Seek(appendNumber(appendNumber(nil, row.number), after+1))
			more, err := run.load(k, v)
			if err != nil {
				return err
			}
			if more {
				runs = append(runs, run)
			}
		}
		entries, more, err = log.Merge(runs, limit, maxBytes)
		return err
	})
	if err != nil {
		return nil, false, fmt.Errorf("reading the log: %w", err)
	}
	return entries, more, nil
}

// recentOf is what is recent of each channel, and what was rewritten since that
// generation. What is settled later is in the file: look here first, then there.
func (f *Log) recentOf(channels []string) (recents [][]*recentEntry, generation uint64, changed map[uint64]*recentEntry) {
	f.recentMu.RLock()
	defer f.recentMu.RUnlock()
	recents = make([][]*recentEntry, len(channels))
	for i, name := range channels {
		if c := f.recent.channels[name]; c != nil {
			recents[i] = c.entries
		}
	}
	return recents, f.state.Load().generation, rewritten(f.recent.rewrites)
}

// settledRun is the settled part of a channel that is being read.
type settledRun struct {
	row    *channelRow
	cursor *bolt.Cursor
	last   uint64 // there is nothing to be read up to here
	upto   uint64
	record eventRecord

	rewritten map[uint64]*recentEntry
}

func (r *settledRun) Seq() uint64 { return r.record.seq }
func (r *settledRun) Size() int   { return len(r.record.encoded) }

func (r *settledRun) Next() (event.Entry, bool, error) {
	entry, err := r.record.entry()
	if err != nil {
		return entry, false, err
	}
	if entry.Channel.Text != r.row.name {
		return entry, false, errRecord
	}
	r.last = entry.Seq
	more, err := r.load(r.cursor.Next())
	return entry, more, err
}

// load takes the record at the cursor if it belongs to the run. It follows the
// chain of predecessors, so that a lost record is an error and no hole.
func (r *settledRun) load(key, value []byte) (more bool, err error) {
	if key != nil {
		number, seq, err := twoNumbers(key)
		if err != nil {
			return false, err
		}
		if number < r.row.number || number == r.row.number && seq <= r.last {
			return false, errRecord // out of order
		}
		if number == r.row.number {
			if _, r.record, err = parseEvent(key, value); err != nil {
				return false, err
			}
			if r.record.prev > r.last {
				return false, errHole
			}
			if e := r.rewritten[seq]; e != nil {
				r.record.encoded = e.encoded
			}
			return seq <= r.upto, nil
		}
	}
	if r.row.last > r.last {
		return false, errHole
	}
	return false, nil
}

// Trimmed implements Log.
func (f *Log) Trimmed(channel string) (seq uint64, err error) {
	err = f.view(func(tx *bolt.Tx) error {
		row, err := channelByName(tx, channel)
		if err != nil {
			return err
		}
		if row != nil {
			seq = row.trimmed
			return nil
		}
		state, err := loadState(tx)
		seq = state.forgotten
		return err
	})
	return seq, err
}

// TagAt implements Log.
func (f *Log) TagAt(seq uint64) (tag event.Tag, ok bool, err error) {
	if seq > f.state.Load().seq {
		return 0, false, nil
	}
	if e := f.recentAt(seq); e != nil {
		return e.Tag, true, nil
	}
	err = f.view(func(tx *bolt.Tx) error {
		tag, ok, err = tagAt(tx, seq)
		return err
	})
	return tag, ok, err
}

func (f *Log) recentAt(seq uint64) *recentEntry {
	f.recentMu.RLock()
	defer f.recentMu.RUnlock()
	return f.recent.at(seq)
}

// SeqOf implements Log.
func (f *Log) SeqOf(channel, id string) (seq uint64, ok bool, err error) {
	key := appendText(nil, event.CreateKey(channel, id))
	head := f.state.Load().seq
	if e := f.recentByKey(key); e != nil {
		return e.Seq, true, nil
	}
	err = f.view(func(tx *bolt.Tx) error {
		value, err := lookup(tx, bucketKeys, key)
		if value == nil || err != nil {
			return err
		}
		row, err := parseKeyValue(value)
		if err == nil && row.seq <= head {
			seq, ok = row.seq, true
		}
		return err
	})
	return seq, ok, err
}

func (f *Log) recentByKey(key []byte) *recentEntry {
	f.recentMu.RLock()
	defer f.recentMu.RUnlock()
	return f.recent.keys[string(key)]
}

// SeqBefore implements Log. It is exact for every entry that is retained or
// in its key window.
func (f *Log) SeqBefore(t time.Time) (seq uint64, err error) {
	at := log.MillisCeil(t)
	head := f.state.Load().seq
	if seq := f.recentBefore(at); seq > 0 {
		return seq, nil
	}
	err = f.view(func(tx *bolt.Tx) error {
		state, err := loadState(tx)
		if err != nil {
			return err
		}
		if state.expiredAt < at {
			seq = state.expired
		}
		inOrder, err := lastBefore(bucketOf(tx, bucketOrder), head, at, func(k, v []byte) (uint64, int64, error) {
			seq, row, err := parseOrder(k, v)
			return seq, row.at, err
		})
		if err != nil {
			return err
		}
		inTaken, err := lastBefore(bucketOf(tx, bucketTaken), head, at, func(k, v []byte) (uint64, int64, error) {
			seq, row, err := parseTaken(k, v)
			return seq, row.at, err
		})
		seq = max(seq, inOrder, inTaken)
		return err
	})
	return seq, err
}

// recentBefore is the last recent seq before a time, 0 if there is none.
func (f *Log) recentBefore(at int64) uint64 {
	f.recentMu.RLock()
	defer f.recentMu.RUnlock()
	entries := f.recent.entries
	if i := sort.Search(len(entries), func(i int) bool { return entries[i].At >= at }); i > 0 {
		return entries[i-1].Seq
	}
	return 0
}

// lastBefore is the last seq up to head in the bucket whose time is less than
// at: a search by halves over the numbers, because times and numbers rise
// together.
func lastBefore(b *bolt.Bucket, head uint64, at int64, parse func(k, v []byte) (uint64, int64, error)) (last uint64, err error) {
	cursor := b.Cursor()
	k, _ := cursor.First()
	if k == nil {
		return 0, nil
	}
	first, err := oneNumber(k)
	if err != nil || first > head {
		return 0, err
	}
	sort.Search(int(head-first)+1, func(i int) bool {
		if err != nil {
			return true
		}
		k, v := cursor.Seek(appendNumber(nil, first+uint64(i)))
		if k == nil {
			return true
		}
		var seq uint64
		var taken int64
		if seq, taken, err = parse(k, v); err != nil {
			return true
		}
		if taken < at && seq <= head {
			last = max(last, seq)
			return false
		}
		return true
	})
	return last, err
}

// Mark implements Log.
func (f *Log) Mark(source string) (value string, err error) {
	if value, ok := f.recentMark(source); ok {
		return value, nil
	}
	err = f.view(func(tx *bolt.Tx) error {
		b, err := lookup(tx, bucketMarks, appendText(nil, source))
		value = string(b)
		return err
	})
	return value, err
}

func (f *Log) recentMark(source string) (value string, ok bool) {
	f.recentMu.RLock()
	defer f.recentMu.RUnlock()
	value, ok = f.recent.marks[source]
	return value, ok
}

// oldest is the first retained entry, 0 if there is none.
func (f *Log) oldest() (seq uint64, err error) {
	recent := f.firstRecent()
	err = f.view(func(tx *bolt.Tx) error {
		seq, err = oldest(tx, recent)
		return err
	})
	return seq, err
}

func (f *Log) firstRecent() uint64 {
	f.recentMu.RLock()
	defer f.recentMu.RUnlock()
	return f.recent.first()
}

// oldest is the first retained entry of a file; recent is the first one that is
// not settled, 0 if there is none.
func oldest(tx *bolt.Tx, recent uint64) (uint64, error) {
	if k, _ := bucketOf(tx, bucketOrder).Cursor().First(); k != nil {
		return oneNumber(k)
	}
	return recent, nil
}
