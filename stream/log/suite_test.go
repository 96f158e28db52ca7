package log

import (
	"bytes"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/seed-078801ba/sidestream/stream/event"
)

func TestMain(m *testing.M) {
	if runChild() {
		return
	}
	// rueidis ends it by itself, five seconds after the topology has changed.
	goleak.VerifyTestMain(m, goleak.IgnoreAnyFunction("github.com/redis/rueidis.(*clusterClient)._refresh.func2"))
}

// store opens one kind of log for the suite. Each call gives an empty log, but
// reopen gives the same one again, as after a restart; it is nil where nothing
// outlives the process.
type store struct {
	name   string
	open   func(t testing.TB, r Retention, now func() time.Time) Log
	reopen func(t testing.TB, l Log, r Retention, now func() time.Time) Log
	// ownTags: tags are not event.TagOf, but made where the log is kept.
	ownTags bool
	// ownClock: the clock outlives the process too, and has one speed.
	ownClock bool
}

// stores are all kinds of log that pass the suite.
var stores = []store{
	{
		name: "memory",
		open: func(t testing.TB, r Retention, now func() time.Time) Log { return NewMemory(r, now) },
	},
	{
		name: "file",
		open: func(t testing.TB, r Retention, now func() time.Time) Log {
			return openFile(t, t.TempDir()+"/log.db", Options{Retention: r, Now: now})
		},
		reopen: func(t testing.TB, l Log, r Retention, now func() time.Time) Log {
			must(t, l.Close())
			return openFile(t, l.(*File).path, Options{Retention: r, Now: now})
		},
	},
	{
		name: "file without sync",
		open: func(t testing.TB, r Retention, now func() time.Time) Log {
			return openFile(t, t.TempDir()+"/log.db", Options{Retention: r, Now: now, UnsafeNoSync: true})
		},
		reopen: func(t testing.TB, l Log, r Retention, now func() time.Time) Log {
			must(t, l.Close())
			return openFile(t, l.(*File).path, Options{Retention: r, Now: now, UnsafeNoSync: true})
		},
	},
}

func openFile(t testing.TB, path string, o Options) *File {
	t.Helper()
	f, err := Open(path, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// testTime is when tests begin.
var testTime = time.UnixMilli(1_700_000_000_000).UTC()

// message is an event with all that matters here.
func message(channel, id, body string) event.Event {
	return event.Event{
		Channel: event.String(channel), ID: event.String(id), User: event.Number("7"), Body: body,
		Shape: event.Raw, Payload: []byte(`{"id":"` + id + `","body":"` + body + `"}`),
	}
}

func put(t testing.TB, l Log, events ...event.Event) []Appended {
	t.Helper()
	results, err := l.Append(events, nil)
	if err != nil {
		t.Fatal(err)
	}
	return results
}

func read(t testing.TB, l Log, after uint64, channels ...string) []event.Entry {
	t.Helper()
	entries, more, err := l.Read(channels, after, ^uint64(0), 0, 0)
	if err != nil || more {
		t.Fatalf("reading without limits: more is %v, %v", more, err)
	}
	return entries
}

func seqs(entries []event.Entry) string {
	var s []string
	for _, e := range entries {
		s = append(s, fmt.Sprint(e.Seq))
	}
	return strings.Join(s, " ")
}

func sweepAll(t testing.TB, l Log, now time.Time) {
	t.Helper()
	for range 10_000 {
		more, err := l.Sweep(now)
		if err != nil {
			t.Fatal(err)
		}
		if !more {
			return
		}
	}
	t.Fatal("sweeping never ends")
}

// TestStores is what every kind of log must do.
func TestStores(t *testing.T) {
	tests := []struct {
		name string
		run  func(t *testing.T, s store)
	}{
		{"empty", testEmpty},
		{"append and read", testAppend},
		{"duplicates", testDuplicates},
		{"limits of a read", testReadLimits},
		{"marks", testMarks},
		{"retention by count", testCount},
		{"retention by bytes", testBytes},
		{"retention by age", testAge},
		{"retention in steps", testSteps},
		{"keys outlive events", testKeys},
		{"events outlive keys", testRetainedKeys},
		{"forgotten channels", testForgotten},
		{"before a time", testSeqBefore},
		{"time never goes back", testClockBack},
		{"odd names", testOddNames},
		{"reads beside appends", testConcurrent},
	}
	for _, s := range stores {
		for _, test := range tests {
			t.Run(s.name+"/"+test.name, func(t *testing.T) { test.run(t, s) })
		}
	}
}

func fixed() time.Time { return testTime }

func testEmpty(t *testing.T, s store) {
	l := s.open(t, Retention{}, fixed)
	if h := l.Head(); h.Seq != 0 || h.Epoch == (event.Epoch{}) {
		t.Errorf("head is %v", h)
	}
	if got := read(t, l, 0, "a", "b"); len(got) != 0 {
		t.Errorf("read %v", got)
	}
	trimmed, err := l.Trimmed("a")
	before, err2 := l.SeqBefore(testTime.Add(time.Hour))
	_, known, err3 := l.TagAt(0)
	_, found, err4 := l.SeqOf("a", "1")
	mark, err5 := l.Mark("x")
	if trimmed != 0 || before != 0 || known || found || mark != "" || err != nil || err2 != nil || err3 != nil || err4 != nil || err5 != nil {
		t.Error(trimmed, before, known, found, mark, err, err2, err3, err4, err5)
	}
	if more, err := l.Sweep(testTime); more || err != nil {
		t.Error(more, err)
	}
	if got := put(t, l); len(got) != 0 || l.Head().Seq != 0 {
		t.Error("appending nothing appended something")
	}
}

func testAppend(t *testing.T, s store) {
	l := s.open(t, Retention{}, fixed)
	epoch := l.Head().Epoch
	e := event.Event{
		Channel: event.Number("1"), ID: event.Number("9007199254740993"), Version: "v", Op: event.Edit, Type: "TextMessage",
		User: event.String("u"), UserName: "Ann", Thread: event.Number("2"), To: event.String("z"), Body: "b\n",
		Time: testTime, Delivery: "d/0", Shape: event.Campfire, Payload: []byte(`{"a":1e400}`),
	}
	got := put(t, l, e, message("b", "1", "x"))
	got = append(got, put(t, l, message("b", "2", "y"))...)
	for i, a := range got {
		if a.Duplicate || a.Conflict || a.Entry.Seq != uint64(i+1) || a.Entry.At != testTime.UnixMilli() {
			t.Errorf("%d: %+v", i, a)
		}
		encoded := a.Entry.AppendBinary(nil)
		if !s.ownTags && a.Entry.Tag != event.TagOf(a.Entry.Seq, encoded) {
			t.Errorf("%d: tag %v", i, a.Entry.Tag)
		}
		if tag, ok, err := l.TagAt(a.Entry.Seq); tag != a.Entry.Tag || !ok || err != nil {
			t.Errorf("TagAt(%d) is %v, %v, %v", a.Entry.Seq, tag, ok, err)
		}
	}
	check := func(l Log) {
		t.Helper()
		entries := read(t, l, 0, "b", "1", "b", "none")
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
		if got := seqs(read(t, l, 1, "b")); got != "2 3" {
			t.Errorf("after 1: %s", got)
		}
		if entries, more, err := l.Read([]string{"b"}, 0, 2, 0, 0); seqs(entries) != "2" || more || err != nil {
			t.Errorf("up to 2: %s, %v, %v", seqs(entries), more, err)
		}
		if got := read(t, l, 3, "b"); len(got) != 0 {
			t.Errorf("after the head: %v", got)
		}
		if got := read(t, l, 99, "b"); len(got) != 0 {
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
	if s.reopen != nil {
		check(s.reopen(t, l, Retention{}, fixed))
	}
}

func testDuplicates(t *testing.T, s store) {
	l := s.open(t, Retention{}, fixed)
	first := message("a", "1", "x")
	again := first
	again.Delivery, again.Time, again.ID.Number = "other", testTime.Add(time.Minute), true
	changed := message("a", "1", "changed")
	edit := first
	edit.Op = event.Edit
	none := event.Event{Channel: event.String("a"), Body: "no key"}
	got := put(t, l, first, again, none, none, changed)
	if s.reopen != nil {
		l = s.reopen(t, l, Retention{}, fixed)
	}
	got = append(got, put(t, l, changed, again, edit)...)
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
	if got := read(t, l, 0, "a"); seqs(got) != "1 2 3 4" || got[0].Body != "x" {
		t.Errorf("read %s, %q", seqs(got), got[0].Body)
	}
}

func testReadLimits(t *testing.T, s store) {
	l := s.open(t, Retention{}, fixed)
	var size int
	for i := range 10 {
		e := message([]string{"a", "b", "c"}[i%3], fmt.Sprint(i), "x")
		size = len(e.AppendBinary(nil))
		put(t, l, e)
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
		if err != nil || seqs(entries) != test.want || more != test.more {
			t.Errorf("%+v: got %s, %v, %v", test, seqs(entries), more, err)
		}
	}
	if entries, more, err := l.Read(nil, 0, 99, 5, 0); len(entries) != 0 || more || err != nil {
		t.Errorf("no channels: %v, %v, %v", entries, more, err)
	}
}

func testMarks(t *testing.T, s store) {
	l := s.open(t, Retention{}, fixed)
	long := strings.Repeat("s", 1000)
	_, err := l.Append([]event.Event{message("a", "1", "x")}, []event.Mark{{Source: "r", Value: "1-0"}, {Source: long, Value: ""}})
	must(t, err)
	// A duplicate moves the mark too: the ingest has read that far.
	_, err = l.Append([]event.Event{message("a", "1", "x")}, []event.Mark{{Source: "r", Value: "2-0"}})
	must(t, err)
	_, err = l.Append(nil, []event.Mark{{Source: long, Value: "9"}})
	must(t, err)
	if s.reopen != nil {
		l = s.reopen(t, l, Retention{}, fixed)
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

func testCount(t *testing.T, s store) {
	l := s.open(t, Retention{Events: 3}, fixed)
	for i := range 5 {
		put(t, l, message("a", fmt.Sprint(i), "x"))
	}
	put(t, l, message("b", "1", "x"))
	check := func(a string, trimmed, oldest uint64) {
		t.Helper()
		if got := seqs(read(t, l, 0, "a")); got != a {
			t.Errorf("read %s, want %s", got, a)
		}
		if got, err := l.Trimmed("a"); got != trimmed || err != nil {
			t.Errorf("trimmed is %d, %v", got, err)
		}
		if got, err := l.Trimmed("b"); got != 0 || err != nil {
			t.Errorf("trimmed of b is %d, %v", got, err)
		}
		if got := l.Stats(); got.Oldest != oldest {
			t.Errorf("%+v", got)
		}
	}
	check("3 4 5", 2, 3)
	l.SetRetention(Retention{Events: 2})
	sweepAll(t, l, testTime)
	check("4 5", 3, 4)
	if s.reopen != nil {
		l = s.reopen(t, l, Retention{Events: 1}, fixed)
		check("4 5", 3, 4)
		sweepAll(t, l, testTime)
		check("5", 4, 5)
	}
}

func testBytes(t *testing.T, s store) {
	e := message("a", "1", "x")
	size := int64(len(e.AppendBinary(nil)))
	l := s.open(t, Retention{Bytes: 2*size + 1}, fixed)
	for i := range 4 {
		put(t, l, message("a", fmt.Sprint(i), "x"))
	}
	if got := seqs(read(t, l, 0, "a")); got != "3 4" {
		t.Errorf("read %s", got)
	}
	if got := l.Stats(); got.Bytes != 2*size {
		t.Errorf("%+v", got)
	}
	put(t, l, message("a", "big", strings.Repeat("x", int(2*size))))
	if got, err := l.Trimmed("a"); got != 5 || err != nil || len(read(t, l, 0, "a")) != 0 {
		t.Errorf("an event larger than the bound: trimmed is %d, %v", got, err)
	}
}

func testAge(t *testing.T, s store) {
	now := testTime
	l := s.open(t, Retention{Age: time.Minute}, func() time.Time { return now })
	put(t, l, message("a", "1", "x"), message("b", "1", "x"))
	now = now.Add(30 * time.Second)
	put(t, l, message("a", "2", "x"))
	now = now.Add(30 * time.Second)
	sweepAll(t, l, now)
	if got := seqs(read(t, l, 0, "a", "b")); got != "1 2 3" {
		t.Errorf("after exactly the age: read %s", got)
	}
	now = now.Add(time.Millisecond)
	sweepAll(t, l, now)
	if got := seqs(read(t, l, 0, "a", "b")); got != "3" {
		t.Errorf("read %s", got)
	}
	now = now.Add(time.Hour)
	sweepAll(t, l, now)
	if got := l.Stats(); got.Events != 0 || got.Channels != 0 || got.Bytes != 0 || got.Oldest != 0 {
		t.Errorf("%+v", got)
	}
	if s.reopen != nil {
		l = s.reopen(t, l, Retention{}, func() time.Time { return now })
	}
	for channel, want := range map[string]uint64{"a": 3, "b": 2, "c": 0} {
		if got, err := l.Trimmed(channel); got != want || err != nil {
			t.Errorf("trimmed of %s is %d, %v; not %d", channel, got, err, want)
		}
	}
	if got := put(t, l, message("b", "2", "x")); got[0].Entry.Seq != 4 {
		t.Errorf("%+v", got)
	}
	if got, _ := l.Trimmed("b"); got != 2 {
		t.Errorf("trimmed of b is %d", got)
	}
}

// testSteps: no step is long, however much there is to do.
func testSteps(t *testing.T, s store) {
	now := testTime
	l := s.open(t, Retention{}, func() time.Time { return now })
	const n = 3000
	var batch []event.Event
	for i := range n {
		batch = append(batch, message(fmt.Sprint("c", i%3), fmt.Sprint(i), "x"))
	}
	put(t, l, batch...)
	l.SetRetention(Retention{Events: 10, Age: time.Hour})
	left := l.Stats().Events
	for more := true; more; {
		var err error
		more, err = l.Sweep(now)
		must(t, err)
		if gone := left - l.Stats().Events; gone > 2*stepEvents {
			t.Fatalf("one step removed %d events", gone)
		}
		left = l.Stats().Events
	}
	if left != 30 {
		t.Errorf("%d events are left", left)
	}
	now = now.Add(48 * time.Hour)
	put(t, l, message("c0", "new", "x"))
	sweepAll(t, l, now)
	if got := l.Stats(); got.Events != 1 || got.Channels != 1 {
		t.Errorf("%+v", got)
	}
}

func testKeys(t *testing.T, s store) {
	now := testTime
	r := Retention{Events: 1, Keys: 48 * time.Hour}
	l := s.open(t, r, func() time.Time { return now })
	first := put(t, l, message("a", "1", "x"))
	put(t, l, message("a", "2", "x"))
	if seq, ok, err := l.SeqOf("a", "1"); seq != 1 || !ok || err != nil {
		t.Errorf("SeqOf of an event that is not retained is %d, %v, %v", seq, ok, err)
	}
	now = now.Add(48 * time.Hour)
	sweepAll(t, l, now)
	if s.reopen != nil {
		l = s.reopen(t, l, r, func() time.Time { return now })
	}
	got := put(t, l, message("a", "1", "x"))
	if !got[0].Duplicate || got[0].Entry.Seq != 1 || got[0].Entry.Tag != first[0].Entry.Tag {
		t.Errorf("in the window: %+v", got)
	}
	if tag, ok, _ := l.TagAt(1); !ok || tag != first[0].Entry.Tag {
		t.Errorf("tag in the window: %v, %v", tag, ok)
	}
	now = now.Add(time.Millisecond)
	sweepAll(t, l, now)
	got = put(t, l, message("a", "1", "x"))
	if got[0].Duplicate || got[0].Entry.Seq != 3 {
		t.Errorf("behind the window: %+v", got)
	}
}

// testRetainedKeys: while an event is retained, its key is known, though its
// window is over.
func testRetainedKeys(t *testing.T, s store) {
	now := testTime
	l := s.open(t, Retention{Events: 2}, func() time.Time { return now })
	put(t, l, message("a", "1", "x"), message("a", "2", "x"))
	now = now.Add(100 * time.Hour)
	sweepAll(t, l, now)
	if got := put(t, l, message("a", "1", "x")); !got[0].Duplicate {
		t.Errorf("%+v", got)
	}
	if seq, ok, err := l.SeqOf("a", "1"); seq != 1 || !ok || err != nil {
		t.Error(seq, ok, err)
	}
	put(t, l, message("a", "3", "x"))
	if got := put(t, l, message("a", "1", "x")); got[0].Duplicate || got[0].Entry.Seq != 4 {
		t.Errorf("after it went: %+v", got)
	}
	if got := put(t, l, message("a", "1", "x")); !got[0].Duplicate || got[0].Entry.Seq != 4 {
		t.Errorf("the new one: %+v", got)
	}
}

func testForgotten(t *testing.T, s store) {
	now := testTime
	r := Retention{Age: time.Minute}
	l := s.open(t, r, func() time.Time { return now })
	put(t, l, message("a", "1", "x"), message("b", "1", "x"), message("c", "1", "x"))
	now = now.Add(time.Hour)
	put(t, l, message("c", "2", "x"))
	sweepAll(t, l, now)
	now = now.Add(24 * time.Hour)
	sweepAll(t, l, now)
	for channel, want := range map[string]uint64{"a": 2, "b": 2, "c": 4, "never": 2} {
		if got, err := l.Trimmed(channel); got != want || err != nil {
			t.Errorf("trimmed of %s is %d, %v; not %d", channel, got, err, want)
		}
	}
	put(t, l, message("a", "2", "x"))
	if s.reopen != nil {
		l = s.reopen(t, l, r, func() time.Time { return now })
	}
	if got, err := l.Trimmed("a"); got != 2 || err != nil {
		t.Errorf("trimmed of the channel that came back is %d, %v", got, err)
	}
	if got := seqs(read(t, l, 0, "a", "b", "c")); got != "5" {
		t.Errorf("read %s", got)
	}
}

func testSeqBefore(t *testing.T, s store) {
	now := testTime
	l := s.open(t, Retention{Events: 1}, func() time.Time { return now })
	for i := range 50 {
		put(t, l, message("a", fmt.Sprint(i, "x"), "x"), message("b", fmt.Sprint(i), "x"))
		now = now.Add(time.Second)
	}
	check := func() {
		t.Helper()
		for i := range 50 {
			at := testTime.Add(time.Duration(i) * time.Second)
			for _, test := range []struct {
				t    time.Time
				want int
			}{{at, 2 * i}, {at.Add(1), 2*i + 2}, {at.Add(time.Millisecond), 2*i + 2}} {
				if got, err := l.SeqBefore(test.t); got != uint64(test.want) || err != nil {
					t.Errorf("before %v: %d, %v; want %d", test.t, got, err, test.want)
				}
			}
		}
	}
	check()
	if s.reopen != nil {
		l = s.reopen(t, l, Retention{Events: 1}, func() time.Time { return now })
		check()
	}
	now = now.Add(100 * time.Hour)
	sweepAll(t, l, now)
	for d, want := range map[time.Duration]uint64{-time.Hour: 0, 50 * time.Second: 100, 99 * time.Hour: 100} {
		if got, err := l.SeqBefore(testTime.Add(d)); got != want || err != nil {
			t.Errorf("before %v, long ago: %d, %v; want %d", d, got, err, want)
		}
	}
}

func testClockBack(t *testing.T, s store) {
	now := testTime
	clock := func() time.Time { return now }
	l := s.open(t, Retention{Age: time.Minute}, clock)
	last := put(t, l, message("a", "0", "x"))[0].Entry.At
	for i, step := range []time.Duration{-time.Hour, time.Second, -time.Hour, 3 * time.Hour, -time.Millisecond} {
		now = now.Add(step)
		if i == 2 && s.reopen != nil {
			l = s.reopen(t, l, Retention{Age: time.Minute}, clock)
		}
		at := put(t, l, message("a", fmt.Sprint(i+1), "x"))[0].Entry.At
		if at < last {
			t.Errorf("step %d: the time went back by %d ms", i, last-at)
		}
		last = at
		if i < 3 {
			sweepAll(t, l, now)
			if got := len(read(t, l, 0, "a")); got != i+2 {
				t.Errorf("step %d: %d events are left", i, got)
			}
		}
	}
}

func testOddNames(t *testing.T, s store) {
	l := s.open(t, Retention{Events: 2}, fixed)
	names := []string{"", "\x00", "\x00\x00", "\xff\xfe", "a\nb", "ü", strings.Repeat("n", 200), strings.Repeat("n", 100_000), strings.Repeat("n", 100_001)}
	for round := range 3 {
		for _, name := range names {
			e := message(name, fmt.Sprint(round, strings.Repeat("i", len(name))), "x")
			e.Payload = bytes.Repeat([]byte("p"), len(name))
			if got := put(t, l, e, e); got[0].Duplicate || !got[1].Duplicate {
				t.Errorf("%.10q: %v", name, got)
			}
		}
	}
	for i, name := range names {
		got := read(t, l, 0, name)
		if len(got) != 2 || got[0].Channel.Text != name || got[1].Seq != uint64(2*len(names)+i+1) {
			t.Errorf("%.10q: %s", name, seqs(got))
		}
		if trimmed, err := l.Trimmed(name); trimmed != uint64(i+1) || err != nil {
			t.Errorf("%.10q: trimmed %d, %v", name, trimmed, err)
		}
	}
}

// testConcurrent reads while one goroutine appends, for the race detector and
// for what a reader may see: an unbroken run up to a head that it was told.
func testConcurrent(t *testing.T, s store) {
	l := s.open(t, Retention{Events: 50}, fixed)
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
						done <- fmt.Errorf("read %s", seqs(entries))
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
		put(t, l, message("a", fmt.Sprint(i, "x"), "x"), message("a", fmt.Sprint(i, "y"), "x"), message("a", fmt.Sprint(i, "z"), "x"))
		if i == n/6 {
			l.SetRetention(Retention{Events: 20})
		}
		_, err := l.Sweep(testTime)
		must(t, err)
	}
	for range cap(done) {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
}
