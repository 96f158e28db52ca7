package file

import (
	"fmt"

	bolt "go.etcd.io/bbolt"

	"github.com/seed-078801ba/sidestream/stream/event"
	"github.com/seed-078801ba/sidestream/stream/log"
)

// commit is what one commit changes. What it appends goes to the journal, or is
// settled at once with all else, by a transaction of bbolt.
type commit struct {
	tx        *bolt.Tx // for reading, until it settles
	at        int64    // the time of what is appended
	state     logState
	before    logState
	retention log.Retention
	recent    *recent                // what was there before; not changed
	fresh     *recent                // what is appended
	settled   bool                   // all of it
	erased    bool                   // and with it, what entries once said
	scrubbed  bool                   // what was erased before is overwritten, and noted as if not
	rows      map[uint64]*channelRow // those that were looked at
	wrote     bool
	arena     []byte // values: bbolt keeps them until the commit, recent for longer
	key       []byte // bbolt copies keys
	scratch   []byte
	names     map[string]*channelRow
	tags      *event.Tags
}

func newCommit(state logState, recent *recent, r log.Retention) *commit {
	return &commit{
		state: state, before: state, retention: r, recent: recent, fresh: newRecent(),
		rows: map[uint64]*channelRow{}, names: map[string]*channelRow{},
	}
}

func (w *commit) bucket(name string) *bolt.Bucket {
	b := bucketOf(w.tx, name)
	// Most of what is inserted comes behind what its channel has already, or
	// behind everything: pages that are split half and half would stay half
	// empty.
	b.FillPercent = 0.9
	return b
}

// begin returns the arena with room for a value of this size.
func (w *commit) begin(size int) []byte {
	if size += 64; cap(w.arena)-len(w.arena) < size {
		w.arena = make([]byte, 0, max(size, 32<<10))
	}
	return w.arena[len(w.arena):]
}

// keep takes what was appended to what begin returned for good.
func (w *commit) keep(value []byte) []byte {
	w.arena = w.arena[:len(w.arena)+len(value)]
	return value[:len(value):len(value)]
}

// put stores a value that was appended to what begin returned.
func (w *commit) put(bucket string, key, value []byte) error {
	w.wrote = true
	return w.bucket(bucket).Put(key, w.keep(seal(bucket, key, value)))
}

func (w *commit) delete(bucket string, key []byte) error {
	w.wrote = true
	return w.bucket(bucket).Delete(key)
}

// number1 and number2 build keys in w.key.
func (w *commit) number1(n uint64) []byte {
	w.key = appendNumber(w.key[:0], n)
	return w.key
}

func (w *commit) number2(n, m uint64) []byte {
	w.key = appendNumber(appendNumber(w.key[:0], n), m)
	return w.key
}

// channel is the row of the channel with this name; a new one if there is
// none.
func (w *commit) channel(name string) (*channelRow, error) {
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
func (w *commit) row(number uint64) (*channelRow, error) {
	if r := w.rows[number]; r != nil {
		return r, nil
	}
	r, err := channelByNumber(w.tx, number)
	if err == nil {
		w.rows[number] = r
	}
	return r, err
}

// add appends one event, so far in memory: encoded once, for the journal and for
// the bucket where it is read.
func (w *commit) add(given *event.Event) (log.Appended, error) {
	e, changed, err := w.kept(given)
	if err != nil {
		return log.Appended{}, err
	}
	entry := &recentEntry{Entry: event.Entry{Seq: w.state.seq + 1, At: w.at, Event: e}}
	if key := e.Key(); key != "" {
		entry.content, w.scratch = log.ContentOf(given, w.scratch)
		w.key = appendText(w.key[:0], key)
		first, ok, err := w.first(w.key)
		if err != nil {
			return log.Appended{}, err
		}
		if ok {
			return log.Appended{
				Entry:     event.Entry{Seq: first.Seq, Tag: first.Tag},
				Duplicate: true, Conflict: log.Conflict(first.content, entry.content),
			}, nil
		}
		if changed {
			entry.content = 0
		}
		entry.key = string(w.key)
	}
	entry.encoded = w.encode(&e)
	entry.Tag = w.tags.Next()
	if err := w.include(entry); err != nil {
		return log.Appended{}, err
	}
	w.state.advance(entry)
	return log.Appended{Entry: entry.Entry}, nil
}

// include adds an entry to what is fresh, with what it changes.
func (w *commit) include(e *recentEntry) error {
	if e.Changes() {
		e.message = string(appendText(nil, event.MessageKey(e.Channel.Text, e.ID.Text)))
	}
	if err := w.fresh.add(w.tx, w.recent, e); err != nil {
		return err
	}
	if e.message == "" {
		return nil
	}
	return w.change(e)
}

// encode puts the form of an event into the arena.
func (w *commit) encode(e *event.Event) []byte {
	w.scratch = e.AppendBinary(w.scratch[:0])
	return w.keep(append(w.begin(len(w.scratch)), w.scratch...))
}

// first is the entry that a key is remembered for: its number, tag and digest.
func (w *commit) first(key []byte) (e recentEntry, ok bool, err error) {
	for _, r := range []*recent{w.fresh, w.recent} {
		if e := r.keys[string(key)]; e != nil {
			known := *e
			if w.now(e.Seq) != nil {
				known.content = 0
			}
			return known, true, nil
		}
	}
	value, err := lookup(w.tx, bucketKeys, key)
	if value == nil || err != nil {
		return e, false, err
	}
	row, err := parseKeyValue(value)
	if err != nil {
		return e, false, err
	}
	e.Seq, e.content = row.seq, row.content
	if w.now(e.Seq) != nil {
		e.content = 0
	}
	e.Tag, _, err = tagAt(w.tx, row.seq)
	return e, true, err
}

// mustSettle tells whether the journal or a channel has too much.
func (w *commit) mustSettle() bool {
	due := len(w.recent.entries)+len(w.fresh.entries) > journalEvents
	for _, c := range w.fresh.channels {
		due = due || c.due(w.retention)
		c.overRetention = w.retention.Over(c.settled+uint64(len(c.entries)), c.settledBytes+c.bytes)
	}
	return due
}

// flush writes the rows that have changed.
func (w *commit) flush() error {
	for _, r := range w.rows {
		if !r.changed || r.gone {
			continue
		}
		r.changed = false
		if err := w.put(bucketChannels, w.number1(r.number), r.append(w.begin(len(r.name)))); err != nil {
			return fmt.Errorf("writing a channel: %w", err)
		}
	}
	if w.state != w.before {
		return w.put(bucketHub, []byte(hubState), w.state.append(w.begin(16*10)))
	}
	return nil
}
