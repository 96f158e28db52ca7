package file

import (
	"bytes"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/seed-078801ba/sidestream/stream/event"
	"github.com/seed-078801ba/sidestream/stream/log"
	"github.com/seed-078801ba/sidestream/stream/log/logtest"
)

// TestFileForgetsText: nowhere in the file is there what was deleted, or what was
// said before an edit: not in free pages, not in the journal, and not after a process
// that ended before it came to that.
func TestFileForgetsText(t *testing.T) {
	for name, o := range map[string]Options{"with sync": {}, "without": {UnsafeNoSync: true}} {
		for _, killed := range []bool{false, true} {
			t.Run(fmt.Sprint(name, ", killed ", killed), func(t *testing.T) {
				o.Now = logtest.Fixed
				f := openFile(t, t.TempDir()+"/log.db", o)
				secret := func(id int) string { return fmt.Sprintf("SECRET-%d-%s", id, strings.Repeat("x", id%7*100)) }
				for round := range 4 { // so that pages are freed and taken again
					for i := range 40 {
						id := round*40 + i
						logtest.Put(t, f, logtest.Message(fmt.Sprint("c", id%5), fmt.Sprint(id), secret(id)))
					}
					if round < 3 {
						logtest.SweepAll(t, f, logtest.Time)
					}
				}
				holds := func(text string) bool {
					b, err := os.ReadFile(f.path)
					logtest.Must(t, err)
					return bytes.Contains(b, []byte(text))
				}
				if !holds("SECRET-7-") || !holds("SECRET-159-") {
					t.Fatal("the text is not in the file to begin with")
				}
				for id := range 160 {
					op := []event.Op{event.Edit, event.Delete}[id%2]
					e := event.Event{Channel: event.String(fmt.Sprint("c", id%5)), ID: event.String(fmt.Sprint(id)), Op: op, Body: "now"}
					logtest.Put(t, f, e)
				}
				if killed {
					w, err := f.begin() // it settles what is recent, and comes to no more
					logtest.Must(t, err)
					logtest.Must(t, f.update(w, (*commit).settle))
					logtest.Must(t, f.release())
					if !holds("SECRET-") {
						t.Fatal("it is overwritten too early for this test")
					}
					f = openFile(t, f.path, o)
				}
				logtest.SweepAll(t, f, logtest.Time)
				b, err := os.ReadFile(f.path)
				logtest.Must(t, err)
				if at := bytes.Index(b, []byte("SECRET-")); at >= 0 {
					t.Errorf("at %d there is still %.40q, the journal is from %d to %d", at, b[at:], f.journal.first, f.journal.end)
				}
				for i := range 5 {
					for _, e := range logtest.Read(t, f, 0, fmt.Sprint("c", i)) {
						if e.Op == event.Create && e.Shape != event.Gone && e.Body != "now" {
							t.Errorf("%s says %q", e.ID.Text, e.Body)
						}
					}
				}
				logtest.Put(t, f, logtest.Message("c0", "more", "x"))
				logtest.SweepAll(t, f, logtest.Time)
				if f.scrub.noted || f.scrub.due {
					t.Errorf("%+v", f.scrub)
				}
				verifyFile(t, f)
			})
		}
	}
}

// TestScrubInSteps: however much is free, no step is long, and what bbolt has taken
// meanwhile stays as it is.
func TestScrubInSteps(t *testing.T) {
	f := openFile(t, t.TempDir()+"/log.db", Options{Now: logtest.Fixed, UnsafeNoSync: true})
	for id := range 200 {
		logtest.Put(t, f, logtest.Message("a", fmt.Sprint(id), strings.Repeat("x", 100_000)))
	}
	logtest.SweepAll(t, f, logtest.Time)
	f.SetRetention(log.Retention{Events: 2})
	logtest.SweepAll(t, f, logtest.Time)
	logtest.Put(t, f, event.Event{Channel: event.String("a"), ID: event.String("199"), Op: event.Delete})
	steps := 0
	for more := true; more; steps++ {
		clean := len(f.scrub.clean)
		var err error
		more, err = f.Sweep(logtest.Time)
		logtest.Must(t, err)
		if n := (len(f.scrub.clean) - clean) * f.pageSize; n > scrubBytes {
			t.Errorf("one step has overwritten %d bytes", n)
		}
		logtest.Put(t, f, logtest.Message("b", fmt.Sprint(steps), strings.Repeat("y", 50_000)))
		if steps > 100 {
			t.Fatal("it never ends")
		}
	}
	if steps < 4 {
		t.Errorf("%d steps", steps)
	}
	logtest.SweepAll(t, f, logtest.Time)
	for i, e := range logtest.Read(t, f, 0, "b") {
		if e.Body != strings.Repeat("y", 50_000) {
			t.Errorf("message %d has changed", i)
		}
	}
	verifyFile(t, f)
}
