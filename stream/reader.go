package stream

import (
	"context"
	"slices"
	"sort"
	"sync"
	"sync/atomic"

	"github.com/seed-078801ba/sidestream/stream/event"
)

// Reader is what a client has of a hub that asks again and again, by one held
// request after another: its channels, how far it has got in each, and its
// ticket. Between two Takes nothing is queued for it: the log has it. So what a
// client takes and does not acknowledge is given again, and a client that stays
// away costs a few bytes.
//
// All methods are safe for concurrent use; of two Takes at a time, both see the
// same.
type Reader struct {
	hub    *Hub
	ticket *Ticket
	wake   chan struct{} // has something when there may be something new

	mu     sync.Mutex
	epoch  event.Epoch // of all positions
	subs   []readerSub
	joins  uint64 // so far
	done   event.Cursor
	closed bool
	ready  atomic.Pointer[func()]
}

// readerSub is how far a Reader has got in one channel.
type readerSub struct {
	ch      *channel
	at      uint64
	joined  uint64          // the how manieth it is
	told    uint64          // what is missing up to here needs no signal
	missing []event.Missing // that the client was not told of
	since   uint64          // where a pattern joined
	// What stands behind hadFrom up to hadTo was given by a pattern that matches.
	hadFrom, hadTo uint64
}

// Taken is what a Take has found.
type Taken struct {
	// Missing is to be told first.
	Missing []event.Missing
	Entries []event.Entry
	// At is where the client stands that has got all of it.
	At event.Cursor
	// More: there is more already.
	More bool

	pos   uint64
	joins uint64 // channels that joined later are not in it
}

// takeBytes bounds what one Take gives, beside its count.
const takeBytes = 256 << 10

// NewReader makes a Reader without channels. It owns the ticket, which may be
// nil, until Close.
func (h *Hub) NewReader(ticket *Ticket) *Reader {
	return &Reader{hub: h, ticket: ticket, wake: make(chan struct{}, 1), epoch: h.Head().Epoch}
}

// Join has the reader read one more channel, from where Resolve said. Joining a
// channel twice changes nothing. The caller has seen to it that the client may
// listen, and has had the channel counted, see Ticket.Grant.
func (r *Reader) Join(channel string, start Start) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed || r.sub(channel, false) >= 0 {
		return
	}
	h := r.hub
	h.mu.Lock()
	ch := h.channel(channel)
	h.listen(ch)
	h.mu.Unlock()
	p := readerSub{ch: ch, at: start.At(channel), told: start.told}
	for _, m := range start.Missing {
		if m.Channel == "" || m.Channel == channel {
			m.Channel = channel
			p.missing = append(p.missing, m)
		}
	}
	for _, q := range r.subs {
		if q.ch.pattern && (Pattern{q.ch.name}).Matches(channel) && (p.hadTo == 0 || q.since < p.hadFrom) {
			p.hadFrom, p.hadTo = q.since, q.at
		}
	}
	r.join(p, start.epoch)
}

// JoinPatternFrom is JoinPattern for a client that has joined before and has seen what
// was said up to at. What was said since then is told as missing.
func (r *Reader) JoinPatternFrom(p Pattern, at event.Cursor) {
	r.JoinPattern(p)
	r.mu.Lock()
	defer r.mu.Unlock()
	i := r.sub(p.text, true)
	if i < 0 || at.Epoch == r.epoch && at.Seq >= r.subs[i].at {
		return
	}
	reason := event.Trimmed
	if at.Epoch != r.epoch {
		reason = event.EpochChanged
	}
	joined := &r.subs[i]
	joined.missing = append(joined.missing, event.Missing{Channel: p.text, From: at, To: event.Cursor{Epoch: r.epoch, Seq: joined.at}, Reason: reason})
	r.stir()
}

// JoinPattern has the reader read all channels that a pattern matches, from now
// on. Between two Takes that are far apart, more may come than is kept in memory
// of a pattern: then the client is told that it was too slow.
func (r *Reader) JoinPattern(p Pattern) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed || r.sub(p.text, true) >= 0 {
		return
	}
	h := r.hub
	h.mu.Lock()
	ch, head := h.pattern(p), h.Head()
	h.listen(ch)
	h.mu.Unlock()
	r.join(readerSub{ch: ch, at: head.Seq, since: head.Seq}, head.Epoch)
}

func (r *Reader) join(p readerSub, epoch event.Epoch) {
	if epoch != r.epoch { // one of the two was before a reset
		head := r.hub.Head()
		p.at, p.since, p.missing = head.Seq, head.Seq, []event.Missing{{Channel: p.ch.name, To: head, Reason: event.EpochChanged}}
	}
	r.joins++
	p.joined = r.joins
	r.subs = append(r.subs, p)
	p.ch.addReader(r)
	r.stir()
}

func (r *Reader) sub(name string, pattern bool) int {
	return slices.IndexFunc(r.subs, func(p readerSub) bool { return p.ch.name == name && p.ch.pattern == pattern })
}

// Leave takes a channel, or a pattern by its text, out of the reader, and gives
// its count back.
func (r *Reader) Leave(channel string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.subs = slices.DeleteFunc(r.subs, func(p readerSub) bool {
		if p.ch.name != channel {
			return false
		}
		r.leave(p.ch)
		return true
	})
	r.ticket.Return(channel)
}

func (r *Reader) leave(ch *channel) {
	ch.removeReader(r)
	r.hub.mu.Lock()
	r.hub.unlisten(ch)
	r.hub.mu.Unlock()
}

// Close leaves all channels and releases the ticket. A Take that waits returns
// event.ErrClosed. Idempotent.
func (r *Reader) Close() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return
	}
	r.closed = true
	for _, p := range r.subs {
		r.leave(p.ch)
	}
	r.subs = nil
	r.ticket.Release()
	r.stir()
}

// Channels are those that the reader has joined, without patterns.
func (r *Reader) Channels() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	var names []string
	for _, p := range r.subs {
		if !p.ch.pattern {
			names = append(names, p.ch.name)
		}
	}
	return names
}

// Places are how far the reader has got in each of its channels, and a position of
// the log that is shown, by which it is known again.
func (r *Reader) Places() (places map[string]uint64, shown event.Cursor) {
	r.mu.Lock()
	defer r.mu.Unlock()
	places = make(map[string]uint64, len(r.subs))
	for _, p := range r.subs {
		places[p.ch.name] = p.at
	}
	if r.done.Epoch == r.epoch && r.done.Seq > 0 {
		return places, r.done
	}
	return places, r.hub.Head()
}

// UpTo is what a Take gave that a reader before this one has made: everything up to a
// position.
func (r *Reader) UpTo(at event.Cursor) Taken {
	r.mu.Lock()
	defer r.mu.Unlock()
	return Taken{At: at, pos: at.Seq, joins: r.joins}
}

// Start is where a stream of the reader's Channels goes on: the client has found
// a better way to be told than to ask. A stream's Closed.Left is the way back.
func (r *Reader) Start() Start {
	r.mu.Lock()
	defer r.mu.Unlock()
	start := Start{epoch: r.epoch, Asked: true, Seq: r.hub.Head().Seq}
	for _, p := range r.subs {
		start.Missing = append(start.Missing, p.missing...)
		start.Seq = min(start.Seq, p.at)
	}
	for _, p := range r.subs {
		if !p.ch.pattern {
			start.begin(p.ch.name, p.at)
		}
	}
	return start
}

// OnReady has f called whenever there may be something new, for those who do not wait
// in a Take: also where there is nothing. It is called under locks: it must not wait,
// and not call the Reader. nil ends it.
func (r *Reader) OnReady(f func()) {
	if f == nil {
		r.ready.Store(nil)
		return
	}
	r.ready.Store(&f)
}

// stir wakes a Take that waits.
func (r *Reader) stir() {
	if f := r.ready.Load(); f != nil {
		(*f)()
		return
	}
	select {
	case r.wake <- struct{}{}:
	default:
	}
}

// again is stir for other Takes alone.
func (r *Reader) again() {
	select {
	case r.wake <- struct{}{}:
	default:
	}
}

// Take returns what comes next, at most so many entries, and waits until there is
// something. When ctx ends first, it returns nothing, and no error. It does not
// move the reader: Done does.
func (r *Reader) Take(ctx context.Context, limit int) (Taken, error) {
	for {
		t, err := r.take(limit)
		if err != nil || len(t.Entries) > 0 || len(t.Missing) > 0 {
			r.again() // there may be a second Take
			return t, err
		}
		select {
		case <-r.wake:
		case <-r.hub.closing:
			return t, event.ErrClosed
		case <-ctx.Done():
			return t, nil
		}
	}
}

// Done moves the reader behind what was taken: the client has it. To do so twice,
// or too late, changes nothing.
func (r *Reader) Done(t Taken) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if t.At.Epoch != r.epoch {
		if !slices.ContainsFunc(t.Missing, func(m event.Missing) bool { return m.Reason == event.EpochChanged }) {
			return
		}
		r.epoch = t.At.Epoch
		for i := range r.subs {
			p := &r.subs[i]
			*p = readerSub{ch: p.ch, since: t.At.Seq, joined: p.joined}
		}
	}
	r.done = t.At
	for i := range r.subs {
		p := &r.subs[i]
		if p.joined > t.joins {
			continue // it may begin before what was taken of the others
		}
		p.at = max(p.at, t.pos)
		for _, m := range t.Missing {
			if m.Channel == p.ch.name && m.Reason != event.IngestUncertain {
				p.at = max(p.at, m.To.Seq)
			}
		}
		p.missing = slices.DeleteFunc(p.missing, func(m event.Missing) bool { return slices.Contains(t.Missing, m) })
	}
}

// row is what comes next of one channel.
type row struct {
	entries []event.Entry
	upto    uint64 // all of the channel up to here is in it

	hadFrom, hadTo uint64 // see readerSub
}

func (r *row) had(seq uint64) bool { return r.hadFrom < seq && seq <= r.hadTo }

// take is Take without waiting.
func (r *Reader) take(limit int) (t Taken, err error) {
	limit = max(limit, 1)
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return t, event.ErrClosed
	}
	head := r.hub.Head()
	if head.Epoch != r.epoch {
		t.Missing = []event.Missing{{To: head, Reason: event.EpochChanged}}
		t.At, t.pos, t.joins = head, head.Seq, r.joins
		return t, nil
	}
	rows := make([]row, 0, len(r.subs))
	t.joins = r.joins
	t.At, t.pos = head, head.Seq
	for i := range r.subs {
		p := &r.subs[i]
		t.Missing = append(t.Missing, p.missing...)
		next, missing, err := r.next(p, head, limit)
		if err != nil {
			return Taken{}, err
		}
		t.Missing = append(t.Missing, missing...)
		next.hadFrom, next.hadTo = p.hadFrom, p.hadTo
		rows = append(rows, next)
		t.pos = min(t.pos, max(next.upto, p.at))
	}
	for _, next := range rows {
		for _, e := range next.entries {
			if e.Seq <= t.pos && !next.had(e.Seq) {
				t.Entries = append(t.Entries, e)
			}
		}
	}
	sort.SliceStable(t.Entries, func(i, j int) bool { return t.Entries[i].Seq < t.Entries[j].Seq })
	t.Entries = slices.CompactFunc(t.Entries, func(a, b event.Entry) bool { return a.Seq == b.Seq }) // of patterns
	if len(t.Entries) > limit {
		t.Entries = t.Entries[:limit:limit]
		t.pos = t.Entries[limit-1].Seq
	}
	if t.pos < head.Seq {
		t.More = true
		if n := len(t.Entries); n > 0 && t.Entries[n-1].Seq == t.pos {
			t.At = event.Cursor{Epoch: head.Epoch, Seq: t.pos, Tag: t.Entries[n-1].Tag}
		} else if t.At, err = r.hub.cursorOf(t.pos, head.Epoch); err != nil {
			return Taken{}, err
		}
	}
	return t, nil
}

// next finds what a channel has said since the reader's place in it: in memory,
// or else in the log.
func (r *Reader) next(p *readerSub, head event.Cursor, limit int) (row, []event.Missing, error) {
	at := p.at
	for _, m := range p.missing {
		if m.Reason != event.IngestUncertain { // of that, what there is still follows
			at = max(at, m.To.Seq)
		}
	}
	if at >= head.Seq {
		return row{upto: head.Seq}, nil, nil
	}
	w := p.ch.recent()
	if w.base.Epoch != head.Epoch { // a reset comes in this moment
		return row{upto: at}, nil, nil
	}
	var missing []event.Missing
	if p.ch.pattern && at < w.base.Seq {
		missing = []event.Missing{{Channel: p.ch.name, To: w.base, Reason: event.SlowClient}}
		at = w.base.Seq
	}
	if at >= w.base.Seq {
		items := w.after(at, head.Seq)
		next := row{upto: head.Seq}
		size := 0
		for i, it := range items {
			if size += weight(&it.Entry); i == limit || i > 0 && size > takeBytes {
				next.upto = items[i-1].Seq
				break
			}
			next.entries = append(next.entries, it.Entry)
		}
		return next, missing, nil
	}
	entries, more, err := r.hub.log.Read([]string{p.ch.name}, at, head.Seq, limit, takeBytes)
	if err != nil {
		return row{}, nil, err
	}
	// Looked at last: retention may have come in between.
	trimmed, err := r.hub.log.Trimmed(p.ch.name)
	if err != nil {
		return row{}, nil, err
	}
	if trimmed > max(at, p.told) {
		to, err := r.hub.cursorOf(trimmed, head.Epoch)
		if err != nil {
			return row{}, nil, err
		}
		missing = append(missing, event.Missing{Channel: p.ch.name, To: to, Reason: event.Trimmed})
	}
	next := row{entries: entries, upto: head.Seq}
	if more {
		next.upto = entries[len(entries)-1].Seq
	}
	return next, missing, nil
}

// interrupted notes what is uncertain of the reader's channels.
func (r *Reader) interrupted(channel string, at event.Cursor) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if i := r.sub(channel, false); i >= 0 && r.epoch == at.Epoch && r.subs[i].at < at.Seq {
		p := &r.subs[i]
		p.missing = append(p.missing, event.Missing{Channel: channel, To: at, Reason: event.IngestUncertain})
		r.stir()
	}
}

func (c *channel) addReader(r *Reader) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.readers == nil {
		c.readers = map[*Reader]struct{}{}
	}
	c.readers[r] = struct{}{}
	c.reading.Store(int32(len(c.readers)))
}

func (c *channel) removeReader(r *Reader) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.readers, r)
	c.reading.Store(int32(len(c.readers)))
}

// wakeReaders wakes the Takes that wait for the channel.
func (c *channel) wakeReaders() {
	if c.reading.Load() == 0 {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for r := range c.readers {
		r.stir()
	}
}
