package stream

import (
	"github.com/seed-078801ba/sidestream/stream/event"
)

const (
	// runFrames and runBytes bound what goes out in one writev, so that one
	// stream that is far behind does not hold up the others of its shard.
	runFrames = 128
	runBytes  = 128 << 10
)

// run is a row of messages between a cursor and the head, ready to be written.
// Streams that listen to the same channel in the same format stand at the same
// place more often than not: the run made for the first serves them all.
type run struct {
	ch    *channel // nil: of no use to others
	enc   uint8
	epoch event.Epoch // of from and upto
	from  uint64

	bufs  [][]byte
	seqs  []uint64 // of each buf
	size  int
	upto  uint64 // where the cursor stands when all is written
	state runState
}

type runState uint8

const (
	complete  runState = iota // there is nothing between upto and the head
	cutShort                  // there may be more
	needsPage                 // something between cursor and window is not in memory
	hasGap                    // a mark of missing events that the client would not understand
)

func (r *run) reset() {
	clear(r.bufs)
	*r = run{bufs: r.bufs[:0], seqs: r.seqs[:0]}
}

// add puts a message into the run; false if it is full.
func (r *run) add(it *item, s *Stream, epoch event.Epoch) bool {
	if len(r.bufs) == runFrames || r.size >= runBytes {
		r.state = cutShort
		return false
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

// deliver writes what lies between a stream's cursor and the head, as far as
// its connection takes it.
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
			s.cursor = max(s.cursor, r.upto)
		}
		switch r.state {
		case complete:
			sh.removeSlow(s)
			s.live = true
			if s.last != "" {
				sh.conclude(s, s.last)
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
		}
	}
}

// collect makes the run of a stream's next messages.
func (sh *shard) collect(s *Stream) *run {
	r := &sh.last
	head := sh.hub.head.Load()
	if head.Epoch != s.within { // a reset is on its way to us
		r.reset()
		r.upto = s.cursor
		return r
	}
	if len(s.page) > 0 || s.pageTo > s.cursor {
		return sh.collectPage(s, head.Epoch)
	}
	if len(s.subs) == 1 {
		ch := s.subs[0].ch
		s.cursor = max(s.cursor, s.subs[0].behind)
		if r.ch == ch && r.enc == s.enc && r.epoch == head.Epoch && r.from == s.cursor && r.state == complete && r.upto == head.Seq {
			return r
		}
		r.reset()
		r.upto = s.cursor
		w := ch.recent()
		if w.epoch != head.Epoch { // a reset is on its way to us
			return r
		}
		if s.cursor < w.base {
			r.state = needsPage
			return r
		}
		for _, it := range w.after(s.cursor, head.Seq) {
			if !r.add(it, s, head.Epoch) {
				return r
			}
		}
		// A gap signal is for those who asked: such a run is not for all.
		r.ch, r.enc, r.epoch, r.from, r.upto = ch, s.enc, head.Epoch, s.cursor, head.Seq
		if s.asked != s.spec.Format.Resumable() {
			r.ch = nil
		}
		return r
	}
	r.reset()
	r.upto = s.cursor
	var next [][]*item // of the channels that have something, what is to come
	for i := range s.subs {
		w, after := s.subs[i].ch.recent(), max(s.cursor, s.subs[i].behind)
		if w.epoch != head.Epoch { // a reset is on its way to us
			return r
		}
		if after < w.base {
			r.state = needsPage
			return r
		}
		if items := w.after(after, head.Seq); len(items) > 0 {
			next = append(next, items)
		}
	}
	for len(next) > 0 {
		first := 0
		for i := range next {
			if next[i][0].Seq < next[first][0].Seq {
				first = i
			}
		}
		if !r.add(next[first][0], s, head.Epoch) {
			return r
		}
		if next[first] = next[first][1:]; len(next[first]) == 0 {
			next[first] = next[len(next)-1]
			next = next[:len(next)-1]
		}
	}
	r.upto = head.Seq
	return r
}

// collectPage makes a run of older events that were read from the log.
func (sh *shard) collectPage(s *Stream, epoch event.Epoch) *run {
	r := &sh.last
	r.reset()
	r.upto = s.cursor
	for _, it := range s.page {
		if !r.add(it, s, epoch) {
			return r
		}
	}
	// The page ends here; what is behind it is for the next round.
	r.upto, r.state = s.pageTo, cutShort
	return r
}

// advance moves a stream's cursor over n bytes of a run that were taken.
func (sh *shard) advance(s *Stream, r *run, n int) {
	sh.took(s, n)
	if n == r.size {
		s.cursor = r.upto
		sh.delivered(s, len(r.bufs))
	} else {
		k := 0
		for ; n >= len(r.bufs[k]); k++ {
			n -= len(r.bufs[k])
			s.cursor = r.seqs[k]
		}
		sh.delivered(s, k)
		if n > 0 { // the k-th is on its way
			s.rest, s.cursor = r.bufs[k][n:], r.seqs[k]
			sh.delivered(s, 1)
		}
	}
	for len(s.page) > 0 && s.page[0].Seq <= s.cursor {
		s.page[0] = nil
		s.page = s.page[1:]
	}
	if len(s.page) == 0 {
		s.page = nil
	}
}

// took counts bytes. A stream that is catching up has time as long as it gets
// on; one that had caught up has it from when it fell behind.
func (sh *shard) took(s *Stream, n int) {
	s.bytes += uint64(n)
	sh.counters.bytes.Add(uint64(n))
	if n > 0 && !s.live {
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
	n, err := s.conn.Write(sh.one[:])
	if err != nil {
		s.reason = WriteFailed
		sh.release(s)
		return false
	}
	sh.took(s, n)
	if n < len(b) {
		s.rest = b[n:]
		sh.addSlow(s)
		return false
	}
	return true
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
