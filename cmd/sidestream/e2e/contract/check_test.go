package contract

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

// world makes a correct history: a server with one log, publishers, a crash in
// the middle, and clients of all kinds that come and go.
type world struct {
	h     History
	clock time.Duration
	epoch string
	log   []Event
}

const (
	firstEpoch  = "00000000000000aa"
	secondEpoch = "00000000000000bb"
)

var worldChannels = []string{"a", "b", "c"}

func (w *world) tick() time.Duration { w.clock += time.Millisecond; return w.clock }

func (w *world) cursor(seq int) string {
	if seq == 0 {
		return w.epoch + ".0.000000"
	}
	return fmt.Sprintf("%s.%d.tag%s", w.epoch, seq, w.log[seq-1].ID)
}

func body(e Event) string { return "body of " + e.String() }

// publish stores an event after a first attempt whose answer was lost, if lost
// is set.
func (w *world) publish(channel, id string, lost bool) {
	e := Event{channel, id}
	if lost {
		w.h.Attempts = append(w.h.Attempts, Attempt{Event: e, Body: body(e), Start: w.tick(), End: w.tick()})
	}
	start := w.tick()
	w.log = append(w.log, e)
	w.h.Attempts = append(w.h.Attempts, Attempt{
		Event: e, Body: body(e), Start: start, End: w.tick(), Outcome: Acked, Position: w.cursor(len(w.log)), Duplicate: lost,
	})
}

// some publishes n events, one after the other over the channels.
func (w *world) some(n int) {
	for range n {
		id := fmt.Sprint(len(w.log) + 1)
		if w.epoch == secondEpoch {
			id = "again" + id
		}
		w.publish(worldChannels[len(w.log)%len(worldChannels)], id, len(w.log)%7 == 3)
	}
}

// listen adds a session that gets everything of its channels with after < seq
// <= upto.
func (w *world) listen(client string, cursors bool, after, upto int, channels ...string) *Session {
	s := Session{Client: client, Channels: channels, Opened: w.tick()}
	for seq := after + 1; seq <= upto; seq++ {
		if e := w.log[seq-1]; slices.Contains(channels, e.Channel) {
			m := Seen{Event: e, At: w.tick(), Body: body(e)}
			if cursors {
				m.Cursor = w.cursor(seq)
			}
			s.Seen = append(s.Seen, m)
		}
	}
	if cursors {
		s.Seen = append(s.Seen, Seen{Kind: Bookmark, At: w.tick(), Cursor: w.cursor(upto)})
	}
	w.h.Sessions = append(w.h.Sessions, s)
	return &w.h.Sessions[len(w.h.Sessions)-1]
}

func (s *Session) resumed(asked, id, how string) *Session {
	s.Asked, s.AskedID, s.Resume = asked, id, how
	return s
}

func (s *Session) tell(g Seen) *Session {
	g.Kind, g.At = Gap, s.Opened
	s.Seen = append([]Seen{g}, s.Seen...)
	return s
}

// The sessions of goodHistory by index, for those who spoil them.
const (
	sseLive = iota
	jsonLive
	sseBack
	jsonBack
	sseGap
	sseOldest
	lastSSE
	lastJSON
	theAudit
	sseForeign
	jsonForeign
)

func goodHistory() History {
	w := &world{epoch: firstEpoch}
	w.h.Retained = 5
	w.some(30)
	w.listen("sse", true, 0, 30, "a", "b", "c")
	w.h.Sessions[sseLive].Opened = 0
	w.listen("json", false, 0, 30, "b")
	w.h.Sessions[jsonLive].Opened = 0
	// A crash: some come back, some with what is gone by now.
	w.some(30)
	w.listen("sse", true, 30, 60, "a", "b", "c").resumed(w.cursor(30), "", "complete")
	w.listen("json", false, 29, 60, "b").resumed("", "29", "complete")
	w.listen("late", true, 60, 60, "a", "c").resumed(w.cursor(4), "", "gap;reason=trimmed").
		tell(Seen{To: w.cursor(60), Cursor: w.cursor(60), Reason: "trimmed"})
	// The five newest of a: 46, 49, ... 58.
	w.listen("oldest", true, 43, 60, "a").resumed(w.cursor(10), "", "gap;reason=trimmed").
		tell(Seen{Event: Event{Channel: "a"}, To: w.cursor(43), Cursor: w.cursor(43), Reason: "trimmed"})
	w.some(20)
	w.listen("sse", true, 60, 80, "a", "b", "c").resumed(w.cursor(60), "", "complete").Last = true
	w.listen("json", false, 59, 80, "b").resumed("", "59", "complete").Last = true
	w.listen("audit", true, 0, 80, "a", "b", "c").resumed(w.cursor(0), "", "complete").Audit = true
	// Another store: everybody is told.
	old := w.cursor(80)
	w.epoch, w.log = secondEpoch, nil
	w.some(6)
	w.listen("sse", true, 6, 6, "a", "b", "c").resumed(old, "", "gap;reason=epoch-changed").
		tell(Seen{To: w.cursor(6), Cursor: w.cursor(6), Reason: "epoch-changed"})
	w.listen("json", false, 6, 6, "b").resumed("", "80", "gap;reason=trimmed").
		tell(Seen{To: w.cursor(6), Reason: "trimmed"})
	return w.h
}

func TestCorrectHistory(t *testing.T) {
	for _, v := range Check(goodHistory()) {
		t.Error(v)
	}
}

// messageAt is the index of a message of a session, counted without what is
// none.
func messageAt(s *Session, n int) int {
	for i := range s.Seen {
		if s.Seen[i].Kind == Message {
			if n == 0 {
				return i
			}
			n--
		}
	}
	panic("the session has not so many messages")
}

// Each kind of fault that a server can have is found, by the rule that it
// breaks.
func TestPlantedFaults(t *testing.T) {
	drop := func(n int, session int) func(*History) {
		return func(h *History) {
			s := &h.Sessions[session]
			i := messageAt(s, n)
			s.Seen = slices.Delete(s.Seen, i, i+1)
		}
	}
	double := func(session int) func(*History) {
		return func(h *History) {
			s := &h.Sessions[session]
			i := messageAt(s, 3)
			s.Seen = slices.Insert(s.Seen, i+1, s.Seen[i])
		}
	}
	swap := func(session int) func(*History) {
		return func(h *History) {
			s := &h.Sessions[session]
			i := messageAt(s, 3)
			s.Seen[i], s.Seen[i+1] = s.Seen[i+1], s.Seen[i]
		}
	}
	// lose makes the server forget an event at a crash, and give its place to
	// the one that comes next.
	lose := func(reuse bool) func(*History) {
		return func(h *History) {
			gone, next := Event{"c", "60"}, Event{"a", "61"}
			for i := range h.Sessions {
				s := &h.Sessions[i]
				if i >= sseGap || i == jsonBack {
					s.Seen = slices.DeleteFunc(s.Seen, func(m Seen) bool { return m.Event == gone })
				}
				for j := range s.Seen {
					if m := &s.Seen[j]; reuse && m.Event == next {
						m.Cursor = firstEpoch + ".60.tag61"
					}
				}
			}
			for i := range h.Attempts {
				if a := &h.Attempts[i]; reuse && a.Event == next && a.Outcome == Acked {
					a.Position = firstEpoch + ".60.tag61"
				}
			}
		}
	}
	acked := func(h *History, id string) *Attempt {
		for i := range h.Attempts {
			if a := &h.Attempts[i]; a.ID == id && a.Outcome == Acked {
				return a
			}
		}
		panic("there is no attempt for " + id)
	}
	for _, test := range []struct {
		name  string
		fault func(*History)
		want  Rule
	}{
		{"no sync: an acknowledged event is lost", lose(false), AckedIsKept},
		{"no sync: what was seen is lost", lose(false), SeenIsKept},
		{"no sync: its position is used again", lose(true), OnePosition},
		{"an event is dropped, with cursors", drop(3, sseLive), Hole},
		{"an event is dropped, without cursors", drop(3, jsonLive), Hole},
		{"the first event after a resume is dropped", drop(0, sseBack), Hole},
		{"the first event after a resume by id is dropped", drop(0, jsonBack), Hole},
		{"the first event of a live stream is dropped", drop(0, sseLive), Hole},
		{"the last event before a bookmark is dropped", drop(29, sseLive), Hole},
		{"the last event of all is dropped", drop(6, lastJSON), ReachesHead},
		{"an event is doubled, with cursors", double(sseLive), Once},
		{"an event is doubled, without cursors", double(jsonBack), Once},
		{"two events change places, with cursors", swap(sseLive), Order},
		{"two events change places, without cursors", swap(jsonLive), Order},
		{"a resumed stream begins too early", func(h *History) {
			s := &h.Sessions[sseBack]
			from := h.Sessions[sseLive].Seen
			s.Seen = append(slices.Clone(from[messageAt(&h.Sessions[sseLive], 29):30]), s.Seen...)
		}, Resumption},
		{"a cursor is ignored without a word", func(h *History) { h.Sessions[sseBack].Resume = "" }, Resumption},
		{"a stranger is told of a gap", func(h *History) { h.Sessions[sseLive].Resume = "gap;reason=trimmed" }, Resumption},
		{"a cursor of a lost event is taken", func(h *History) {
			h.Sessions[sseBack].Asked = firstEpoch + ".30.tagXX"
		}, Resumption},
		{"a gap is forgotten", func(h *History) {
			s := &h.Sessions[sseOldest]
			s.Seen, s.Resume = s.Seen[1:], "complete"
		}, Hole},
		{"a gap is forgotten in the stream", func(h *History) {
			s := &h.Sessions[sseOldest]
			s.Seen = s.Seen[1:]
		}, Hole},
		{"a gap of a way in is promised and never told", func(h *History) {
			h.Sessions[lastSSE].Resume = "gap;reason=ingest-uncertain"
		}, Hole},
		{"a gap is forgotten at a bookmark", func(h *History) {
			s := &h.Sessions[sseGap]
			s.Seen, s.Resume = s.Seen[1:], "complete"
		}, Hole},
		{"a gap is told of the wrong channel", func(h *History) { h.Sessions[sseGap].Seen[0].Channel = "a" }, Hole},
		{"a gap where nothing is missing", func(h *History) {
			h.Sessions[sseGap].Asked = firstEpoch + ".60.tag60"
		}, FalseGap},
		{"a gap where everything is kept", func(h *History) {
			h.Sessions[sseGap].Asked = firstEpoch + ".55.tag55"
		}, FalseGap},
		{"a new epoch is told of, and is none", func(h *History) {
			h.Sessions[sseBack].Resume = "gap;reason=epoch-changed"
			h.Sessions[sseBack].tell(Seen{To: firstEpoch + ".30.tag30", Cursor: firstEpoch + ".30.tag30", Reason: "epoch-changed"})
		}, FalseGap},
		{"a gap's cursor is ahead of another channel", func(h *History) {
			s := &h.Sessions[sseOldest]
			s.Channels = []string{"a", "b"}
			s.Seen[0].Cursor = firstEpoch + ".43.tag43"
		}, Hole},
		{"the epoch changes silently", func(h *History) {
			s := &h.Sessions[sseForeign]
			s.Seen, s.Resume = s.Seen[1:], "complete"
		}, Epoch},
		{"the epoch changes within a stream", func(h *History) {
			s := &h.Sessions[lastSSE]
			s.Seen = append(s.Seen, Seen{Event: Event{"a", "again1"}, At: never, Body: "body of a/again1", Cursor: secondEpoch + ".1.tagagain1"})
		}, Epoch},
		{"the epoch changes within a stream without cursors", func(h *History) {
			s := &h.Sessions[lastJSON]
			s.Seen = append(s.Seen, Seen{Event: Event{"b", "again2"}, At: never, Body: "body of b/again2"})
		}, Epoch},
		{"a position is used for two events", func(h *History) { acked(h, "20").Position = firstEpoch + ".21.tag20" }, OnePosition},
		{"a client sees another cursor than the publisher", func(h *History) {
			h.Sessions[sseLive].Seen[9].Cursor = firstEpoch + ".10.tagXX"
		}, OnePosition},
		{"a repetition gets a position of its own", func(h *History) {
			a := *acked(h, "20")
			a.Position, a.Start, a.End = firstEpoch+".99.tag20", never-1, never-1
			h.Attempts = append(h.Attempts, a)
		}, OneEvent},
		{"a repetition is called new", func(h *History) {
			a := *acked(h, "20")
			a.Start, a.End = never-1, never-1
			h.Attempts = append(h.Attempts, a)
		}, OneEvent},
		{"what is new is called a duplicate", func(h *History) { acked(h, "20").Duplicate = true }, OneEvent},
		{"an answer without a position", func(h *History) { acked(h, "20").Position = "20" }, OnePosition},
		{"a later event stands before an earlier one", func(h *History) {
			a, b := acked(h, "20"), acked(h, "23")
			a.Start, b.Start, a.End, b.End = b.Start, a.Start, b.End, a.End
		}, RealTime},
		{"an event that nobody published", func(h *History) {
			h.Sessions[jsonLive].Seen[0].ID = "phantom"
		}, Phantom},
		{"an event of another channel", func(h *History) {
			h.Sessions[jsonLive].Seen[0].Event = Event{"a", "1"}
		}, Phantom},
		{"an event before it was sent", func(h *History) { h.Sessions[jsonLive].Seen[0].At = 0 }, Phantom},
		{"an altered event", func(h *History) { h.Sessions[jsonLive].Seen[0].Body += "!" }, Phantom},
		{"a torn message", func(h *History) { h.Sessions[jsonLive].Torn = `{"body":` }, WholeMessage},
	} {
		t.Run(test.name, func(t *testing.T) {
			h := goodHistory()
			test.fault(&h)
			found := Check(h)
			if !slices.ContainsFunc(found, func(v Violation) bool { return v.Rule == test.want }) {
				t.Errorf("not found: %s; instead: %v", test.want, found)
			}
			for _, v := range found {
				if strings.Contains(v.Detail, "%!") {
					t.Error(v)
				}
			}
		})
	}
}

// Not every session has to know everything, and not every answer comes.
func TestNothingToComplainOf(t *testing.T) {
	for name, change := range map[string]func(*History){
		"a stream that was cut": func(h *History) {
			s := &h.Sessions[jsonLive]
			s.Seen = s.Seen[:4]
		},
		"a gap of which only the way in knows": func(h *History) {
			h.Sessions[sseBack].Resume = "gap;reason=ingest-uncertain"
			h.Sessions[sseBack].tell(Seen{To: firstEpoch + ".30.tag30", Cursor: firstEpoch + ".30.tag30", Reason: "ingest-uncertain"})
		},
		"an event that was refused": func(h *History) {
			h.Attempts = append(h.Attempts, Attempt{Event: Event{"a", "refused"}, Outcome: Refused})
		},
		"an event of which nobody knows": func(h *History) {
			h.Attempts = append(h.Attempts, Attempt{Event: Event{"a", "lost"}, Start: 1, End: 2})
		},
		"a gap where something may be missing": func(h *History) {
			h.Attempts = append(h.Attempts, Attempt{Event: Event{"a", "lost"}, Start: 1, End: 2})
			h.Sessions[sseGap].Asked = firstEpoch + ".60.tag60"
		},
		"a place that nobody knows": func(h *History) { h.Sessions[jsonBack].AskedID = "unknown" },
	} {
		t.Run(name, func(t *testing.T) {
			h := goodHistory()
			change(&h)
			for _, v := range Check(h) {
				t.Error(v)
			}
		})
	}
}

func TestManyViolationsOfOneRule(t *testing.T) {
	var bad findings
	for i := range 100 {
		bad.add(Hole, "number %d", i)
	}
	bad.add(Once, "one")
	if all := bad.all(); len(all) != perRule+2 || all[len(all)-2].Detail != "and 95 more" && all[len(all)-1].Detail != "and 95 more" {
		t.Errorf("%v", all)
	}
}
