package log

import (
	"fmt"
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
