package stream

import (
	"time"

	"github.com/seed-078801ba/sidestream/stream/event"
)

// wheel has the streams of one heartbeat period, in one bucket for each tick of
// the period, and one more: each tick, one bucket is written to. A stream that was
// written to since is not; it goes on to the bucket in which its period is over.
type wheel struct {
	period  int64
	step    int64 // between two buckets
	buckets [][]*Stream
	next    int   // bucket
	at      int64 // when it is due
	fill    int   // bucket that gets the next new stream
}

// beatPlace is where a stream stands in its wheel.
type beatPlace struct{ bucket, index int32 }

// beatFrame is the heartbeat that was made last. Streams of the same encoding that
// stand at the same cursor share it.
type beatFrame struct {
	enc    uint8
	cursor event.Cursor
	bytes  []byte
}

func newWheel(period time.Duration) *wheel {
	n := max(1, int(period/tick))
	return &wheel{period: int64(period), step: int64(period) / int64(n), buckets: make([][]*Stream, n+1), at: now()}
}

// addBeat puts a stream into the wheel of its period. Streams go around the
// buckets, so that those who come together do not beat together.
func (sh *shard) addBeat(s *Stream) {
	w := sh.beats[s.spec.Heartbeat]
	if w == nil {
		w = newWheel(s.spec.Heartbeat)
		sh.beats[s.spec.Heartbeat] = w
	}
	w.fill = (w.fill + 1) % (len(w.buckets) - 1) // not later than a period from now
	w.put(s, (w.next+w.fill)%len(w.buckets))
}

func (w *wheel) put(s *Stream, bucket int) {
	b := &w.buckets[bucket]
	s.beat = beatPlace{int32(bucket), int32(len(*b))}
	*b = append(*b, s)
}

func (w *wheel) remove(s *Stream) {
	b := &w.buckets[s.beat.bucket]
	last := len(*b) - 1
	(*b)[s.beat.index] = (*b)[last]
	(*b)[s.beat.index].beat.index = s.beat.index
	(*b)[last] = nil
	if *b = (*b)[:last]; last == 0 {
		*b = nil
	}
}

func (sh *shard) removeBeat(s *Stream) { sh.beats[s.spec.Heartbeat].remove(s) }

// beatWheel writes the heartbeats that are due.
func (sh *shard) beatWheel(w *wheel, t int64) {
	if t-w.at > w.step*int64(len(w.buckets)) {
		w.at = t // the shard slept, having no streams
	}
	for ; w.at <= t; w.at += w.step {
		bucket := w.next
		w.next = (w.next + 1) % len(w.buckets)
		// From the end: who goes on to another bucket, or ends, is replaced by the
		// last one.
		for i := len(w.buckets[bucket]) - 1; i >= 0; i-- {
			if b := w.buckets[bucket]; i < len(b) {
				sh.visit(w, b[i], t)
			}
		}
	}
}

// visit writes a stream's heartbeat, unless its client got something a while ago
// that is shorter than the period. It goes to the bucket whose time comes no later
// than a period after what it got last; those that got it together, events of one
// channel, are spread over the last quarter before that. The first one comes in any
// case: so streams stay spread over the whole period that were opened together.
func (sh *shard) visit(w *wheel, s *Stream, t int64) {
	n := int64(len(w.buckets) - 1)
	left := (s.wrote + w.period - t) / w.step // ticks until its period is over
	if left <= 0 || !s.beating {
		s.beating = true
		sh.heartbeat(s)
		if s.state == gone || s.state == ending || s.state == finished {
			return // it has left the wheel
		}
		left = n
	} else if quarter := min(n/4, left-1); quarter > 0 {
		left -= int64(s.slot) % (quarter + 1)
	}
	w.remove(s)
	w.put(s, int((int64(w.next)-1+left+int64(len(w.buckets)))%int64(len(w.buckets))))
}

// maxUnheard is how many pings a client may leave without any word: then it is gone,
// whatever a proxy on the way says for it.
const maxUnheard = 3

// heartbeat writes to a stream, unless its connection has not even taken its
// messages.
func (sh *shard) heartbeat(s *Stream) {
	if s.attentive() {
		sh.deliver(s) // other channels may have moved the head on: so may the cursor
	}
	if s.behind != 0 || !s.running() {
		return
	}
	cursor := s.headCursor()
	hb := &sh.beat
	if hb.bytes == nil || hb.enc != s.enc || hb.cursor != cursor {
		*hb = beatFrame{s.enc, cursor, s.encoding().frame(s.spec.Format.Heartbeat(nil, cursor))}
	}
	switch beat := s.framing.Beat(); {
	case len(hb.bytes) > 0:
		sh.write(s, hb.bytes)
	case len(beat) == 0:
	case s.unheard == maxUnheard:
		s.reason = ClientGone
		sh.release(s)
	default:
		s.unheard++
		sh.write(s, beat)
	}
}
