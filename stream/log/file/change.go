package file

import (
	"github.com/seed-078801ba/sidestream/stream/event"
)

// The newest change of a message stands in the keys bucket under the key of the
// message: its number, and one of these in place of a digest.
const (
	edited  = uint64(event.Edit)
	deleted = uint64(event.Delete) // by this change or an earlier one
)

// latest is the newest change of a message that is remembered.
func (w *commit) latest(message []byte) (row keyRow, ok bool, err error) {
	for _, r := range []*recent{w.fresh, w.recent} {
		if row, ok := r.latest[string(message)]; ok {
			return row, true, nil
		}
	}
	value, err := lookup(w.tx, bucketKeys, message)
	if value == nil || err != nil {
		return row, false, err
	}
	row, err = parseKeyValue(value)
	return row, err == nil, err
}

// kept is what is to be stored of an event, and whether a change of its message that
// came before it makes it say something else than it does.
func (w *commit) kept(e *event.Event) (kept event.Event, changed bool, err error) {
	kept = e.Kept()
	if e.ID.IsZero() || e.Op != event.Create && e.Op != event.Edit ||
		w.state.changed == 0 && len(w.recent.latest) == 0 && len(w.fresh.latest) == 0 {
		return kept, false, nil
	}
	w.key = appendText(w.key[:0], event.MessageKey(e.Channel.Text, e.ID.Text))
	last, ok, err := w.latest(w.key)
	switch {
	case err != nil || !ok:
		return kept, false, err
	case last.content == deleted:
		return kept.WithoutText(), true, nil
	case e.Op == event.Create:
		edit, ok, err := w.entry(last.seq)
		if err == nil && ok {
			return kept.WithText(&edit.Event), true, nil
		}
		return kept, false, err
	}
	return kept, false, nil
}

// change does what an edit or a deletion does to what is kept of its message: the
// event that created it, and the last edit.
func (w *commit) change(e *recentEntry) error {
	last, changed, err := w.latest([]byte(e.message))
	if err != nil {
		return err
	}
	now := keyRow{e.Seq, edited}
	if e.Op == event.Delete || changed && last.content == deleted {
		now.content = deleted
	}
	if changed {
		if err := w.rewrite(last.seq, (*event.Event).WithoutText); err != nil {
			return err
		}
	}
	created, ok, err := w.first(appendText(nil, event.CreateKey(e.Channel.Text, e.ID.Text)))
	if err != nil {
		return err
	}
	if ok {
		err = w.rewrite(created.Seq, func(was *event.Event) event.Event {
			if now.content == deleted {
				return was.WithoutText()
			}
			return was.WithText(&e.Event)
		})
	}
	w.fresh.latest[e.message] = now
	return err
}

// now is what an entry was rewritten to since the file was settled; nil if it was not.
func (w *commit) now(seq uint64) *recentEntry {
	if e := w.fresh.rewritten[seq]; e != nil {
		return e
	}
	return w.recent.rewritten[seq]
}

// entry is a retained entry as it is now.
func (w *commit) entry(seq uint64) (e *recentEntry, ok bool, err error) {
	if e := w.now(seq); e != nil {
		return e, true, nil
	}
	for _, r := range []*recent{w.fresh, w.recent} {
		if e := r.at(seq); e != nil {
			return e, true, nil
		}
	}
	record, ok, err := settledEvent(w, seq)
	if !ok || err != nil {
		return nil, false, err
	}
	entry, err := record.entry()
	return &recentEntry{Entry: entry, encoded: record.encoded}, err == nil, err
}

// settledEvent reads the record of an entry that is settled and retained.
func settledEvent(w *commit, seq uint64) (record eventRecord, ok bool, err error) {
	value, err := lookup(w.tx, bucketOrder, appendNumber(nil, seq))
	if value == nil || err != nil {
		return record, false, err
	}
	row, err := parseOrderValue(value)
	if err != nil {
		return record, false, err
	}
	key := appendNumber(appendNumber(nil, row.channel), seq)
	_, record, err = parseEvent(key, bucketOf(w.tx, bucketEvents).Get(key))
	return record, err == nil, err
}

// rewrite has an entry say something else, if it is retained. A deletion says
// nothing that could go.
func (w *commit) rewrite(seq uint64, how func(*event.Event) event.Event) error {
	was, ok, err := w.entry(seq)
	if !ok || err != nil || was.Op == event.Delete {
		return err
	}
	e := &recentEntry{Entry: was.Entry, key: was.key, message: was.message}
	e.Event = how(&was.Event)
	e.encoded = w.encode(&e.Event)
	grown := int64(len(e.encoded) - len(was.encoded))
	w.fresh.rewrites = append(w.fresh.rewrites, e)
	w.fresh.rewritten[seq] = e
	w.fresh.bytes += grown
	c := w.fresh.channels[e.Channel.Text] // the change has made it fresh
	if w.fresh.at(seq) != nil || w.recent.at(seq) != nil {
		c.bytes += grown
	} else {
		c.settledBytes += grown
	}
	return nil
}

// settleRewrites puts what entries were rewritten to where they are read, and
// forgets the digests of what they said.
func (w *commit) settleRewrites() error {
	for _, r := range []*recent{w.recent, w.fresh} {
		for seq, e := range r.rewritten {
			if w.recent.at(seq) != nil || w.fresh.at(seq) != nil || w.now(seq) != e {
				continue // it is settled as it is now, or was rewritten again
			}
			if err := w.settleRewrite(seq, e); err != nil {
				return err
			}
		}
		for message, row := range r.latest {
			w.key = append(w.key[:0], message...)
			if w.bucket(bucketKeys).Get(w.key) == nil {
				w.state.changed++
			}
			if err := w.put(bucketKeys, w.key, row.append(w.begin(0))); err != nil {
				return err
			}
		}
		// Also what retention has taken before may still stand where it was.
		w.erased = w.erased || len(r.latest) > 0
	}
	return nil
}

func (w *commit) settleRewrite(seq uint64, e *recentEntry) error {
	record, ok, err := settledEvent(w, seq)
	if !ok || err != nil {
		return err // it is gone, with all that it said
	}
	order, err := w.order(seq)
	if err != nil {
		return err
	}
	row, err := w.row(order.channel)
	if err != nil {
		return err
	}
	value := append(appendEvent(w.begin(len(e.encoded)), record.prev, record.at, record.tag), e.encoded...)
	if err := w.put(bucketEvents, w.number2(order.channel, seq), value); err != nil {
		return err
	}
	grown := int64(len(e.encoded)) - order.size
	order.size += grown
	if err := w.put(bucketOrder, w.number1(seq), order.append(w.begin(0))); err != nil {
		return err
	}
	row.bytes += grown
	row.changed = true
	w.state.bytes += grown
	key := e.Key()
	if key == "" {
		return nil
	}
	w.key = appendText(w.key[:0], key)
	known, err := lookup(w.tx, bucketKeys, w.key)
	if known == nil || err != nil {
		return err
	}
	return w.put(bucketKeys, w.key, keyRow{seq: seq}.append(w.begin(0)))
}

// noteScrub notes whether there is something to be overwritten.
func (w *commit) noteScrub() error {
	hub := bucketOf(w.tx, bucketHub)
	switch {
	case w.erased:
		return hub.Put([]byte(hubScrub), []byte{1})
	case w.scrubbed:
		return hub.Delete([]byte(hubScrub))
	}
	return nil
}

// forgetChange forgets that an entry is the newest change of its message.
func (w *commit) forgetChange(message []byte, seq uint64) error {
	value, err := lookup(w.tx, bucketKeys, message)
	if value == nil || err != nil {
		return err
	}
	row, err := parseKeyValue(value)
	if err != nil || row.seq != seq {
		return err
	}
	w.state.changed--
	return w.delete(bucketKeys, message)
}
