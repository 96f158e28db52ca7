package file

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"

	bolt "go.etcd.io/bbolt"

	"github.com/seed-078801ba/sidestream/stream/event"
)

// Inspection is a look at a file that nobody writes. It changes nothing.
type Inspection struct {
	path   string
	db     *bolt.DB
	opened openedDB
}

// Inspect opens the file of a log to look at it: ErrLocked while a server
// runs on it, otherwise the errors of Open.
func Inspect(path string) (*Inspection, error) {
	opened, err := openDB(path, Options{LockTimeout: defaultLockTimeout}, true)
	if errors.Is(err, ErrLocked) {
		return nil, fmt.Errorf("%w: stop the server, or look at a copy", err)
	}
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("there is no log: %w", err)
	}
	if err != nil {
		return nil, err
	}
	return &Inspection{path: path, db: opened.db, opened: opened}, nil
}

// Close ends the inspection.
func (i *Inspection) Close() error { return i.db.Close() }

// Summary is what a file holds.
type Summary struct {
	Head     event.Cursor
	Oldest   uint64 // Seq of the oldest retained entry, 0 if none
	Events   uint64
	Bytes    int64 // of encoded events
	Channels uint64
	FileSize int64
	Free     int64 // bytes of the file that are used again before it grows
	// Unclean: it was written without sync and not closed.
	Unclean bool
}

// Summary sums up the file.
func (i *Inspection) Summary() (Summary, error) {
	state, recent := i.opened.state, i.opened.recent
	stats := state.stats(recent)
	s := Summary{
		Head:   event.Cursor{Epoch: i.opened.epoch, Seq: state.seq, Tag: state.tag},
		Events: stats.Events, Bytes: stats.Bytes, Channels: stats.Channels, Unclean: i.opened.unsafe,
	}
	info, err := i.opened.file.Stat()
	if err != nil {
		return s, err
	}
	s.FileSize = info.Size()
	err = i.view(func(tx *bolt.Tx) (err error) {
		if s.Oldest, err = oldest(tx, recent.first()); err != nil {
			return err
		}
		used, err := usedBytes(tx)
		s.Free = s.FileSize - used
		return err
	})
	return s, err
}

// usedBytes is the size of the pages in use.
func usedBytes(tx *bolt.Tx) (bytes int64, err error) {
	err = tx.ForEach(func(_ []byte, b *bolt.Bucket) error {
		s := b.Stats()
		bytes += int64(s.BranchAlloc) + int64(s.LeafAlloc)
		return nil
	})
	return bytes, err
}

func (i *Inspection) view(do func(tx *bolt.Tx) error) error {
	return guard(i.path, func() error { return i.db.View(do) })
}

// ChannelSummary is what a file holds of one channel.
type ChannelSummary struct {
	Name    string
	Events  uint64
	Bytes   int64  // of encoded events
	First   uint64 // Seq of the oldest retained entry, 0 if none
	Last    uint64 // Seq of the newest entry, retained or not
	Trimmed uint64 // Seq of the newest entry that was lost to retention
}

// Channels calls yield for each channel, in the order in which they came up.
func (i *Inspection) Channels(yield func(ChannelSummary) error) error {
	return i.view(func(tx *bolt.Tx) error {
		events := bucketOf(tx, bucketEvents).Cursor()
		recent := maps.Clone(i.opened.recent.channels)
		err := bucketOf(tx, bucketChannels).ForEach(func(k, v []byte) error {
			number, row, err := parseChannelRecord(k, v)
			if err != nil {
				return err
			}
			s := ChannelSummary{Name: row.name, Events: row.events, Bytes: row.bytes, Last: row.last, Trimmed: row.trimmed}
			if at, _ := events.Seek(appendNumber(appendNumber(nil, number), 0)); at != nil && row.events > 0 {
				if _, s.First, err = twoNumbers(at); err != nil {
					return err
				}
			}
			if c := recent[row.name]; c != nil {
				s.add(c)
				delete(recent, row.name)
			}
			return yield(s)
		})
		if err != nil {
			return err
		}
		for _, c := range inOrder(maps.Values(recent)) {
			s := ChannelSummary{Name: c.entries[0].Channel.Text, Trimmed: i.opened.state.forgotten}
			s.add(c)
			if err := yield(s); err != nil {
				return err
			}
		}
		return nil
	})
}

func (s *ChannelSummary) add(c *recentChannel) {
	s.Events += uint64(len(c.entries))
	s.Bytes = c.settledBytes + c.bytes
	if s.First == 0 {
		s.First = c.entries[0].Seq
	}
	s.Last = c.entries[len(c.entries)-1].Seq
}

// Entries calls yield for each retained entry in the order of the log: all of
// them, or those of some channels.
func (i *Inspection) Entries(yield func(event.Entry) error, channels ...string) error {
	wanted := map[string]bool{}
	for _, name := range channels {
		wanted[name] = true
	}
	choose := func(entry event.Entry) error {
		if len(wanted) > 0 && !wanted[entry.Channel.Text] {
			return nil
		}
		return yield(entry)
	}
	return i.view(func(tx *bolt.Tx) error {
		err := bucketOf(tx, bucketOrder).ForEach(func(k, v []byte) error {
			entry, err := checkEntry(tx, k, v)
			if err != nil {
				return err
			}
			if now := i.opened.recent.rewritten[entry.Seq]; now != nil {
				entry = now.Entry
			}
			return choose(entry)
		})
		if err != nil {
			return err
		}
		for _, e := range i.opened.recent.entries {
			if now := i.opened.recent.rewritten[e.Seq]; now != nil {
				e = now
			}
			if err := choose(e.Entry); err != nil {
				return err
			}
		}
		return nil
	})
}
