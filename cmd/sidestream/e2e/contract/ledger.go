package contract

import (
	"cmp"
	"math"
	"slices"
	"time"
)

// ledger is the union of what all publishers and clients know.
type ledger struct {
	published map[Event]*publication
	at        map[place]Event
	tags      map[place]string
	where     map[Event]map[string]uint64 // by epoch
	rows      map[string]map[string][]uint64
	// unresolved counts, by channel, what was published and may or may not be
	// stored.
	unresolved map[string]int
	bad        *findings
}

type place struct {
	epoch string
	seq   uint64
}

// publication is what is known of an event from those who published it.
type publication struct {
	start   time.Duration // of the first attempt
	end     time.Duration // when it was known to be stored: the first answer, or the first who saw it
	body    string
	acked   bool
	unknown bool
}

const never = time.Duration(math.MaxInt64)

func newLedger(h *History, bad *findings) *ledger {
	l := &ledger{
		published: map[Event]*publication{}, at: map[place]Event{}, tags: map[place]string{},
		where: map[Event]map[string]uint64{}, rows: map[string]map[string][]uint64{},
		unresolved: map[string]int{}, bad: bad,
	}
	attempts := slices.Clone(h.Attempts)
	slices.SortStableFunc(attempts, func(a, b Attempt) int { return cmp.Compare(a.Start, b.Start) })
	for i := range attempts {
		l.attempt(&attempts[i])
	}
	for i := range h.Sessions {
		for j := range h.Sessions[i].Seen {
			l.seen(&h.Sessions[i], &h.Sessions[i].Seen[j])
		}
	}
	l.stored(attempts)
	for p, e := range l.at {
		if l.rows[p.epoch] == nil {
			l.rows[p.epoch] = map[string][]uint64{}
		}
		l.rows[p.epoch][e.Channel] = append(l.rows[p.epoch][e.Channel], p.seq)
	}
	for _, channels := range l.rows {
		for _, row := range channels {
			slices.Sort(row)
		}
	}
	for e, p := range l.published {
		if p.unknown && len(l.where[e]) == 0 {
			l.unresolved[e.Channel]++
		}
	}
	return l
}

func (l *ledger) attempt(a *Attempt) {
	p := l.published[a.Event]
	if p == nil {
		p = &publication{start: a.Start, end: never, body: a.Body}
		l.published[a.Event] = p
	}
	switch a.Outcome {
	case Unknown:
		p.unknown = true
	case Acked:
		p.acked, p.end = true, min(p.end, a.End)
		pos, err := parsePosition(a.Position)
		if err != nil {
			l.bad.add(OnePosition, "the answer for %v: %v", a.Event, err)
			return
		}
		l.place(a.Event, pos, "its publisher")
	}
}

func (l *ledger) seen(s *Session, m *Seen) {
	if m.Kind != Message {
		return
	}
	if p := l.published[m.Event]; p != nil {
		p.end = min(p.end, m.At)
	}
	if m.Cursor == "" {
		return
	}
	pos, err := parsePosition(m.Cursor)
	if err != nil {
		l.bad.add(OnePosition, "%s got %v: %v", s.Client, m.Event, err)
		return
	}
	l.place(m.Event, pos, s.Client)
}

// place writes down where an event stands, as somebody was told.
func (l *ledger) place(e Event, pos position, who string) {
	at := place{pos.epoch, pos.seq}
	if other, known := l.at[at]; !known {
		l.at[at], l.tags[at] = e, pos.tag
	} else if other != e {
		l.bad.add(OnePosition, "%s was told that %v stands at %s.%d, where %v stands", who, e, pos.epoch, pos.seq, other)
		return
	} else if l.tags[at] != pos.tag {
		l.bad.add(OnePosition, "%s was told the tag %s of %v at %s.%d, others %s", who, pos.tag, e, pos.epoch, pos.seq, l.tags[at])
	}
	if l.where[e] == nil {
		l.where[e] = map[string]uint64{}
	}
	if seq, known := l.where[e][pos.epoch]; known && seq != pos.seq {
		l.bad.add(OneEvent, "%s was told that %v stands at %s.%d, others at %d", who, e, pos.epoch, pos.seq, seq)
		return
	}
	l.where[e][pos.epoch] = pos.seq
}

// stored checks what answers said of repetitions: that an event is new is said
// at most once in an epoch, and that it is a duplicate only if there was an
// attempt before that may have stored it.
func (l *ledger) stored(attempts []Attempt) {
	type key struct {
		e     Event
		epoch string
	}
	fresh := map[key]bool{}
	first := map[Event]time.Duration{}
	for _, a := range attempts {
		if _, tried := first[a.Event]; !tried {
			first[a.Event] = a.Start
			if a.Outcome == Acked && a.Duplicate && !tried {
				l.bad.add(OneEvent, "the first attempt for %v was answered as a duplicate", a.Event)
			}
		}
		pos, err := parsePosition(a.Position)
		if a.Outcome != Acked || a.Duplicate || err != nil {
			continue
		}
		k := key{a.Event, pos.epoch}
		if fresh[k] {
			l.bad.add(OneEvent, "%v was stored a second time", a.Event)
		}
		fresh[k] = true
	}
}

// realTime checks that no event stands before another one that was
// acknowledged, or seen, before it was sent.
func (l *ledger) realTime() {
	for epoch := range l.rows {
		var row []uint64
		for _, seqs := range l.rows[epoch] {
			row = append(row, seqs...)
		}
		slices.Sort(row)
		earliest, of := never, Event{} // of all that stand behind
		for _, seq := range slices.Backward(row) {
			e := l.at[place{epoch, seq}]
			p := l.published[e]
			if p == nil {
				continue
			}
			if earliest < p.start {
				l.bad.add(RealTime, "%v was sent at %v, when %v was known to be stored at %v, and stands before it", e, p.start, of, earliest)
			}
			if p.end < earliest {
				earliest, of = p.end, e
			}
		}
	}
}

// between are the known events of a channel with after < seq < before.
func (l *ledger) between(epoch, channel string, after, before uint64) []uint64 {
	row := l.rows[epoch][channel]
	from, found := slices.BinarySearch(row, after)
	if found {
		from++
	}
	to, _ := slices.BinarySearch(row, before)
	return row[from:max(from, to)]
}

// only is the epoch in which an event stands, if it is one.
func (l *ledger) only(e Event) (epoch string, seq uint64, ok bool) {
	if len(l.where[e]) != 1 {
		return "", 0, false
	}
	for epoch, seq = range l.where[e] {
	}
	return epoch, seq, true
}
