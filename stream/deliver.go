package stream

import (
	"bytes"
	"slices"

	"github.com/seed-078801ba/sidestream/stream/event"
)

const (
	// burstFrames and burstBytes bound what goes out in one writev, so that one
	// stream that is far behind does not hold up the others of its shard.
	burstFrames = 128
	burstBytes  = 128 << 10
)

// burst is a row of messages between a cursor and the head, ready to be written.
// Streams that listen to the same channel in the same format stand at the same
// place more often than not: the burst made for the first serves them all.
type burst struct {
	ch    *channel // nil: of no use to others
	enc   uint8
	epoch event.Epoch // of from and upto
	from  uint64

	bufs  [][]byte
	seqs  []uint64 // of each buf
	size  int
	late  int    // the place plus one of the subscription whose cursor it moves; 0: the stream's
	upto  uint64 // where the cursor stands when all is written
	state burstState
}

type burstState uint8

const (
	complete  burstState = iota // there is nothing between upto and the head
	cutShort                    // there may be more
	needsPage                   // something between cursor and window is not in memory
	hasGap                      // a mark of missing events that the client would not understand
	overtaken                   // what a pattern matched is no longer in memory
)

// behindWindow is what there is to do for a stream that stands before the
// channel's window.
func (c *channel) behindWindow() burstState {
	if c.pattern {
		return overtaken
	}
	return needsPage
}

func (r *burst) reset() {
	clear(r.bufs)
	*r = burst{bufs: r.bufs[:0], seqs: r.seqs[:0]}
}

// add puts a message into the burst; false if it is full.
func (r *burst) add(it *item, s *Stream, epoch event.Epoch) bool {
	if len(r.bufs) == burstFrames || r.size >= burstBytes {
		r.state = cutShort
		return false
	}
	if s.given != nil && it.Op == event.Create {
		if _, had := s.given[event.CreateKey(it.Channel.Text, it.ID.Text)]; had {
			r.upto = it.Seq
			return true
		}
	}
	if it.Op == event.Gap && !s.asked {
		r.state = hasGap
		return false
	}
	if b := it.frame(s.enc, s.encoding(), epoch); len(b) > 0 {
		r.bufs, r.seqs, r.size = append(r.bufs, b), append(r.seqs, it.Seq), r.size+len(b)
	}
	r.upto = it.Seq
	return true
}

// deliver writes what lies between a stream's cursor and the head, and what the
// stream was asked for in between, as far as its connection takes it.
func (sh *shard) deliver(s *Stream) {
	if len(s.rest) > 0 {
		rest := s.rest
		s.rest = nil
		if !sh.write(s, rest) {
			return
		}
	}
	for s.state == open {
		r := sh.collect(s)
		if len(r.bufs) > 0 {
			n, err := s.conn.Write(r.bufs)
			if err != nil {
				s.reason = WriteFailed
				sh.release(s)
				return
			}
			if sh.advance(s, r, n); n < r.size {
				sh.addSlow(s)
				return
			}
		} else {
			sh.advance(s, r, 0)
		}
		switch r.state {
		case complete:
			if sh.nextAct(s) {
				if s.state == open && len(s.rest) > 0 {
					return // it takes no more now
				}
				continue
			}
			sh.removeSlow(s)
			s.live = true
			if s.draining {
				sh.conclude(s, ShuttingDown)
			}
			return
		case needsPage:
			sh.removeSlow(s) // it is we who are behind
			s.state = fetching
			sh.hub.fetchers.fetch(s)
			return
		case hasGap:
			sh.conclude(s, Unresumable)
			return
		case overtaken:
			if !sh.overtaken(s) {
				return
			}
		}
	}
}

// collect makes the burst of a stream's next messages.
func (sh *shard) collect(s *Stream) *burst {
	head := sh.hub.head.Load()
	if head.Epoch != s.within { // a reset is on its way to us
		return sh.nothing(s)
	}
	limit := s.actLimit(head.Seq)
	switch {
	case s.late > 0:
		return sh.collectLate(s, head.Epoch)
	case len(s.page) > 0 || s.pageTo > s.cursor:
		return sh.collectPage(s, head.Epoch, limit)
	case len(s.subs) == 1 && limit == head.Seq:
		return sh.collectOne(s, head)
	}
	return sh.collectAll(s, head.Epoch, limit)
}

// nothing is a burst of no messages, which leaves the cursor where it is.
func (sh *shard) nothing(s *Stream) *burst {
	r := &sh.last
	r.reset()
	r.upto = s.cursor
	return r
}

// collectOne makes the burst of a stream with one channel, unless it is the same as
// the last one.
func (sh *shard) collectOne(s *Stream, head *event.Cursor) *burst {
	r, ch := &sh.last, s.subs[0].ch
	s.cursor = max(s.cursor, s.subs[0].behind)
	if s.given == nil && r.ch == ch && r.enc == s.enc && r.epoch == head.Epoch && r.from == s.cursor && r.state == complete && r.upto == head.Seq {
		return r
	}
	r = sh.nothing(s)
	w := ch.recent()
	if w.base.Epoch != head.Epoch { // a reset is on its way to us
		return r
	}
	if s.cursor < w.base.Seq {
		r.state = ch.behindWindow()
		return r
	}
	for _, it := range w.after(s.cursor, head.Seq) {
		if !r.add(it.item, s, head.Epoch) {
			return r
		}
	}
	// A gap signal is for those who asked: such a burst is not for all.
	r.ch, r.enc, r.epoch, r.from, r.upto = ch, s.enc, head.Epoch, s.cursor, head.Seq
	if s.asked != s.spec.Format.Resumable() || s.given != nil {
		r.ch = nil
	}
	return r
}

// collectAll makes the burst of a stream with any number of channels, in the order
// of the log. What several of them have, patterns, goes out once.
func (sh *shard) collectAll(s *Stream, epoch event.Epoch, limit uint64) *burst {
	r := sh.nothing(s)
	var next [][]placed // of the channels that have something, what is to come
	for i := range s.subs {
		w, after := s.subs[i].ch.recent(), max(s.cursor, s.subs[i].behind)
		if w.base.Epoch != epoch { // a reset is on its way to us
			return r
		}
		if after < w.base.Seq {
			r.state = s.subs[i].ch.behindWindow()
			return r
		}
		if items := w.after(after, limit); len(items) > 0 {
			next = append(next, items)
		}
	}
	if !sh.merge(r, s, next, epoch) {
		return r
	}
	r.upto = max(limit, s.cursor)
	return r
}

// merge adds rows of items to a burst, in the order of the log and each once; false
// if the burst is full.
func (sh *shard) merge(r *burst, s *Stream, next [][]placed, epoch event.Epoch) bool {
	for len(next) > 0 {
		first := 0
		for i := range next {
			if next[i][0].Seq < next[first][0].Seq {
				first = i
			}
		}
		it := next[first][0].item
		if !r.add(it, s, epoch) {
			return false
		}
		for i := len(next) - 1; i >= 0; i-- {
			if next[i][0].Seq != it.Seq {
				continue
			}
			if next[i] = next[i][1:]; len(next[i]) == 0 {
				next[i] = next[len(next)-1]
				next = next[:len(next)-1]
			}
		}
	}
	return true
}

// collectPage makes a burst of older events that were read from the log, and of
// what patterns have of the same time.
func (sh *shard) collectPage(s *Stream, epoch event.Epoch, limit uint64) *burst {
	r := sh.nothing(s)
	limit = min(limit, s.pageTo)
	next := [][]placed{nil}
	for _, it := range s.page {
		if it.Seq <= limit {
			next[0] = append(next[0], placed{item: it})
		}
	}
	if len(next[0]) == 0 {
		next = nil
	}
	for i := range s.subs {
		if ch := s.subs[i].ch; ch.pattern {
			w, after := ch.recent(), max(s.cursor, s.subs[i].behind)
			if w.base.Epoch != epoch {
				return r
			}
			if after < w.base.Seq {
				r.state = overtaken
				return r
			}
			if items := w.after(after, limit); len(items) > 0 {
				next = append(next, items)
			}
		}
	}
	if !sh.merge(r, s, next, epoch) {
		return r
	}
	// The page ends here, or an act has its turn; what is behind it is for the
	// next round.
	if r.upto = max(limit, s.cursor); limit == s.pageTo {
		r.state = cutShort
	}
	return r
}

// collectLate makes a burst of what a channel said before the stream's cursor, for
// a client that joined it later.
func (sh *shard) collectLate(s *Stream, epoch event.Epoch) *burst {
	r := sh.nothing(s)
	k := slices.IndexFunc(s.subs, func(sub subscription) bool { return sub.late() })
	sub := &s.subs[k]
	r.late, r.upto = k+1, sub.from
	if s.pageOf == sub.ch {
		for _, it := range s.page {
			if it.Seq <= sub.upto && !r.add(it, s, epoch) {
				return r
			}
		}
		r.upto, r.state = min(s.pageTo, sub.upto), cutShort
		return r
	}
	w := sub.ch.recent()
	if w.base.Epoch != epoch { // a reset is on its way to us
		return r
	}
	if sub.from < w.base.Seq {
		r.state = needsPage
		return r
	}
	for _, it := range w.after(sub.from, sub.upto) {
		if !r.add(it.item, s, epoch) {
			return r
		}
	}
	r.upto, r.state = sub.upto, cutShort
	return r
}

// advance moves a stream's cursor, or that of a channel that is late, over n
// bytes of a burst that were taken.
func (sh *shard) advance(s *Stream, r *burst, n int) {
	sh.took(s, n)
	at := s.cursor
	if r.late > 0 {
		at = s.subs[r.late-1].from
	}
	if n == r.size {
		at = max(at, r.upto)
		sh.delivered(s, len(r.bufs))
	} else {
		k := 0
		for ; n >= len(r.bufs[k]); k++ {
			n -= len(r.bufs[k])
			at = r.seqs[k]
		}
		sh.delivered(s, k)
		if n > 0 { // the k-th is on its way
			s.rest, at = r.bufs[k][n:], r.seqs[k]
			sh.delivered(s, 1)
		}
	}
	if r.late == 0 {
		s.cursor = at
	} else {
		sub := &s.subs[r.late-1]
		if sub.from = at; !sub.late() {
			s.late--
			s.dropPage(sub.ch)
		}
	}
	for len(s.page) > 0 && s.page[0].Seq <= at {
		s.page[0] = nil
		s.page = s.page[1:]
	}
	if len(s.page) == 0 {
		if s.page = nil; s.pageOf != nil && s.pageTo <= at {
			s.dropPage(s.pageOf)
		}
	}
}

// dropPage forgets the page of a channel that was late.
func (s *Stream) dropPage(of *channel) {
	if s.pageOf == of {
		s.page, s.pageTo, s.pageOf = nil, 0, nil
	}
}

// took counts bytes. A stream that is catching up has time as long as it gets
// on; one that had caught up has it from when it fell behind.
func (sh *shard) took(s *Stream, n int) {
	s.bytes += uint64(n)
	sh.counters.bytes.Add(uint64(n))
	if n == 0 {
		return
	}
	s.wrote = sh.clock
	if !s.live {
		s.lastTaken = now()
	}
}

func (sh *shard) delivered(s *Stream, n int) {
	s.events += uint64(n)
	sh.counters.delivered[s.enc].Add(uint64(n))
}

// write writes one message that is not in the log (a heartbeat, a signal), or
// the rest of what was begun. What is not taken now is kept as the stream's
// rest. It returns true if the stream is still open and can take more.
func (sh *shard) write(s *Stream, b []byte) bool {
	sh.one[0] = b
	return sh.writeAll(s, sh.one[:])
}

// writeAll is write for several messages.
func (sh *shard) writeAll(s *Stream, messages [][]byte) bool {
	n, err := s.conn.Write(messages)
	if err != nil {
		s.reason = WriteFailed
		sh.release(s)
		return false
	}
	sh.took(s, n)
	for len(messages) > 0 && n >= len(messages[0]) {
		n -= len(messages[0])
		messages = messages[1:]
	}
	if len(messages) == 0 {
		return true
	}
	if s.rest = messages[0][n:]; len(messages) > 1 {
		s.rest = append(s.rest[:len(s.rest):len(s.rest)], bytes.Join(messages[1:], nil)...)
	}
	sh.addSlow(s)
	return false
}

// writeNext is write for a stream whose connection may not have taken all of
// the last message: then this one follows it.
func (sh *shard) writeNext(s *Stream, b []byte) bool {
	if s.behind == 0 {
		return sh.write(s, b)
	}
	s.rest = append(s.rest[:len(s.rest):len(s.rest)], b...)
	return false
}
