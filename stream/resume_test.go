package stream

import (
	"fmt"
	"testing"

	"github.com/seed-078801ba/sidestream/stream/event"
	"github.com/seed-078801ba/sidestream/stream/log"
)

// gapHub keeps three events of each channel. a has lost all up to its 7th, b
// has everything, which lies between; c has lost all up to its second.
func gapHub(t *testing.T) (h *Hub, first event.Cursor) {
	t.Helper()
	h = newHub(t, Config{}, log.Retention{Events: 3})
	first = say(t, h, "a", "1")[0].Position
	say(t, h, "b", "1")
	say(t, h, "c", "1", "2")
	for i := 2; i <= 10; i++ {
		say(t, h, "a", fmt.Sprint(i))
	}
	say(t, h, "c", "3", "4", "5")
	say(t, h, "b", "2")
	return h, first
}

func TestOldestOfSeveralChannels(t *testing.T) {
	h, first := gapHub(t)
	channels := []string{"a", "b", "c"}
	start, err := h.Resolve(channels, From{Cursor: first.String(), Oldest: true})
	if err != nil || len(start.Missing) != 2 {
		t.Fatalf("missing %v, %v", start.Missing, err)
	}
	for i, channel := range []string{"a", "c"} {
		m := start.Missing[i]
		trimmed, _ := h.Log().Trimmed(channel)
		tag, _, _ := h.Log().TagAt(trimmed)
		if want := (event.Cursor{Epoch: first.Epoch, Seq: trimmed, Tag: tag}); m.Channel != channel || m.From != first || m.To != want {
			t.Errorf("%s: %+v, to should be %v", channel, m, want)
		}
		if m.At != first { // b goes on from there
			t.Errorf("%s: having got the signal, the client is at %v", channel, m.At)
		}
	}
	l, _ := listen(t, h, opening{format: resumable, channels: channels, start: &start})
	l.expect("GAP trimmed", "GAP trimmed", "b 1", "a 8", "a 9", "a 10", "c 3", "c 4", "c 5", "b 2")

	// Without b, it goes on from where less is missing.
	channels = []string{"a", "c"}
	start, err = h.Resolve(channels, From{Cursor: first.String(), Oldest: true})
	if err != nil || len(start.Missing) != 2 {
		t.Fatalf("missing %v, %v", start.Missing, err)
	}
	at := start.Missing[1].At
	if start.Missing[0].At != first || at.Seq != min(start.Missing[0].To.Seq, start.Missing[1].To.Seq) || start.Seq != at.Seq {
		t.Errorf("missing %+v, from %d", start.Missing, start.Seq)
	}
	l, _ = listen(t, h, opening{format: resumable, channels: channels, start: &start})
	l.expect("GAP trimmed", "GAP trimmed", "a 8", "a 9", "a 10", "c 3", "c 4", "c 5")

	// Who was told of a gap in its one channel is not told again.
	start, _ = h.Resolve([]string{"a"}, From{Cursor: first.String(), Oldest: true})
	again, err := h.Resolve([]string{"a"}, From{Cursor: start.Missing[0].At.String(), Oldest: true})
	if err != nil || again.Resume() != "complete" || again.Seq != start.Seq {
		t.Errorf("%q at %d, then %q at %d, %v", start.Resume(), start.Seq, again.Resume(), again.Seq, err)
	}
}

// What is gone when a stream is attached, and was there when it was resolved,
// is told as well; without a wish for the oldest, of all channels.
func TestTrimmedMeanwhile(t *testing.T) {
	for _, oldest := range []bool{false, true} {
		t.Run(fmt.Sprint("oldest ", oldest), func(t *testing.T) {
			h := newHub(t, Config{WindowEvents: 1}, log.Retention{Events: 3})
			first := say(t, h, "a", "1")[0].Position
			start, err := h.Resolve([]string{"a", "b"}, From{Cursor: first.String(), Oldest: oldest})
			if err != nil || start.Resume() != "complete" {
				t.Fatalf("%q, %v", start.Resume(), err)
			}
			say(t, h, "b", "1")
			say(t, h, "a", "2", "3", "4", "5")
			l, _ := listen(t, h, opening{format: resumable, channels: []string{"a", "b"}, start: &start})
			l.expect("GAP trimmed")
			if oldest {
				l.expect("b 1", "a 3", "a 4", "a 5")
			}
			say(t, h, "b", "new")
			l.expect("b new")
		})
	}
}

// A message's id is a place as long as it is remembered, kept or not: nothing is
// missing if everything after it is there.
func TestResumeByTrimmedID(t *testing.T) {
	h, _ := gapHub(t)
	for id, want := range map[string]string{"7": "complete", "8": "complete", "6": "gap;reason=trimmed", "unknown": "gap;reason=trimmed"} {
		start, err := h.Resolve([]string{"a"}, From{MessageID: id})
		if err != nil || start.Resume() != want {
			t.Errorf("since %s: %q, %v", id, start.Resume(), err)
		}
	}
	// Two channels know it: the first of the two counts.
	one, err1 := h.Resolve([]string{"a"}, From{MessageID: "3"})
	both, err2 := h.Resolve([]string{"a", "c"}, From{MessageID: "3", Oldest: true})
	l, _ := listen(t, h, opening{format: resumable, channels: []string{"a", "c"}, start: &both})
	l.expect("GAP trimmed", "a 8", "a 9", "a 10", "c 3", "c 4", "c 5")
	if err1 != nil || err2 != nil || one.Resume() != "gap;reason=trimmed" {
		t.Errorf("%+v, %v, %v", one, err1, err2)
	}
}

// A message that is known by its id and a version together is found by its id: of
// several with the id, the first one, so that nothing is left out. Of other messages,
// nobody looks through the log.
func TestMessagesWithAVersionAreFound(t *testing.T) {
	h := newHub(t, Config{}, log.Retention{})
	for i, v := range []string{"/one", "/two", "", "/one"} {
		e := event.Event{Channel: event.String("a"), ID: event.String(fmt.Sprint(7 + i/2)), Version: v, Body: fmt.Sprint("body ", i)}
		if _, err := h.Publish(t.Context(), event.Batch{Events: []event.Event{e}}); err != nil {
			t.Fatal(err)
		}
	}
	say(t, h, "b", "1")
	for id, want := range map[string]uint64{"7": 1, "8": 3, "9": 0} {
		start, err := h.Resolve([]string{"a"}, From{MessageID: id})
		if err != nil || (want == 0) != (len(start.Missing) > 0) || want > 0 && start.Seq != want {
			t.Errorf("%s: begins at %d, missing %v, %v", id, start.Seq, start.Missing, err)
		}
	}
	if mark, err := h.Log().Mark(versionedMark("b")); mark != "" || err != nil {
		t.Errorf("a channel whose messages have no version is marked: %q, %v", mark, err)
	}
}
