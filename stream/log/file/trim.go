package file

import (
	"bytes"
	"errors"
	"time"

	bolt "go.etcd.io/bbolt"

	"github.com/seed-078801ba/sidestream/stream/event"
	"github.com/seed-078801ba/sidestream/stream/log"
)

// trimChannel removes what the channel has over its bounds, at most so many
// events, and returns how many.
func (w *commit) trimChannel(r *channelRow, most int) (n int, err error) {
	if !w.retention.Over(r.events, r.bytes) || most <= 0 {
		return 0, nil
	}
	return w.trimWhile(r, most, w.retention.Over)
}

// trimWhile removes the channel's oldest events as long as what is left is too much, at
// most so many, and returns how many.
func (w *commit) trimWhile(r *channelRow, most int, tooMuch func(events uint64, bytes int64) bool) (n int, err error) {
	// The cursor must not see the deletions: collect, then delete.
	var seqs []uint64
	events, size := r.events, r.bytes
	cursor := w.bucket(bucketEvents).Cursor()
	for k, _ := cursor.Seek(w.number2(r.number, 0)); k != nil && len(seqs) < most && tooMuch(events, size); k, _ = cursor.Next() {
		number, seq, err := twoNumbers(k)
		if err != nil || number != r.number {
			return 0, errRecord
		}
		row, err := w.order(seq)
		if err != nil {
			return 0, err
		}
		events--
		size -= row.size
		seqs = append(seqs, seq)
	}
	for _, seq := range seqs {
		row, err := w.order(seq)
		if err != nil {
			return n, err
		}
		if err := w.remove(r, seq, row); err != nil {
			return n, err
		}
		n++
	}
	return n, nil
}

func (w *commit) order(seq uint64) (orderRow, error) {
	key := appendNumber(nil, seq)
	_, row, err := parseOrder(key, w.bucket(bucketOrder).Get(key))
	return row, err
}

// remove takes away the oldest entry of a channel.
func (w *commit) remove(r *channelRow, seq uint64, row orderRow) error {
	if seq <= w.state.expired {
		if err := w.removeKey(r, seq); err != nil {
			return err
		}
	}
	if err := w.delete(bucketEvents, w.number2(r.number, seq)); err != nil {
		return err
	}
	if err := w.delete(bucketOrder, w.number1(seq)); err != nil {
		return err
	}
	if r.events == 0 || r.bytes < row.size {
		return errRecord
	}
	r.events--
	r.bytes -= row.size
	r.trimmed = seq
	r.changed = true
	w.state.events--
	w.state.bytes -= row.size
	if r.events > 0 {
		return nil
	}
	w.state.channels--
	return w.put(bucketEmpty, w.number2(r.trimmed, r.number), w.begin(0)[:0])
}

// removeKey forgets the key of an entry that outlived its key window and goes
// now. If the event cannot be read, its key stays: nothing worse.
func (w *commit) removeKey(r *channelRow, seq uint64) error {
	key := w.number2(r.number, seq)
	_, record, err := parseEvent(key, w.bucket(bucketEvents).Get(key))
	if err != nil {
		return nil
	}
	e, err := event.DecodeBinary(record.encoded)
	if err != nil {
		return nil
	}
	if e.Changes() {
		if err := w.forgetChange(appendText(nil, event.MessageKey(e.Channel.Text, e.ID.Text)), seq); err != nil {
			return err
		}
	}
	text := e.Key()
	if text == "" {
		return nil
	}
	return w.delete(bucketKeys, appendText(w.key[:0], text))
}

// Clear implements Log. What is recent is settled first, so that it is gone from the
// journal, too.
func (f *Log) Clear(channel string) (more bool, err error) {
	w, err := f.begin()
	if err != nil {
		return false, err
	}
	err = f.update(w, func(w *commit) error {
		if !w.recent.isEmpty() {
			if err := w.settle(); err != nil {
				return err
			}
			if err := w.flush(); err != nil {
				return err
			}
		}
		number, ok, err := channelNumber(w.tx, channel)
		if err != nil || !ok {
			return err
		}
		r, err := w.row(number)
		if err != nil {
			return err
		}
		_, err = w.trimWhile(r, log.StepEvents, func(events uint64, _ int64) bool { return events > 0 })
		more = r.events > 0
		return err
	})
	return more, err
}

// Sweep implements Log. It settles what is recent, so that what is in the file
// is all that it has to look at. A step that finds nothing to do writes nothing.
func (f *Log) Sweep(now time.Time) (more bool, err error) {
	if f.rescan.Swap(false) {
		f.scanning, f.scanned = true, 0
	}
	scanning, scanned := f.scanning, f.scanned
	w, err := f.begin()
	if err != nil {
		return false, err
	}
	err = f.update(w, func(w *commit) error {
		if !w.recent.isEmpty() {
			if err := w.settle(); err != nil {
				return err
			}
			if err := w.flush(); err != nil { // for those who look through the file
				return err
			}
		}
		if age := w.retention.Age; age > 0 {
			if more, err = w.trimOld(f.clock.Cutoff(now, age)); err != nil {
				return err
			}
		}
		if scanning {
			if scanned, scanning, err = w.trimScan(scanned); err != nil {
				return err
			}
			more = more || scanning
		}
		expiring, err := w.expireKeys(f.clock.Cutoff(now, w.retention.KeyWindow()))
		if err != nil {
			return err
		}
		forgetting, err := w.forget()
		more = more || expiring || forgetting
		return err
	})
	if err != nil {
		if errors.Is(err, log.ErrFull) {
			f.wantRoom(nil)
		}
		return false, err
	}
	f.scanning, f.scanned = scanning, scanned
	if !more {
		if more, err = f.scrubSome(); err != nil {
			return false, f.fail(err, nil)
		}
	}
	return more, f.checkRoom()
}

// numbered is a row of a bucket that is ordered by the numbers of entries.
type numbered[R any] struct {
	seq uint64
	row R
}

// rowsBefore are the first rows of a bucket from before the cutoff, as many as one step
// takes. They stand in the database's memory: they are valid until something is
// written.
func rowsBefore[R any](b *bolt.Bucket, cutoff int64, parse func(k, v []byte) (uint64, R, error), at func(R) int64) (rows []numbered[R], more bool, err error) {
	cursor := b.Cursor()
	for k, v := cursor.First(); k != nil; k, v = cursor.Next() {
		seq, row, err := parse(k, v)
		if err != nil {
			return nil, false, err
		}
		if at(row) >= cutoff {
			break
		}
		if len(rows) == log.StepEvents {
			return rows, true, nil
		}
		rows = append(rows, numbered[R]{seq, row})
	}
	return rows, false, nil
}

// trimOld removes entries from before the cutoff.
func (w *commit) trimOld(cutoff int64) (more bool, err error) {
	olds, more, err := rowsBefore(w.bucket(bucketOrder), cutoff, parseOrder, func(row orderRow) int64 { return row.at })
	if err != nil {
		return false, err
	}
	for _, o := range olds {
		r, err := w.row(o.row.channel)
		if err != nil {
			return false, err
		}
		if err := w.remove(r, o.seq, o.row); err != nil {
			return false, err
		}
	}
	return more, nil
}

// trimScan holds the channels behind a number to a retention that was changed.
func (w *commit) trimScan(from uint64) (upto uint64, more bool, err error) {
	budget := log.StepEvents
	var over []uint64
	cursor := w.bucket(bucketChannels).Cursor()
	seen := 0
	for k, v := cursor.Seek(w.number1(from)); k != nil; k, v = cursor.Next() {
		number, row, err := parseChannelRecord(k, v)
		if err != nil {
			return from, false, err
		}
		if seen == log.StepChannels || len(over) == log.StepEvents {
			upto, more = number, true
			break
		}
		seen++
		if w.retention.Over(row.events, row.bytes) {
			over = append(over, number)
		}
	}
	for _, number := range over {
		r, err := w.row(number)
		if err != nil {
			return from, false, err
		}
		n, err := w.trimChannel(r, budget)
		if err != nil {
			return from, false, err
		}
		if budget -= n; w.retention.Over(r.events, r.bytes) {
			return number, true, nil
		}
	}
	return upto, more, nil
}

// expireKeys forgets the keys of entries from before the cutoff; those of
// retained entries stay until the entries go.
func (w *commit) expireKeys(cutoff int64) (more bool, err error) {
	olds, more, err := rowsBefore(w.bucket(bucketTaken), cutoff, parseTaken, func(row takenRow) int64 { return row.at })
	if err != nil {
		return false, err
	}
	for i := range olds { // the deletions below move what the rows stand in
		olds[i].row.key, olds[i].row.message = bytes.Clone(olds[i].row.key), bytes.Clone(olds[i].row.message)
		w.state.expired, w.state.expiredAt = olds[i].seq, olds[i].row.at
	}
	for _, o := range olds {
		key := w.number1(o.seq)
		retained := w.bucket(bucketOrder).Get(key) != nil
		if err := w.delete(bucketTaken, key); err != nil {
			return false, err
		}
		if retained {
			continue
		}
		if len(o.row.key) > 0 {
			if err := w.delete(bucketKeys, o.row.key); err != nil {
				return false, err
			}
		}
		if len(o.row.message) > 0 {
			if err := w.forgetChange(o.row.message, o.seq); err != nil {
				return false, err
			}
		}
	}
	return more, nil
}

// forget drops channels that have been empty for the whole key window. What
// they lost is remembered for all channels that are not known.
func (w *commit) forget() (more bool, err error) {
	type empty struct{ trimmed, number uint64 }
	var gone []empty
	cursor := w.bucket(bucketEmpty).Cursor()
	for k, v := cursor.First(); k != nil; k, v = cursor.Next() {
		if _, err := unseal(bucketEmpty, k, v); err != nil {
			return false, err
		}
		trimmed, number, err := twoNumbers(k)
		if err != nil {
			return false, err
		}
		if trimmed > w.state.expired {
			break
		}
		if len(gone) == log.StepEvents {
			more = true
			break
		}
		gone = append(gone, empty{trimmed, number})
	}
	for _, g := range gone {
		r, err := w.row(g.number)
		if err != nil {
			return false, err
		}
		if r.events != 0 {
			return false, errRecord
		}
		r.gone = true
		w.state.forgotten = max(w.state.forgotten, g.trimmed)
		if err := w.delete(bucketEmpty, w.number2(g.trimmed, g.number)); err != nil {
			return false, err
		}
		if err := w.delete(bucketChannels, w.number1(g.number)); err != nil {
			return false, err
		}
		w.key = appendText(w.key[:0], r.name)
		if err := w.delete(bucketNames, w.key); err != nil {
			return false, err
		}
	}
	return more, nil
}
