package logtest

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/seed-078801ba/sidestream/stream/event"
	"github.com/seed-078801ba/sidestream/stream/log"
)

func testCount(t *testing.T, s Store) {
	l := s.Open(t, log.Retention{Events: 3}, Fixed)
	for i := range 5 {
		Put(t, l, Message("a", fmt.Sprint(i), "x"))
	}
	Put(t, l, Message("b", "1", "x"))
	check := func(a string, trimmed, oldest uint64) {
		t.Helper()
		if got := Seqs(Read(t, l, 0, "a")); got != a {
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
	l.SetRetention(log.Retention{Events: 2})
	SweepAll(t, l, Time)
	check("4 5", 3, 4)
	if s.Reopen != nil {
		l = s.Reopen(t, l, log.Retention{Events: 1}, Fixed)
		check("4 5", 3, 4)
		SweepAll(t, l, Time)
		check("5", 4, 5)
	}
}

func testBytes(t *testing.T, s Store) {
	e := Message("a", "1", "x")
	size := int64(len(e.AppendBinary(nil)))
	l := s.Open(t, log.Retention{Bytes: 2*size + 1}, Fixed)
	for i := range 4 {
		Put(t, l, Message("a", fmt.Sprint(i), "x"))
	}
	if got := Seqs(Read(t, l, 0, "a")); got != "3 4" {
		t.Errorf("read %s", got)
	}
	if got := l.Stats(); got.Bytes != 2*size {
		t.Errorf("%+v", got)
	}
	Put(t, l, Message("a", "big", strings.Repeat("x", int(2*size))))
	if got, err := l.Trimmed("a"); got != 5 || err != nil || len(Read(t, l, 0, "a")) != 0 {
		t.Errorf("an event larger than the bound: trimmed is %d, %v", got, err)
	}
}

func testAge(t *testing.T, s Store) {
	now := Time
	l := s.Open(t, log.Retention{Age: time.Minute}, func() time.Time { return now })
	Put(t, l, Message("a", "1", "x"), Message("b", "1", "x"))
	now = now.Add(30 * time.Second)
	Put(t, l, Message("a", "2", "x"))
	now = now.Add(30 * time.Second)
	SweepAll(t, l, now)
	if got := Seqs(Read(t, l, 0, "a", "b")); got != "1 2 3" {
		t.Errorf("after exactly the age: read %s", got)
	}
	now = now.Add(time.Millisecond)
	SweepAll(t, l, now)
	if got := Seqs(Read(t, l, 0, "a", "b")); got != "3" {
		t.Errorf("read %s", got)
	}
	now = now.Add(time.Hour)
	SweepAll(t, l, now)
	if got := l.Stats(); got.Events != 0 || got.Channels != 0 || got.Bytes != 0 || got.Oldest != 0 {
		t.Errorf("%+v", got)
	}
	if s.Reopen != nil {
		l = s.Reopen(t, l, log.Retention{}, func() time.Time { return now })
	}
	for channel, want := range map[string]uint64{"a": 3, "b": 2, "c": 0} {
		if got, err := l.Trimmed(channel); got != want || err != nil {
			t.Errorf("trimmed of %s is %d, %v; not %d", channel, got, err, want)
		}
	}
	if got := Put(t, l, Message("b", "2", "x")); got[0].Entry.Seq != 4 {
		t.Errorf("%+v", got)
	}
	if got, _ := l.Trimmed("b"); got != 2 {
		t.Errorf("trimmed of b is %d", got)
	}
}

// testSteps: no step is long, however much there is to do.
func testSteps(t *testing.T, s Store) {
	now := Time
	l := s.Open(t, log.Retention{}, func() time.Time { return now })
	const n = 3000
	var batch []event.Event
	for i := range n {
		batch = append(batch, Message(fmt.Sprint("c", i%3), fmt.Sprint(i), "x"))
	}
	Put(t, l, batch...)
	l.SetRetention(log.Retention{Events: 10, Age: time.Hour})
	left := l.Stats().Events
	for more := true; more; {
		var err error
		more, err = l.Sweep(now)
		Must(t, err)
		if gone := left - l.Stats().Events; gone > 2*log.StepEvents {
			t.Fatalf("one step removed %d events", gone)
		}
		left = l.Stats().Events
	}
	if left != 30 {
		t.Errorf("%d events are left", left)
	}
	now = now.Add(48 * time.Hour)
	Put(t, l, Message("c0", "new", "x"))
	SweepAll(t, l, now)
	if got := l.Stats(); got.Events != 1 || got.Channels != 1 {
		t.Errorf("%+v", got)
	}
}

func testKeys(t *testing.T, s Store) {
	now := Time
	r := log.Retention{Events: 1, Keys: 48 * time.Hour}
	l := s.Open(t, r, func() time.Time { return now })
	first := Put(t, l, Message("a", "1", "x"))
	Put(t, l, Message("a", "2", "x"))
	if seq, ok, err := l.SeqOf("a", "1"); seq != 1 || !ok || err != nil {
		t.Errorf("SeqOf of an event that is not retained is %d, %v, %v", seq, ok, err)
	}
	now = now.Add(48 * time.Hour)
	SweepAll(t, l, now)
	if s.Reopen != nil {
		l = s.Reopen(t, l, r, func() time.Time { return now })
	}
	got := Put(t, l, Message("a", "1", "x"))
	if !got[0].Duplicate || got[0].Entry.Seq != 1 || got[0].Entry.Tag != first[0].Entry.Tag {
		t.Errorf("in the window: %+v", got)
	}
	if tag, ok, _ := l.TagAt(1); !ok || tag != first[0].Entry.Tag {
		t.Errorf("tag in the window: %v, %v", tag, ok)
	}
	now = now.Add(time.Millisecond)
	SweepAll(t, l, now)
	got = Put(t, l, Message("a", "1", "x"))
	if got[0].Duplicate || got[0].Entry.Seq != 3 {
		t.Errorf("behind the window: %+v", got)
	}
}

// testRetainedKeys: while an event is retained, its key is known, though its
// window is over.
func testRetainedKeys(t *testing.T, s Store) {
	now := Time
	l := s.Open(t, log.Retention{Events: 2}, func() time.Time { return now })
	Put(t, l, Message("a", "1", "x"), Message("a", "2", "x"))
	now = now.Add(100 * time.Hour)
	SweepAll(t, l, now)
	if got := Put(t, l, Message("a", "1", "x")); !got[0].Duplicate {
		t.Errorf("%+v", got)
	}
	if seq, ok, err := l.SeqOf("a", "1"); seq != 1 || !ok || err != nil {
		t.Error(seq, ok, err)
	}
	Put(t, l, Message("a", "3", "x"))
	if got := Put(t, l, Message("a", "1", "x")); got[0].Duplicate || got[0].Entry.Seq != 4 {
		t.Errorf("after it went: %+v", got)
	}
	if got := Put(t, l, Message("a", "1", "x")); !got[0].Duplicate || got[0].Entry.Seq != 4 {
		t.Errorf("the new one: %+v", got)
	}
}

func testForgotten(t *testing.T, s Store) {
	now := Time
	r := log.Retention{Age: time.Minute}
	l := s.Open(t, r, func() time.Time { return now })
	Put(t, l, Message("a", "1", "x"), Message("b", "1", "x"), Message("c", "1", "x"))
	now = now.Add(time.Hour)
	Put(t, l, Message("c", "2", "x"))
	SweepAll(t, l, now)
	now = now.Add(24 * time.Hour)
	SweepAll(t, l, now)
	for channel, want := range map[string]uint64{"a": 2, "b": 2, "c": 4, "never": 2} {
		if got, err := l.Trimmed(channel); got != want || err != nil {
			t.Errorf("trimmed of %s is %d, %v; not %d", channel, got, err, want)
		}
	}
	Put(t, l, Message("a", "2", "x"))
	if s.Reopen != nil {
		l = s.Reopen(t, l, r, func() time.Time { return now })
	}
	if got, err := l.Trimmed("a"); got != 2 || err != nil {
		t.Errorf("trimmed of the channel that came back is %d, %v", got, err)
	}
	if got := Seqs(Read(t, l, 0, "a", "b", "c")); got != "5" {
		t.Errorf("read %s", got)
	}
}

func testSeqBefore(t *testing.T, s Store) {
	now := Time
	l := s.Open(t, log.Retention{Events: 1}, func() time.Time { return now })
	for i := range 50 {
		Put(t, l, Message("a", fmt.Sprint(i, "x"), "x"), Message("b", fmt.Sprint(i), "x"))
		now = now.Add(time.Second)
	}
	check := func() {
		t.Helper()
		for i := range 50 {
			at := Time.Add(time.Duration(i) * time.Second)
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
	if s.Reopen != nil {
		l = s.Reopen(t, l, log.Retention{Events: 1}, func() time.Time { return now })
		check()
	}
	now = now.Add(100 * time.Hour)
	SweepAll(t, l, now)
	for d, want := range map[time.Duration]uint64{-time.Hour: 0, 50 * time.Second: 100, 99 * time.Hour: 100} {
		if got, err := l.SeqBefore(Time.Add(d)); got != want || err != nil {
			t.Errorf("before %v, long ago: %d, %v; want %d", d, got, err, want)
		}
	}
}

func testClockBack(t *testing.T, s Store) {
	now := Time
	clock := func() time.Time { return now }
	l := s.Open(t, log.Retention{Age: time.Minute}, clock)
	last := Put(t, l, Message("a", "0", "x"))[0].Entry.At
	for i, step := range []time.Duration{-time.Hour, time.Second, -time.Hour, 3 * time.Hour, -time.Millisecond} {
		now = now.Add(step)
		if i == 2 && s.Reopen != nil {
			l = s.Reopen(t, l, log.Retention{Age: time.Minute}, clock)
		}
		at := Put(t, l, Message("a", fmt.Sprint(i+1), "x"))[0].Entry.At
		if at < last {
			t.Errorf("step %d: the time went back by %d ms", i, last-at)
		}
		last = at
		if i < 3 {
			SweepAll(t, l, now)
			if got := len(Read(t, l, 0, "a")); got != i+2 {
				t.Errorf("step %d: %d events are left", i, got)
			}
		}
	}
}

// testClear: what a channel had is gone, and told as trimmed; others and keys stay.
func testClear(t *testing.T, s Store) {
	l := s.Open(t, log.Retention{}, Fixed)
	for i := range log.StepEvents/4 + 10 {
		Put(t, l, Message("a", fmt.Sprint(4*i), "x"), Message("a", fmt.Sprint(4*i+1), "x"), Message("a", fmt.Sprint(4*i+2), "x"), Message("a", fmt.Sprint(4*i+3), "x"))
	}
	Put(t, l, Message("b", "1", "other"))
	last := l.Head().Seq - 1
	steps := 0
	for more := true; more; steps++ {
		var err error
		if more, err = l.Clear("a"); err != nil {
			t.Fatal(err)
		}
	}
	if steps < 2 {
		t.Errorf("%d events were removed in one step", last)
	}
	if more, err := l.Clear("nobody"); more || err != nil {
		t.Errorf("a channel that is not there: %v, %v", more, err)
	}
	check := func() {
		t.Helper()
		if got := Read(t, l, 0, "a"); len(got) > 0 {
			t.Errorf("it still has %s", Seqs(got))
		}
		if got := Read(t, l, 0, "b"); len(got) != 1 || got[0].Body != "other" {
			t.Errorf("the other channel has %v", got)
		}
		if trimmed, err := l.Trimmed("a"); trimmed != last || err != nil {
			t.Errorf("trimmed is %d, %v; not %d", trimmed, err, last)
		}
		if st := l.Stats(); st.Events != 1 || st.Channels != 1 {
			t.Errorf("%+v", st)
		}
	}
	check()
	if s.Reopen != nil {
		l = s.Reopen(t, l, log.Retention{}, Fixed)
		check()
	}
	if again := Put(t, l, Message("a", "7", "x"))[0]; !again.Duplicate {
		t.Errorf("a message that comes again: %+v", again)
	}
	if a := Put(t, l, Message("a", "new", "y"))[0]; a.Duplicate || Seqs(Read(t, l, 0, "a")) != fmt.Sprint(a.Entry.Seq) {
		t.Errorf("a new one: %+v", a)
	}
}
