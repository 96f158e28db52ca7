package contract

import (
	"math"
	"slices"
	"strings"
)

// walk follows one session through the ledger.
type walk struct {
	l        *ledger
	s        *Session
	bad      *findings
	retained int

	epoch string // "" while nobody knows
	// upto is, for each channel, how far the client has everything or was told
	// what is missing. Valid if known.
	upto  map[string]uint64
	known bool
	start uint64 // upto in the beginning
	// promised is the reason of a gap that the response's head told of, and
	// that the stream has to tell of as well.
	promised string
	asked    position // zero if the client named none
	got      map[Event]bool
}

func newWalk(l *ledger, s *Session, retained int) *walk {
	return &walk{l: l, s: s, bad: l.bad, retained: retained, upto: map[string]uint64{}, got: map[Event]bool{}}
}

func (w *walk) run() {
	if w.s.Torn != "" {
		w.bad.add(WholeMessage, "%s got %.200q", w.s.Client, w.s.Torn)
	}
	w.open()
	for i := range w.s.Seen {
		switch m := &w.s.Seen[i]; m.Kind {
		case Message:
			w.message(m)
		case Gap:
			w.gap(m)
		case Bookmark:
			w.claim(m.Cursor, "a bookmark")
		}
	}
	if w.s.Last {
		w.end()
	}
}

// open judges what the response's head says of the place from which the client
// wants to go on.
func (w *walk) open() {
	s := w.s
	at, named := w.askedPlace()
	reason, gap := strings.CutPrefix(s.Resume, "gap;reason=")
	switch {
	case s.Asked == "" && s.AskedID == "":
		if s.Resume != "" {
			w.bad.add(Resumption, "%s asked for no place and was told %q", s.Client, s.Resume)
		}
		return
	case gap:
		w.promised = reason
	case s.Resume != "complete":
		w.bad.add(Resumption, "%s asked for %s%s and was told %q", s.Client, s.Asked, s.AskedID, s.Resume)
		return
	}
	if !named {
		return
	}
	if tag, known := w.l.tags[place{at.epoch, at.seq}]; known && at.tag != "" && at.tag != tag && !gap {
		w.bad.add(Resumption, "%s came with %s, where another event stands, and was told %q", s.Client, s.Asked, s.Resume)
	}
	w.asked = at
	w.begin(at.epoch, at.seq)
}

// askedPlace is where the client was, if that is known.
func (w *walk) askedPlace() (position, bool) {
	if w.s.Asked != "" {
		at, err := parsePosition(w.s.Asked)
		return at, err == nil
	}
	var found []position
	for _, channel := range w.s.Channels {
		if epoch, seq, ok := w.l.only(Event{channel, w.s.AskedID}); ok {
			found = append(found, position{epoch: epoch, seq: seq})
		}
	}
	if len(found) == 0 {
		return position{}, false
	}
	// Two channels may know the id: the client may have seen only the first.
	return slices.MinFunc(found, func(a, b position) int { return int(int64(a.seq - b.seq)) }), true
}

func (w *walk) begin(epoch string, seq uint64) {
	w.epoch, w.known, w.start = epoch, true, seq
	for _, channel := range w.s.Channels {
		w.upto[channel] = seq
	}
}

func (w *walk) message(m *Seen) {
	// What a way in has missed stands among the messages, and is told there. All
	// else that is missing is missing before the first of them.
	if w.promised != "" && w.promised != "ingest-uncertain" {
		w.bad.add(Hole, "%s was told of a gap (%s) by the response's head, and then got %v without a signal", w.s.Client, w.promised, m.Event)
		w.promised = ""
	}
	if !w.genuine(m) {
		return
	}
	again := w.got[m.Event]
	if again {
		w.bad.add(Once, "%s got %v twice", w.s.Client, m.Event)
	}
	w.got[m.Event] = true
	epoch, seq, ok := w.position(m)
	if !ok || again {
		return
	}
	if !w.known {
		w.early(epoch, seq)
		w.begin(epoch, seq)
		return
	}
	switch {
	case seq <= w.start:
		w.bad.add(Resumption, "%s came back at %d and got %v, which stands at %d", w.s.Client, w.start, m.Event, seq)
		return
	case seq <= w.upto[m.Channel]:
		w.bad.add(Order, "%s got %v, which stands at %d, when it was at %d", w.s.Client, m.Event, seq, w.upto[m.Channel])
		return
	}
	w.passOver(seq, m.Event.String())
	w.reach(seq)
}

// genuine checks that a message is one that was published.
func (w *walk) genuine(m *Seen) bool {
	p := w.l.published[m.Event]
	switch {
	case !slices.Contains(w.s.Channels, m.Channel):
		w.bad.add(Phantom, "%s got %v, and does not listen there", w.s.Client, m.Event)
	case p == nil:
		w.bad.add(Phantom, "%s got %v, which nobody published", w.s.Client, m.Event)
	case m.At < p.start:
		w.bad.add(Phantom, "%s got %v at %v, before it was sent at %v", w.s.Client, m.Event, m.At, p.start)
	case m.Body != p.body:
		w.bad.add(Phantom, "%s got %v as %.80q instead of %.80q", w.s.Client, m.Event, m.Body, p.body)
	default:
		return true
	}
	return false
}

// position is where a message stands in the stream's epoch.
func (w *walk) position(m *Seen) (epoch string, seq uint64, ok bool) {
	if m.Cursor != "" {
		pos, err := parsePosition(m.Cursor)
		if err != nil {
			return "", 0, false // the ledger has said so
		}
		epoch, seq = pos.epoch, pos.seq
	} else if epoch, seq, ok = w.l.only(m.Event); !ok {
		seq, ok = w.l.where[m.Event][w.epoch]
		return w.epoch, seq, ok
	}
	if w.epoch != "" && epoch != w.epoch {
		w.bad.add(Epoch, "%s was in epoch %s and got %v of epoch %s", w.s.Client, w.epoch, m.Event, epoch)
		w.known = false
		w.epoch = ""
	}
	return epoch, seq, true
}

// early checks the first message of a client that wanted what is new: nothing
// that was sent after its stream was open may stand before it.
func (w *walk) early(epoch string, seq uint64) {
	for _, channel := range w.s.Channels {
		for _, before := range w.l.between(epoch, channel, 0, seq) {
			e := w.l.at[place{epoch, before}]
			if p := w.l.published[e]; p != nil && p.start > w.s.Opened && !w.got[e] {
				w.bad.add(Hole, "%s was open at %v and did not get %v, which was sent at %v", w.s.Client, w.s.Opened, e, p.start)
			}
		}
	}
}

// passOver reports what the client did not get before seq.
func (w *walk) passOver(seq uint64, by string) {
	for _, channel := range w.s.Channels {
		for _, missing := range w.l.between(w.epoch, channel, w.upto[channel], seq) {
			w.bad.add(Hole, "%s was at %d and got %s, at %d, without %v, at %d", w.s.Client, w.upto[channel], by, seq,
				w.l.at[place{w.epoch, missing}], missing)
		}
	}
}

func (w *walk) reach(seq uint64) {
	for _, channel := range w.s.Channels {
		w.upto[channel] = max(w.upto[channel], seq)
	}
}

// claim judges a cursor that the client is given: it says that the client has
// everything up to there.
func (w *walk) claim(cursor, by string) {
	if cursor == "" {
		return
	}
	pos, err := parsePosition(cursor)
	if err != nil {
		w.bad.add(OnePosition, "%s got %s: %v", w.s.Client, by, err)
		return
	}
	if tag, known := w.l.tags[place{pos.epoch, pos.seq}]; known && tag != pos.tag {
		w.bad.add(OnePosition, "%s got %s with %s, whose tag is %s", w.s.Client, by, cursor, tag)
	}
	switch {
	case !w.known:
		w.early(pos.epoch, pos.seq)
		w.begin(pos.epoch, pos.seq)
		w.start = 0
	case pos.epoch != w.epoch:
		w.bad.add(Epoch, "%s was in epoch %s and got %s of epoch %s", w.s.Client, w.epoch, by, pos.epoch)
	default:
		w.passOver(pos.seq+1, by)
		w.reach(pos.seq)
	}
}

// gap judges a signal, and moves the client behind what it says is missing.
func (w *walk) gap(g *Seen) {
	w.promised = ""
	to, err := parsePosition(g.To)
	if err != nil {
		w.bad.add(OnePosition, "%s was told of a gap: %v", w.s.Client, err)
		return
	}
	channels := w.s.Channels
	if g.Channel != "" {
		if channels = []string{g.Channel}; !slices.Contains(w.s.Channels, g.Channel) {
			w.bad.add(Phantom, "%s was told of a gap in %s, and does not listen there", w.s.Client, g.Channel)
			return
		}
	}
	if w.known && w.unfounded(g, channels, to) {
		w.bad.add(FalseGap, "%s was at %s.%d and was told that something is missing up to %s: %s", w.s.Client, w.epoch,
			w.upto[channels[0]], g.To, g.Reason)
	}
	if !w.known || to.epoch != w.epoch || g.Reason == "epoch-changed" {
		w.begin(to.epoch, to.seq)
	}
	for _, channel := range channels {
		w.upto[channel] = max(w.upto[channel], to.seq)
	}
	w.claim(g.Cursor, "a gap's cursor")
}

// unfounded tells that nothing can be missing where a signal says so.
func (w *walk) unfounded(g *Seen, channels []string, to position) bool {
	switch {
	case g.Reason != "trimmed" && g.Reason != "epoch-changed":
		return false // what the way in or a shared store knows cannot be seen from here
	case to.epoch != w.epoch:
		return g.Reason == "trimmed" && w.s.AskedID == ""
	case g.Reason == "epoch-changed":
		tag, known := w.l.tags[place{w.asked.epoch, w.asked.seq}]
		return known && tag == w.asked.tag
	}
	for _, channel := range channels {
		if w.l.unresolved[channel] > 0 {
			return false
		}
		missing := w.l.between(w.epoch, channel, w.upto[channel], to.seq+1)
		if len(missing) == 0 {
			continue
		}
		if w.retained == 0 {
			return false
		}
		// What is missing was trimmed only if so many newer ones were there.
		behind := 0
		for _, seq := range w.l.between(w.epoch, channel, missing[0], math.MaxUint64) {
			if p := w.l.published[w.l.at[place{w.epoch, seq}]]; p != nil && p.start < g.At {
				behind++
			}
		}
		if behind >= w.retained {
			return false
		}
	}
	return true
}

// end checks that a client that had time has everything.
func (w *walk) end() {
	if w.promised != "" {
		w.bad.add(Hole, "%s was told of a gap (%s) by the response's head, and the stream never told of it", w.s.Client, w.promised)
	}
	if !w.known {
		epoch := w.epoch
		if epoch == "" && len(w.l.rows) == 1 {
			for epoch = range w.l.rows {
			}
		}
		w.early(epoch, math.MaxUint64)
		return
	}
	for _, channel := range w.s.Channels {
		for _, missing := range w.l.between(w.epoch, channel, w.upto[channel], math.MaxUint64) {
			w.bad.add(ReachesHead, "%s stays at %d and never gets %v, at %d", w.s.Client, w.upto[channel],
				w.l.at[place{w.epoch, missing}], missing)
		}
	}
}
