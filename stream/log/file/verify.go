package file

import (
	"bytes"
	"fmt"

	bolt "go.etcd.io/bbolt"

	"github.com/seed-078801ba/sidestream/stream/event"
)

// maxProblems is where Verify stops: a file with so many is not worth more.
const maxProblems = 100

// Verify reads the whole file: that every record is as it was written, that no
// channel lacks an entry, that all counts and references are right, and that
// no page is in use twice. It returns what is wrong, at most a hundred things.
func (i *Inspection) Verify() (problems []string, err error) {
	v := verifier{}
	err = i.view(func(tx *bolt.Tx) error {
		state, err := loadState(tx)
		if err != nil {
			return err
		}
		v.tx, v.state = tx, state
		journal, err := findJournal(tx, i.opened.file, i.opened.pageSize)
		if err == nil {
			_, err = journal.load(tx, i.opened.file, &state)
		}
		if err != nil {
			v.report("the journal: %v", err)
		}
		for _, check := range []func(){v.channels, v.order, v.taken, v.keys, v.rest, v.sums} {
			check()
		}
		if len(v.problems) == 0 {
			// Only now: bbolt's own check must not meet pages that are none.
			for err := range tx.Check() {
				v.report("%v", err)
			}
		}
		return nil
	})
	if err != nil {
		v.report("%v", err)
	}
	return v.problems, nil
}

type verifier struct {
	tx                        *bolt.Tx
	state                     logState
	problems                  []string
	events, inOrder, nonEmpty uint64
	changed                   uint64
	bytes                     int64
}

func (v *verifier) report(format string, args ...any) {
	if len(v.problems) < maxProblems {
		v.problems = append(v.problems, fmt.Sprintf(format, args...))
	}
}

// each calls do for every record of a bucket and reports its errors.
func (v *verifier) each(bucket string, do func(key, value []byte) error) {
	err := bucketOf(v.tx, bucket).ForEach(func(key, value []byte) error {
		if err := do(key, value); err != nil {
			v.report("%s %x: %v", bucket, key, err)
		}
		return nil
	})
	if err != nil {
		v.report("%s: %v", bucket, err)
	}
}

// channels follows each channel's chain of entries.
func (v *verifier) channels() {
	cursor := bucketOf(v.tx, bucketEvents).Cursor()
	var before uint64
	v.each(bucketChannels, func(key, value []byte) error {
		number, row, err := parseChannelRecord(key, value)
		if err != nil {
			return err
		}
		if number >= v.state.next || number < before {
			return errRecord
		}
		before = number
		if known, ok, err := channelNumber(v.tx, row.name); err != nil || !ok || known != number {
			return fmt.Errorf("the name of channel %d does not lead to it", number)
		}
		var events uint64
		var size int64
		run := settledRun{row: row, cursor: cursor, last: row.trimmed, upto: v.state.seq}
		more, err := run.load(cursor.Seek(appendNumber(appendNumber(nil, number), 0)))
		for more && err == nil {
			if run.record.seq <= row.trimmed {
				return fmt.Errorf("entry %d was trimmed and is still there", run.record.seq)
			}
			events++
			size += int64(run.Size())
			_, more, err = run.Next()
		}
		if err != nil {
			return err
		}
		if events != row.events || size != row.bytes {
			return fmt.Errorf("channel %d counts %d events of %d bytes and has %d of %d", number, row.events, row.bytes, events, size)
		}
		if _, err := emptyRecord(v.tx, row); (err == nil) != (events == 0) {
			return fmt.Errorf("channel %d is not listed as what it is", number)
		}
		v.events += events
		v.bytes += size
		if events > 0 {
			v.nonEmpty++
		}
		return nil
	})
}

// emptyRecord is the record of the empty bucket for a channel.
func emptyRecord(tx *bolt.Tx, row *channelRow) ([]byte, error) {
	key := appendNumber(appendNumber(nil, row.trimmed), row.number)
	return unseal(bucketEmpty, key, bucketOf(tx, bucketEmpty).Get(key))
}

func (v *verifier) order() {
	var last event.Entry
	v.each(bucketOrder, func(key, value []byte) error {
		entry, err := checkEntry(v.tx, key, value)
		if err != nil {
			return err
		}
		if entry.At < last.At {
			return fmt.Errorf("its time is before that of entry %d", last.Seq)
		}
		last = entry
		v.inOrder++
		return nil
	})
	if last.Seq > v.state.seq || last.At > v.state.at {
		v.report("entry %d is behind the newest settled one, %d", last.Seq, v.state.seq)
	}
}

func (v *verifier) taken() {
	next := v.state.expired + 1
	v.each(bucketTaken, func(key, value []byte) error {
		seq, row, err := parseTaken(key, value)
		if err != nil {
			return err
		}
		if seq != next {
			v.report("entries %d to %d are not known", next, seq-1)
		}
		next = seq + 1
		if len(row.key) == 0 {
			return nil
		}
		known, err := parseKey(row.key, bucketOf(v.tx, bucketKeys).Get(row.key))
		if err == nil && known.seq != seq {
			err = fmt.Errorf("its key leads to entry %d", known.seq)
		}
		return err
	})
	if next != v.state.seq+1 {
		v.report("entries %d to %d are not known", next, v.state.seq)
	}
}

func (v *verifier) keys() {
	v.each(bucketKeys, func(key, value []byte) error {
		row, err := parseKey(key, value)
		if err != nil {
			return err
		}
		at := appendNumber(nil, row.seq)
		sealed := bucketOf(v.tx, bucketTaken).Get(at)
		if sealed == nil {
			return v.keyOf(key, row.seq)
		}
		_, taken, err := parseTaken(at, sealed)
		if err == nil && bytes.Equal(taken.message, key) {
			v.changed++
			return nil
		}
		if err != nil || !bytes.Equal(taken.key, key) {
			return fmt.Errorf("entry %d has another key", row.seq)
		}
		return nil
	})
}

// keyOf checks a key whose window is over: its entry must be retained.
func (v *verifier) keyOf(key []byte, seq uint64) error {
	at := appendNumber(nil, seq)
	sealed := bucketOf(v.tx, bucketOrder).Get(at)
	if sealed == nil {
		return fmt.Errorf("its entry %d is gone", seq)
	}
	entry, err := checkEntry(v.tx, at, sealed)
	if err == nil && bytes.Equal(appendText(nil, event.MessageKey(entry.Channel.Text, entry.ID.Text)), key) {
		v.changed++
		return nil
	}
	if err == nil && !bytes.Equal(appendText(nil, entry.Key()), key) {
		err = fmt.Errorf("entry %d has another key", seq)
	}
	return err
}

func (v *verifier) rest() {
	for _, bucket := range []string{bucketNames, bucketMarks, bucketEmpty} {
		v.each(bucket, func(key, value []byte) error {
			_, err := unseal(bucket, key, value)
			return err
		})
	}
}

func (v *verifier) sums() {
	if v.changed != v.state.changed {
		v.report("the log counts %d messages that were changed, and has %d", v.state.changed, v.changed)
	}
	if v.events != v.state.events || v.bytes != v.state.bytes || v.nonEmpty != v.state.channels || v.inOrder != v.events {
		v.report("the log counts %d events of %d bytes in %d channels, and has %d of %d in %d, %d of them in order",
			v.state.events, v.state.bytes, v.state.channels, v.events, v.bytes, v.nonEmpty, v.inOrder)
	}
}
