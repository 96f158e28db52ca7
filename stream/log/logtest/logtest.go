// Package logtest is the suite that every kind of log has to pass: what each
// method does, a model that random histories are compared with, and the
// benchmarks. It knows the interface, not the stores; only tests import it.
package logtest

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/seed-078801ba/sidestream/stream/event"
	"github.com/seed-078801ba/sidestream/stream/log"
)

// Store opens one kind of log for the suite.
type Store struct {
	// Open gives an empty log each time.
	Open func(t testing.TB, r log.Retention, now func() time.Time) log.Log
	// Reopen gives the same log again, as after a restart; nil where nothing
	// outlives the process.
	Reopen func(t testing.TB, l log.Log, r log.Retention, now func() time.Time) log.Log
	// Check, if set, is called with a log at the end of a random history, and may
	// close it.
	Check func(t Fataler, l log.Log)
	// OwnClock: the clock outlives the process too, and has one speed.
	OwnClock bool
}

// Fataler is what testing and rapid have in common.
type Fataler interface{ Fatal(args ...any) }

// Must fails the test at an error.
func Must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// Time is when tests begin.
var Time = time.UnixMilli(1_700_000_000_000).UTC()

// Message is an event with all that matters here.
func Message(channel, id, body string) event.Event {
	return event.Event{
		Channel: event.String(channel), ID: event.String(id), User: event.Number("7"), Body: body,
		Shape: event.Raw, Payload: []byte(`{"id":"` + id + `","body":"` + body + `"}`),
	}
}

// Put appends events.
func Put(t testing.TB, l log.Log, events ...event.Event) []log.Appended {
	t.Helper()
	results, err := l.Append(events, nil)
	if err != nil {
		t.Fatal(err)
	}
	return results
}

// Read reads all that is retained of the channels.
func Read(t testing.TB, l log.Log, after uint64, channels ...string) []event.Entry {
	t.Helper()
	entries, more, err := l.Read(channels, after, ^uint64(0), 0, 0)
	if err != nil || more {
		t.Fatalf("reading without limits: more is %v, %v", more, err)
	}
	return entries
}

// Seqs are the numbers of the entries.
func Seqs(entries []event.Entry) string {
	var s []string
	for _, e := range entries {
		s = append(s, fmt.Sprint(e.Seq))
	}
	return strings.Join(s, " ")
}

// SweepAll sweeps until there is nothing left to do.
func SweepAll(t testing.TB, l log.Log, now time.Time) {
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

// Fixed is a clock that stands still.
func Fixed() time.Time { return Time }

// Run runs the whole suite.
func Run(t *testing.T, s Store) {
	tests := []struct {
		name string
		run  func(t *testing.T, s Store)
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
		{"tags tell nothing", testTags},
		{"edits and deletions", testChanges},
		{"changes that come first", testChangesFirst},
		{"changes of what is gone", testChangesLater},
		{"odd names", testOddNames},
		{"records", testRecords},
		{"clearing a channel", testClear},
		{"reads beside appends", testConcurrent},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) { test.run(t, s) })
	}
	t.Run("random histories", func(t *testing.T) {
		rapid.Check(t, func(rt *rapid.T) { runModel(t, rt, s) })
	})
	t.Run("random records", func(t *testing.T) {
		rapid.Check(t, func(rt *rapid.T) { runRecords(t, rt, s) })
	})
}
