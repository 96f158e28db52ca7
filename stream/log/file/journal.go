package file

import (
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"maps"
	"os"

	bolt "go.etcd.io/bbolt"

	"github.com/seed-078801ba/sidestream/stream/event"
	"github.com/seed-078801ba/sidestream/stream/log"
)

// What is appended goes to the journal first: one write and one sync, however
// many channels it is for. Now and then, all that stands there is settled: moved
// to the buckets that are read, many events of a channel at once, by a
// transaction of bbolt. In between, it is read from memory (see recent).
//
// The journal is the only value of its bucket, large and never put again: bbolt
// leaves its pages where they are, and they are written in place, past bbolt.
// One commit is one record; records begin at blocks of their own, so that a
// write that is torn harms none that was acknowledged. Settling takes a new
// generation in the transaction that stores what was settled: from then on, no
// record there is valid, and writing begins at the front again. A generation is
// a random number, so that nobody can publish text that is taken for a record
// where it is left over.
//
// The last record may be torn when the machine loses power, and was not
// acknowledged then. One that was must not be taken for torn because a bit of it
// has changed: so a mark is set behind each record that is acknowledged, where
// the next one begins, and costs no write of its own because that takes its
// place. It gets to the disk with the next sync or when the kernel thinks of it:
// what a disk forgets or changes of the last commit before the machine loses
// power is not noticed.
const (
	journalSize  = 2 << 20
	journalBlock = 4096
	journalKey   = "records"
	// journalMagic is what the value begins with. We write where we find it.
	journalMagic = "sidestream journal"
	// journalHead is the fixed part of a record: checksum, size of the rest,
	// generation, number of the first entry.
	journalHead = 4 + 4 + 8 + 8
	// pageElement is what a page of bbolt says of each of its values.
	pageElement = 16
	// markSize is the size that makes a head a mark.
	markSize = 1<<32 - 1
)

// journal is where the next record goes. It belongs to Append's goroutine.
type journal struct {
	first, next, end int64 // offsets of blocks in the file
	old              bool  // its events have no tags, see upgrade
	buffer           []byte
}

// putJournal makes the journal of a new file.
func putJournal(tx *bolt.Tx) error {
	value := make([]byte, journalSize)
	copy(value, journalMagic)
	return bucketOf(tx, bucketJournal).Put([]byte(journalKey), value)
}

// findJournal finds the journal's place in the file.
func findJournal(tx *bolt.Tx, file io.ReaderAt, pageSize int) (j journal, err error) {
	bucket := bucketOf(tx, bucketJournal)
	at := int64(bucket.Root())*int64(pageSize) + pageHeader + pageElement + int64(len(journalKey))
	magic := make([]byte, len(journalMagic))
	if _, err := file.ReadAt(magic, at); err != nil {
		return j, fmt.Errorf("reading the journal's beginning: %w", err)
	}
	if bucket.Root() == 0 || len(bucket.Get([]byte(journalKey))) != journalSize || string(magic) != journalMagic {
		return j, errRecord
	}
	blocks := func(offset int64) int64 { return offset / journalBlock * journalBlock }
	j.first = blocks(at + int64(len(magic)) + journalBlock - 1)
	j.end = blocks(at + journalSize)
	j.restart()
	return j, nil
}

// restart makes the next record the first one.
func (j *journal) restart() { j.next = j.first }

// encode makes the record of what w adds; false if there is no room for it.
func (j *journal) encode(w *commit) (record []byte, ok bool) {
	b := append(j.buffer[:0], make([]byte, journalHead)...)
	entries := w.fresh.entries
	b = appendFields(b, uint64(w.at), uint64(len(entries)))
	for _, e := range entries {
		b = append(appendFields(b, uint64(e.Tag), uint64(len(e.encoded))), e.encoded...)
	}
	for source, value := range w.fresh.marks {
		b = append(appendFields(b, uint64(len(source))), source...)
		b = append(appendFields(b, uint64(len(value))), value...)
	}
	binary.BigEndian.PutUint32(b[4:], uint32(len(b)-journalHead))
	binary.BigEndian.PutUint64(b[8:], w.state.generation)
	binary.BigEndian.PutUint64(b[16:], w.before.seq+1)
	binary.BigEndian.PutUint32(b, crc32.Checksum(b[4:], castagnoli))
	// Whole blocks: the kernel need not read what is overwritten.
	if rest := len(b) % journalBlock; rest > 0 {
		b = append(b, make([]byte, journalBlock-rest)...)
	}
	j.buffer = b
	return b, int64(len(b)) <= j.end-j.next
}

// errTorn is the error of a record that is none: behind the last one.
var errTorn = errors.New("no record")

// journalRecord is what a commit has stored.
type journalRecord struct {
	first  uint64
	at     int64
	events []eventRecord // without numbers, times and predecessors
	marks  map[string]string
	size   int64 // in the file
}

// parseJournal reads the record at the beginning of b. The result refers to b.
func parseJournal(b []byte, generation uint64, old bool) (r journalRecord, err error) {
	if len(b) < journalHead || binary.BigEndian.Uint64(b[8:]) != generation {
		return r, errTorn
	}
	size := int64(binary.BigEndian.Uint32(b[4:])) + journalHead
	if size > int64(len(b)) || crc32.Checksum(b[4:size], castagnoli) != binary.BigEndian.Uint32(b) {
		return r, errTorn
	}
	r.first = binary.BigEndian.Uint64(b[16:])
	r.size = (size + journalBlock - 1) / journalBlock * journalBlock
	f := fields{b: b[journalHead:size]}
	r.at = int64(f.next())
	for n := f.next(); n > 0 && !f.bad; n-- {
		var e eventRecord
		if !old {
			e.tag = event.Tag(f.next())
		}
		e.encoded = f.text()
		r.events = append(r.events, e)
	}
	for !f.bad && len(f.b) > 0 {
		if r.marks == nil {
			r.marks = map[string]string{}
		}
		source := string(f.text())
		r.marks[source] = string(f.text())
	}
	return r, f.end()
}

// appendMark appends the mark behind the last record that was acknowledged: a
// record without an end, with the number that follows.
func appendMark(dst []byte, generation, next uint64) []byte {
	from := len(dst)
	dst = append(dst, make([]byte, journalHead)...)
	head := dst[from:]
	binary.BigEndian.PutUint32(head[4:], markSize)
	binary.BigEndian.PutUint64(head[8:], generation)
	binary.BigEndian.PutUint64(head[16:], next)
	binary.BigEndian.PutUint32(head, crc32.Checksum(head[4:], castagnoli))
	return dst
}

// parseMark is the number in the mark at the beginning of b.
func parseMark(b []byte, generation uint64) (next uint64, ok bool) {
	if len(b) < journalHead {
		return 0, false
	}
	next = binary.BigEndian.Uint64(b[16:])
	return next, string(b[:journalHead]) == string(appendMark(nil, generation, next))
}

// checkEnd tells whether the journal may end here, where it holds no record: b
// is the rest of it. It may not if anything of this generation follows, because
// then what stands here was acknowledged.
func checkEnd(b []byte, generation, seq uint64, old bool) error {
	if next, ok := parseMark(b, generation); ok && next == seq+1 {
		return nil
	}
	for ; len(b) > 0; b = b[journalBlock:] {
		_, ok := parseMark(b, generation)
		if _, err := parseJournal(b, generation, old); ok || !errors.Is(err, errTorn) {
			return fmt.Errorf("an entry behind %d is missing: %w", seq, errRecord)
		}
	}
	return nil
}

// load reads what stands in the journal behind a state, which it moves to the
// last entry, and makes the next record follow that.
func (j *journal) load(tx *bolt.Tx, file io.ReaderAt, state *logState) (*recent, error) {
	all := make([]byte, j.end-j.first)
	if _, err := file.ReadAt(all, j.first); err != nil {
		return nil, fmt.Errorf("reading the journal: %w", err)
	}
	w := newCommit(*state, newRecent(), log.Retention{})
	w.tx = tx
	r := w.fresh
	j.restart()
	var scratch []byte
	for {
		rest := all[j.next-j.first:]
		record, err := parseJournal(rest, state.generation, j.old)
		if errors.Is(err, errTorn) {
			return r, checkEnd(rest, state.generation, state.seq, j.old)
		}
		if err != nil || record.first != state.seq+1 || record.at < state.at {
			return nil, fmt.Errorf("entry %d follows entry %d: %w", record.first, state.seq, errRecord)
		}
		for _, stored := range record.events {
			stored.seq, stored.at = state.seq+1, record.at
			entry, err := stored.entry()
			if err != nil {
				return nil, fmt.Errorf("entry %d: %w", stored.seq, err)
			}
			e := &recentEntry{Entry: entry, encoded: stored.encoded}
			if key := e.Key(); key != "" {
				e.key = string(appendText(nil, key))
				e.content, scratch = log.ContentOf(&e.Event, scratch)
				if _, changed, err := w.kept(&e.Event); err != nil {
					return nil, err
				} else if changed {
					e.content = 0 // what it came with is not what stands there
				}
			}
			if err := w.include(e); err != nil {
				return nil, err
			}
			state.advance(e)
		}
		maps.Copy(r.marks, record.marks)
		j.next += record.size
	}
}

// writeRecord stores what w adds in the journal; false if there is no room for
// it.
func (f *Log) writeRecord(w *commit) (ok bool, err error) {
	record, ok := f.journal.encode(w)
	if !ok {
		return false, nil
	}
	at := f.journal.next
	if _, err := f.writeAt(record, at); err != nil {
		return true, f.fail(fmt.Errorf("writing to the journal: %w", err), undoRecord(at))
	}
	if !f.options.UnsafeNoSync {
		if err := f.db.Sync(); err != nil {
			return true, f.fail(fmt.Errorf("syncing the journal: %w", err), undoRecord(at))
		}
	}
	f.journal.next += int64(len(record))
	f.take(w)
	if f.journal.next < f.journal.end { // else the next commit settles all of it
		// What is stored is stored, whatever comes of this.
		_, _ = f.writeAt(appendMark(f.journal.buffer[:0], w.state.generation, w.state.seq+1), f.journal.next)
	}
	return true, nil
}

// undoRecord takes back a record that was written and perhaps not synced, once
// the file has been synced.
func undoRecord(at int64) func(*os.File) error {
	return func(file *os.File) error {
		_, err := file.WriteAt(make([]byte, journalBlock), at)
		return err
	}
}

func newGeneration() uint64 {
	var b [8]byte
	rand.Read(b[:]) // never fails
	return binary.BigEndian.Uint64(b[:])
}
