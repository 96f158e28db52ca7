package logtest

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/seed-078801ba/sidestream/stream/event"
	"github.com/seed-078801ba/sidestream/stream/log"
)

// change is an edit or a deletion of a message.
func change(op event.Op, channel, id, version, body string) event.Event {
	return event.Event{Channel: event.String(channel), ID: event.String(id), Op: op, Version: version, Body: body, User: event.String("moderator")}
}

// says is what the entries say now, with an X for what is gone.
func says(entries []event.Entry) string {
	var s []string
	for _, e := range entries {
		text := e.Body
		if e.Shape == event.Gone {
			text = "X"
			if e.Body != "" || e.Payload != nil {
				text = "a rest of something"
			}
		}
		s = append(s, fmt.Sprint(e.Seq, "=", e.Op, ":", text))
	}
	return strings.Join(s, " ")
}

func testChanges(t *testing.T, s Store) {
	l := s.Open(t, log.Retention{}, Fixed)
	expect := func(want string) {
		t.Helper()
		if got := says(Read(t, l, 0, "a")); got != want {
			t.Errorf("it says\n%s, want\n%s", got, want)
		}
	}
	reopen := func() {
		if s.Reopen != nil {
			l = s.Reopen(t, l, log.Retention{}, Fixed)
		}
	}
	sweep := func() { SweepAll(t, l, Time) }
	for i, pause := range []func(){func() {}, sweep, reopen} { // where it stands then is up to the store
		l = s.Open(t, log.Retention{}, Fixed)
		var tags []event.Tag
		for _, a := range Put(t, l, Message("a", "1", "one"), Message("b", "1", "another"), Message("a", "2", "two"), Message("a", "3", "three")) {
			tags = append(tags, a.Entry.Tag)
		}
		pause()
		Put(t, l, change(event.Edit, "a", "1", "v1", "ONE"))
		expect("1=create:ONE 3=create:two 4=create:three 5=edit:ONE")
		pause()
		Put(t, l, change(event.Edit, "a", "1", "v2", "One!"), change(event.Delete, "a", "2", "", "two"))
		expect("1=create:One! 3=create:X 4=create:three 5=edit:X 6=edit:One! 7=delete:")
		pause()
		Put(t, l, change(event.Delete, "a", "1", "", ""))
		want := "1=create:X 3=create:X 4=create:three 5=edit:X 6=edit:X 7=delete: 8=delete:"
		expect(want)
		pause()
		expect(want)
		reopen()
		expect(want)
		if got := says(Read(t, l, 0, "b")); got != "2=create:another" {
			t.Errorf("the other channel says %s", got)
		}
		entries := Read(t, l, 0, "a")
		if e := entries[0]; e.ID.Text != "1" || e.User.Text != "7" || e.Channel.Text != "a" || e.At != Time.UnixMilli() {
			t.Errorf("%d: what is left of a message: %+v", i, e)
		}
		for _, n := range []int{0, 2, 3} {
			seq := uint64(n + 1)
			if tag, ok, err := l.TagAt(seq); tag != tags[n] || !ok || err != nil {
				t.Errorf("%d: the tag at %d is %v, %v, %v", i, seq, tag, ok, err)
			}
		}
		if seq, ok, err := l.SeqOf("a", "2"); seq != 3 || !ok || err != nil {
			t.Errorf("%d: the deleted message is found at %d, %v, %v", i, seq, ok, err)
		}
		// Repeated deliveries are known, whatever was said.
		for _, e := range []event.Event{Message("a", "1", "one"), Message("a", "1", "anything"), change(event.Edit, "a", "1", "v1", "x")} {
			if a := Put(t, l, e)[0]; !a.Duplicate || a.Conflict {
				t.Errorf("%d: again: %+v", i, a)
			}
		}
		var bytes int64
		for _, e := range append(entries, Read(t, l, 0, "b")...) {
			bytes += int64(len(e.AppendBinary(nil)))
		}
		if got := l.Stats(); got.Events != 8 || got.Bytes != bytes || got.Channels != 2 {
			t.Errorf("%d: %+v, not %d bytes", i, got, bytes)
		}
	}
}

// testChangesFirst: senders race, and what comes first need not be first.
func testChangesFirst(t *testing.T, s Store) {
	l := s.Open(t, log.Retention{}, Fixed)
	Put(t, l, change(event.Delete, "a", "1", "", ""), change(event.Edit, "a", "2", "v1", "new"))
	if s.Reopen != nil {
		l = s.Reopen(t, l, log.Retention{}, Fixed)
	}
	got := Put(t, l, Message("a", "1", "old"), Message("a", "2", "old"), change(event.Edit, "a", "1", "v1", "old"))
	for i, want := range []string{"3=create:X", "4=create:new", "5=edit:X"} {
		if text := says([]event.Entry{got[i].Entry}); text != want {
			t.Errorf("stored is %s, not %s", text, want)
		}
	}
	want := "1=delete: 2=edit:new 3=create:X 4=create:new 5=edit:X"
	if got := says(Read(t, l, 0, "a")); got != want {
		t.Errorf("it says %s", got)
	}
	SweepAll(t, l, Time)
	if got := says(Read(t, l, 0, "a")); got != want {
		t.Errorf("swept, it says %s", got)
	}
	// All in one batch.
	Put(t, l, Message("b", "1", "old"), change(event.Edit, "b", "1", "v1", "new"), change(event.Delete, "b", "1", "", ""), Message("b", "2", "x"))
	if got := says(Read(t, l, 0, "b")); got != "6=create:X 7=edit:X 8=delete: 9=create:x" {
		t.Errorf("one batch says %s", got)
	}
	// What was taken back is not compared with what comes again, in the same batch either.
	again := Put(t, l, Message("c", "1", "old"), change(event.Delete, "c", "1", "", ""), Message("c", "1", "another"))[2]
	if !again.Duplicate || again.Conflict {
		t.Errorf("a deleted message again, in one batch: %+v", again)
	}
}

// testChangesLater changes what retention has taken, or is about to.
func testChangesLater(t *testing.T, s Store) {
	now := Time
	l := s.Open(t, log.Retention{Events: 2}, func() time.Time { return now })
	Put(t, l, Message("a", "1", "one"), Message("a", "2", "two"), Message("a", "3", "three"))
	Put(t, l, change(event.Delete, "a", "1", "", ""))
	if got := says(Read(t, l, 2, "a")); got != "3=create:three 4=delete:" {
		t.Errorf("it says %s", got)
	}
	Put(t, l, change(event.Edit, "a", "3", "v1", strings.Repeat("long ", 50)))
	SweepAll(t, l, now)
	if got := seqs(l, t, "a"); got != "4 5" {
		t.Errorf("retained are %s", got)
	}
	Put(t, l, Message("quiet", "1", "x"), change(event.Delete, "quiet", "1", "", ""))
	now = now.Add(100 * time.Hour) // all keys are old, and those of what is retained are known
	SweepAll(t, l, now)
	if a := Put(t, l, change(event.Edit, "quiet", "1", "v1", "back?"))[0]; a.Entry.Shape != event.Gone {
		t.Errorf("a message that was deleted long ago is edited: %+v", a)
	}
	for i := range 3 { // the deletion goes, and its key
		Put(t, l, Message("quiet", fmt.Sprint("x", i), "x"))
	}
	SweepAll(t, l, now)
	now = now.Add(100 * time.Hour)
	SweepAll(t, l, now)
	if a := Put(t, l, Message("quiet", "1", "another"))[0]; a.Duplicate || a.Entry.Body != "another" {
		t.Errorf("what nobody remembers is known: %+v", a)
	}
}

func seqs(l log.Log, t testing.TB, channel string) string { return Seqs(Read(t, l, 0, channel)) }
