package stream

import (
	"time"

	"github.com/seed-078801ba/sidestream/stream/event"
)

// wheel has the streams of one heartbeat period, in one bucket for each tick of
// the period: each tick, one bucket is written to.
type wheel struct {
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
	return &wheel{step: int64(period) / int64(n), buckets: make([][]*Stream, n), at: now()}
}

// addBeat puts a stream into the wheel of its period. Streams go around the
// buckets, so that those who come together do not beat together.
func (sh *shard) addBeat(s *Stream) {
	w := sh.beats[s.spec.Heartbeat]
	if w == nil {
		w = newWheel(s.spec.Heartbeat)
		sh.beats[s.spec.Heartbeat] = w
	}
	w.fill = (w.fill + 1) % len(w.buckets)
	b := &w.buckets[w.fill]
	s.beat = beatPlace{int32(w.fill), int32(len(*b))}
	*b = append(*b, s)
}

func (sh *shard) removeBeat(s *Stream) {
	b := &sh.beats[s.spec.Heartbeat].buckets[s.beat.bucket]
	last := len(*b) - 1
	(*b)[s.beat.index] = (*b)[last]
	(*b)[s.beat.index].beat.index = s.beat.index
	(*b)[last] = nil
	if *b = (*b)[:last]; last == 0 {
		*b = nil
	}
}

// beatWheel writes the heartbeats that are due.
func (sh *shard) beatWheel(w *wheel, t int64) {
	if t-w.at > w.step*int64(len(w.buckets)) {
		w.at = t // the shard slept, having no streams
	}
	for ; w.at <= t; w.at += w.step {
		b := w.buckets[w.next]
		for i := len(b) - 1; i >= 0; i-- {
			if i < len(b) && b[i] != nil {
				sh.heartbeat(b[i])
			}
		}
		w.next = (w.next + 1) % len(w.buckets)
	}
}

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
	if len(hb.bytes) > 0 {
		sh.write(s, hb.bytes)
	}
}
