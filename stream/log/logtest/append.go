package logtest

import (
	"bytes"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/seed-078801ba/sidestream/stream/event"
	"github.com/seed-078801ba/sidestream/stream/log"
)

func testEmpty(t *testing.T, s Store) {
	l := s.Open(t, log.Retention{}, Fixed)
	if h := l.Head(); h.Seq != 0 || h.Epoch == (event.Epoch{}) {
		t.Errorf("head is %v", h)
	}
	if got := Read(t, l, 0, "a", "b"); len(got) != 0 {
		t.Errorf("read %v", got)
	}
	trimmed, err := l.Trimmed("a")
	before, err2 := l.SeqBefore(Time.Add(time.Hour))
	_, known, err3 := l.TagAt(0)
	_, found, err4 := l.SeqOf("a", "1")
	mark, err5 := l.Mark("x")
	if trimmed != 0 || before != 0 || known || found || mark != "" || err != nil || err2 != nil || err3 != nil || err4 != nil || err5 != nil {
		t.Error(trimmed, before, known, found, mark, err, err2, err3, err4, err5)
	}
	if more, err := l.Sweep(Time); more || err != nil {
		t.Error(more, err)
	}
	if got := Put(t, l); len(got) != 0 || l.Head().Seq != 0 {
		t.Error("appending nothing appended something")
	}
}

func testAppend(t *testing.T, s Store) {
	l := s.Open(t, log.Retention{}, Fixed)
	epoch := l.Head().Epoch
	e := event.Event{
		Channel: event.Number("1"), ID: event.Number("9007199254740993"), Version: "v", Op: event.Edit, Type: "TextMessage",
		User: event.String("u"), UserName: "Ann", Thread: event.Number("2"), To: event.String("z"), Body: "b\n",
		Time: Time, Delivery: "d/0", Shape: event.Campfire, Payload: []byte(`{"a":1e400}`),
	}
	got := Put(t, l, e, Message("b", "1", "x"))
	got = append(got, Put(t, l, Message("b", "2", "y"))...)
	for i, a := range got {
		if a.Duplicate || a.Conflict || a.Entry.Seq != uint64(i+1) || a.Entry.At != Time.UnixMilli() {
			t.Errorf("%d: %+v", i, a)
		}
		if tag, ok, err := l.TagAt(a.Entry.Seq); tag != a.Entry.Tag || !ok || err != nil {
			t.Errorf("TagAt(%d) is %v, %v, %v", a.Entry.Seq, tag, ok, err)
		}
	}
	check := func(l log.Log) {
		t.Helper()
		entries := Read(t, l, 0, "b", "1", "b", "none")
		if len(entries) != 3 {
			t.Fatalf("read %d entries", len(entries))
		}
		for i, entry := range entries {
			if !reflect.DeepEqual(entry, got[i].Entry) {
				t.Errorf("read %+v, appended %+v", entry, got[i].Entry)
			}
		}
		if !reflect.DeepEqual(entries[0].Event, e) {
			t.Errorf("read %+v, gave %+v", entries[0].Event, e)
		}
		if want := (event.Cursor{Epoch: epoch, Seq: 3, Tag: got[2].Entry.Tag}); l.Head() != want {
			t.Errorf("head is %v, not %v", l.Head(), want)
		}
		if _, ok, _ := l.TagAt(4); ok {
			t.Error("the future has a tag")
		}
		stats := l.Stats()
		if stats.Events != 3 || stats.Channels != 2 || stats.Oldest != 1 || stats.Bytes <= int64(len(e.Payload)) {
			t.Errorf("%+v", stats)
		}
		if got := Seqs(Read(t, l, 1, "b")); got != "2 3" {
			t.Errorf("after 1: %s", got)
		}
		if entries, more, err := l.Read([]string{"b"}, 0, 2, 0, 0); Seqs(entries) != "2" || more || err != nil {
			t.Errorf("up to 2: %s, %v, %v", Seqs(entries), more, err)
		}
		if got := Read(t, l, 3, "b"); len(got) != 0 {
			t.Errorf("after the head: %v", got)
		}
		if got := Read(t, l, 99, "b"); len(got) != 0 {
			t.Errorf("after the future: %v", got)
		}
		if seq, ok, err := l.SeqOf("b", "2"); seq != 3 || !ok || err != nil {
			t.Errorf("SeqOf is %d, %v, %v", seq, ok, err)
		}
		if _, ok, _ := l.SeqOf("1", "9007199254740993"); ok {
			t.Error("SeqOf found an edit")
		}
	}
	check(l)
	if s.Reopen != nil {
		check(s.Reopen(t, l, log.Retention{}, Fixed))
	}
}

func testDuplicates(t *testing.T, s Store) {
	l := s.Open(t, log.Retention{}, Fixed)
	first := Message("a", "1", "x")
	again := first
	again.Delivery, again.Time, again.ID.Number = "other", Time.Add(time.Minute), true
	changed := Message("a", "1", "changed")
	edit := first
	edit.Op = event.Edit
	none := event.Event{Channel: event.String("a"), Body: "no key"}
	got := Put(t, l, first, again, none, none, changed)
	if s.Reopen != nil {
		l = s.Reopen(t, l, log.Retention{}, Fixed)
	}
	got = append(got, Put(t, l, changed, again, edit)...)
	want := []struct {
		seq                 uint64
		duplicate, conflict bool
	}{{1, false, false}, {1, true, false}, {2, false, false}, {3, false, false}, {1, true, true}, {1, true, true}, {1, true, false}, {4, false, false}}
	for i, w := range want {
		a := got[i]
		if a.Entry.Seq != w.seq || a.Duplicate != w.duplicate || a.Conflict != w.conflict {
			t.Errorf("%d: seq %d, duplicate %v, conflict %v; want %+v", i, a.Entry.Seq, a.Duplicate, a.Conflict, w)
		}
		if a.Duplicate && a.Entry.Tag != got[0].Entry.Tag {
			t.Errorf("%d: the duplicate has tag %v", i, a.Entry.Tag)
		}
	}
	if got := Read(t, l, 0, "a"); Seqs(got) != "1 2 3 4" || got[0].Body != "x" {
		t.Errorf("read %s, %q", Seqs(got), got[0].Body)
	}
}

func testReadLimits(t *testing.T, s Store) {
	l := s.Open(t, log.Retention{}, Fixed)
	var size int
	for i := range 10 {
		e := Message([]string{"a", "b", "c"}[i%3], fmt.Sprint(i), "x")
		size = len(e.AppendBinary(nil))
		Put(t, l, e)
	}
	tests := []struct {
		after, upto     uint64
		limit, maxBytes int
		want            string
		more            bool
	}{
		{0, 99, 3, 0, "1 2 4", true},
		{0, 4, 3, 0, "1 2 4", false},
		{0, 7, 5, 0, "1 2 4 5 7", false},
		{0, 99, 99, 1, "1", true},
		{0, 99, 0, 2 * size, "1 2", true},
		{0, 99, 0, 2*size - 1, "1", true},
		{4, 99, 2, 2 * size, "5 7", true},
		{8, 99, 1, 1, "10", false},
		{0, 0, 9, 0, "", false},
		{5, 3, 9, 0, "", false},
	}
	for _, test := range tests {
		entries, more, err := l.Read([]string{"b", "a"}, test.after, test.upto, test.limit, test.maxBytes)
		if err != nil || Seqs(entries) != test.want || more != test.more {
			t.Errorf("%+v: got %s, %v, %v", test, Seqs(entries), more, err)
		}
	}
	if entries, more, err := l.Read(nil, 0, 99, 5, 0); len(entries) != 0 || more || err != nil {
		t.Errorf("no channels: %v, %v, %v", entries, more, err)
	}
}

func testMarks(t *testing.T, s Store) {
	l := s.Open(t, log.Retention{}, Fixed)
	long := strings.Repeat("s", 1000)
	_, err := l.Append([]event.Event{Message("a", "1", "x")}, []event.Mark{{Source: "r", Value: "1-0"}, {Source: long, Value: ""}})
	Must(t, err)
	// A duplicate moves the mark too: the ingest has read that far.
	_, err = l.Append([]event.Event{Message("a", "1", "x")}, []event.Mark{{Source: "r", Value: "2-0"}})
	Must(t, err)
	_, err = l.Append(nil, []event.Mark{{Source: long, Value: "9"}})
	Must(t, err)
	if s.Reopen != nil {
		l = s.Reopen(t, l, log.Retention{}, Fixed)
	}
	for source, want := range map[string]string{"r": "2-0", long: "9", "other": "", "": ""} {
		if got, err := l.Mark(source); got != want || err != nil {
			t.Errorf("mark of %.9s is %q, %v; not %q", source, got, err, want)
		}
	}
	if l.Head().Seq != 1 {
		t.Errorf("head is %v", l.Head())
	}
}

func testOddNames(t *testing.T, s Store) {
	l := s.Open(t, log.Retention{Events: 2}, Fixed)
	names := []string{"", "\x00", "\x00\x00", "\xff\xfe", "a\nb", "ü", strings.Repeat("n", 200), strings.Repeat("n", 100_000), strings.Repeat("n", 100_001)}
	for round := range 3 {
		for _, name := range names {
			e := Message(name, fmt.Sprint(round, strings.Repeat("i", len(name))), "x")
			e.Payload = bytes.Repeat([]byte("p"), len(name))
			if got := Put(t, l, e, e); got[0].Duplicate || !got[1].Duplicate {
				t.Errorf("%.10q: %v", name, got)
			}
		}
	}
	for i, name := range names {
		got := Read(t, l, 0, name)
		if len(got) != 2 || got[0].Channel.Text != name || got[1].Seq != uint64(2*len(names)+i+1) {
			t.Errorf("%.10q: %s", name, Seqs(got))
		}
		if trimmed, err := l.Trimmed(name); trimmed != uint64(i+1) || err != nil {
			t.Errorf("%.10q: trimmed %d, %v", name, trimmed, err)
		}
	}
}

// testConcurrent reads while one goroutine appends, for the race detector and
// for what a reader may see: an unbroken run up to a head that it was told.
func testConcurrent(t *testing.T, s Store) {
	l := s.Open(t, log.Retention{Events: 50}, Fixed)
	const n = 300
	done := make(chan error, 4)
	for range cap(done) {
		go func() {
			for l.Head().Seq < n {
				head := l.Head()
				entries, _, err := l.Read([]string{"a"}, 0, head.Seq, 0, 0)
				if err != nil {
					done <- err
					return
				}
				if len(entries) > 0 && entries[len(entries)-1].Seq > head.Seq {
					done <- fmt.Errorf("read %d behind %d", entries[len(entries)-1].Seq, head.Seq)
					return
				}
				for i := range entries {
					if entries[i].Seq != entries[0].Seq+uint64(i) {
						done <- fmt.Errorf("read %s", Seqs(entries))
						return
					}
				}
				l.Stats()
				if _, err := l.Trimmed("a"); err != nil {
					done <- err
					return
				}
			}
			done <- nil
		}()
	}
	for i := range n / 3 {
		Put(t, l, Message("a", fmt.Sprint(i, "x"), "x"), Message("a", fmt.Sprint(i, "y"), "x"), Message("a", fmt.Sprint(i, "z"), "x"))
		if i == n/6 {
			l.SetRetention(log.Retention{Events: 20})
		}
		_, err := l.Sweep(Time)
		Must(t, err)
	}
	for range cap(done) {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
}
