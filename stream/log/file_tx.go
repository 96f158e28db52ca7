package log

import (
	"fmt"

	bolt "go.etcd.io/bbolt"

	"github.com/seed-078801ba/sidestream/stream/event"
)

// fileTx is one write transaction.
type fileTx struct {
	tx        *bolt.Tx
	state     fileState
	before    fileState
	retention Retention
	rows      map[uint64]*channelRow // those that were looked at
	touched   []*channelRow          // those that got an event, in that order
	wrote     bool
	arena     []byte // values: bbolt keeps them until the commit
	key       []byte // bbolt copies keys
	scratch   []byte
	names     map[string]*channelRow
}

func newFileTx(tx *bolt.Tx, state fileState, r Retention) *fileTx {
	return &fileTx{
		tx: tx, state: state, before: state, retention: r,
		rows: map[uint64]*channelRow{}, names: map[string]*channelRow{},
	}
}

func (w *fileTx) bucket(name string) *bolt.Bucket {
	b := w.tx.Bucket([]byte(name))
	// Most of what is inserted comes behind what its channel has already:
	// pages that are split half and half would stay half empty.
	b.FillPercent = 0.9
	return b
}

// begin returns the arena with room for a value of this size.
func (w *fileTx) begin(size int) []byte {
	if size += 64; cap(w.arena)-len(w.arena) < size {
		w.arena = make([]byte, 0, max(size, 32<<10))
	}
	return w.arena[len(w.arena):]
}

// put stores a value that was appended to what begin returned.
func (w *fileTx) put(bucket string, key, value []byte) error {
	value = seal(bucket, key, value)
	w.arena = w.arena[:len(w.arena)+len(value)]
	w.wrote = true
	return w.bucket(bucket).Put(key, value[:len(value):len(value)])
}

func (w *fileTx) delete(bucket string, key []byte) error {
	w.wrote = true
	return w.bucket(bucket).Delete(key)
}

// number1 and number2 build keys in w.key.
func (w *fileTx) number1(n uint64) []byte {
	w.key = appendNumber(w.key[:0], n)
	return w.key
}

func (w *fileTx) number2(n, m uint64) []byte {
	w.key = appendNumber(appendNumber(w.key[:0], n), m)
	return w.key
}

// channel is the row of the channel with this name; a new one if there is
// none.
func (w *fileTx) channel(name string) (*channelRow, error) {
	if r := w.names[name]; r != nil && !r.gone {
		return r, nil
	}
	number, ok, err := channelNumber(w.tx, name)
	if err != nil {
		return nil, err
	}
	if ok {
		r, err := w.row(number)
		if err == nil {
			w.names[name] = r
		}
		return r, err
	}
	r := &channelRow{number: w.state.next, name: name, trimmed: w.state.forgotten}
	w.state.next++
	w.rows[r.number], w.names[name] = r, r
	w.key = appendText(w.key[:0], name)
	return r, w.put(bucketNames, w.key, appendNumber(w.begin(8), r.number))
}

// row is the row of the channel with this number.
func (w *fileTx) row(number uint64) (*channelRow, error) {
	if r := w.rows[number]; r != nil {
		return r, nil
	}
	r, err := channelByNumber(w.tx, number)
	if err == nil {
		w.rows[number] = r
	}
	return r, err
}

// add appends one event.
func (w *fileTx) add(e *event.Event, at int64) (Appended, error) {
	var stored []byte
	var content uint64
	if key := e.Key(); key != "" {
		content, w.scratch = contentOf(e, w.scratch)
		stored = appendText(nil, key)
		value, err := lookup(w.tx, bucketKeys, stored)
		if err != nil {
			return Appended{}, err
		}
		if value != nil {
			return w.duplicate(value, content)
		}
	}
	row, err := w.channel(e.Channel.Text)
	if err != nil {
		return Appended{}, err
	}
	w.scratch = e.AppendBinary(w.scratch[:0])
	seq, size := w.state.seq+1, int64(len(w.scratch))
	tag := event.TagOf(seq, w.scratch)

	value := append(appendEvent(w.begin(len(w.scratch)), row.last, at), w.scratch...)
	if err := w.put(bucketEvents, w.number2(row.number, seq), value); err != nil {
		return Appended{}, err
	}
	order := orderRow{row.number, at, tag, size}
	if err := w.put(bucketOrder, w.number1(seq), order.append(w.begin(0))); err != nil {
		return Appended{}, err
	}
	taken := takenRow{at, tag, stored}
	if err := w.put(bucketTaken, w.number1(seq), taken.append(w.begin(len(stored)))); err != nil {
		return Appended{}, err
	}
	if stored != nil {
		if err := w.put(bucketKeys, stored, keyRow{seq, content}.append(w.begin(0))); err != nil {
			return Appended{}, err
		}
	}
	if row.events == 0 {
		w.state.channels++
		if row.last > 0 {
			if err := w.delete(bucketEmpty, w.number2(row.trimmed, row.number)); err != nil {
				return Appended{}, err
			}
		}
	}
	row.events++
	row.bytes += size
	row.last = seq
	w.touch(row)
	w.state.seq, w.state.at, w.state.tag = seq, at, tag
	w.state.events++
	w.state.bytes += size
	return Appended{Entry: event.Entry{Seq: seq, Tag: tag, At: at, Event: *e}}, nil
}

func (w *fileTx) touch(r *channelRow) {
	if len(w.touched) == 0 || w.touched[len(w.touched)-1] != r {
		w.touched = append(w.touched, r)
	}
	r.changed = true
}

func (w *fileTx) duplicate(value []byte, content uint64) (Appended, error) {
	row, err := parseKeyValue(value)
	if err != nil {
		return Appended{}, err
	}
	tag, _, err := tagAt(w.tx, row.seq)
	if err != nil {
		return Appended{}, err
	}
	return Appended{
		Entry:     event.Entry{Seq: row.seq, Tag: tag},
		Duplicate: true, Conflict: row.content != content,
	}, nil
}

func (w *fileTx) mark(m event.Mark) error {
	w.key = appendText(w.key[:0], m.Source)
	return w.put(bucketMarks, w.key, append(w.begin(len(m.Value)), m.Value...))
}

// flush writes the rows that have changed.
func (w *fileTx) flush() error {
	for _, r := range w.rows {
		if !r.changed || r.gone {
			continue
		}
		if err := w.put(bucketChannels, w.number1(r.number), r.append(w.begin(len(r.name)))); err != nil {
			return fmt.Errorf("writing a channel: %w", err)
		}
	}
	if w.state != w.before {
		return w.put(bucketHub, []byte(hubState), w.state.append(w.begin(16*10)))
	}
	return nil
}
