package memory

import (
	"bytes"
	"fmt"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/seed-078801ba/sidestream/stream/event"
	"github.com/seed-078801ba/sidestream/stream/log"
	"github.com/seed-078801ba/sidestream/stream/log/logtest"
)

func TestMemoryTotal(t *testing.T) {
	size := costOf(logtest.Message("a", "1", "x"))
	m := New(log.Retention{Total: bound(10*size + 3*channelCost)}, logtest.Fixed)
	for i := range 7 {
		logtest.Put(t, m, logtest.Message("large", fmt.Sprint(i), "x"))
	}
	logtest.Put(t, m, logtest.Message("a", "1", "x"), logtest.Message("a", "2", "x"), logtest.Message("b", "1", "x"))
	if got := len(logtest.Read(t, m, 0, "large", "a", "b")); got > 10 {
		t.Errorf("%d events of %d bytes: %+v", got, size, m.Stats())
	}
	// The largest gives first, until it is not the largest any more.
	for i := range 20 {
		logtest.Put(t, m, logtest.Message("b", fmt.Sprint("x", i), "x"))
		if s := m.Stats(); m.crowded() || s.Events > 10 {
			t.Fatalf("%d: %+v", m.held, s)
		}
	}
	if got := len(logtest.Read(t, m, 0, "a")); got != 2 {
		t.Errorf("the small channel has %d events", got)
	}
	if got := len(logtest.Read(t, m, 0, "large")); got < 2 || got > 4 {
		t.Errorf("the once largest channel has %d events", got)
	}
	m.SetRetention(log.Retention{Total: bound(2*size + 2*channelCost)})
	logtest.SweepAll(t, m, logtest.Time)
	if s := m.Stats(); s.Events > 2 || s.Events == 0 {
		t.Errorf("%+v", s)
	}
	logtest.Put(t, m, logtest.Message("huge", "1", strings.Repeat("x", int(8*size))))
	if got, err := m.Trimmed("huge"); got == 0 || err != nil {
		t.Errorf("an event larger than the total: %d, %v", got, err)
	}
	if m.Durable() {
		t.Error("it calls itself durable")
	}
	if other := New(log.Retention{}, nil); other.Head().Epoch == m.Head().Epoch {
		t.Error("two have one epoch")
	}
	logtest.Must(t, m.Close())
}

// TestMemoryLetsGo: what is not retained and not in its key window takes no
// memory, even behind an old entry that stays.
func TestMemoryLetsGo(t *testing.T) {
	now := logtest.Time
	m := New(log.Retention{Events: 1}, func() time.Time { return now })
	logtest.Put(t, m, logtest.Message("quiet", "1", "x"))
	for day := range 10 {
		for i := range 2000 {
			logtest.Put(t, m, logtest.Message(fmt.Sprint("busy", i%10), fmt.Sprint(day, "/", i), "x"))
		}
		now = now.Add(25 * time.Hour)
		logtest.SweepAll(t, m, now)
	}
	if len(m.known) > 2*log.StepEvents+100 || len(m.keys) > 100 || m.dead > len(m.known) {
		t.Errorf("%d entries (%d dead) and %d keys are remembered", len(m.known), m.dead, len(m.keys))
	}
	if s := m.Stats(); s.Oldest != 1 || s.Events != 11 {
		t.Errorf("%+v", s)
	}
	if seq, ok, _ := m.SeqOf("quiet", "1"); seq != 1 || !ok {
		t.Error("the old entry is gone")
	}
	for i := range 300 {
		m.SetRetention(log.Retention{Age: time.Hour})
		logtest.Put(t, m, logtest.Message(fmt.Sprint("short-lived", i), "1", "x"))
		now = now.Add(25 * time.Hour)
		logtest.SweepAll(t, m, now)
	}
	if len(m.channels) > 2 || len(m.emptied) > 2 {
		t.Errorf("%d channels, %d emptied ones are remembered", len(m.channels), len(m.emptied))
	}
}

// costOf is what an event costs, and bound the total that leaves events so much.
func costOf(e event.Event) int64 { return (&entry{encoded: e.AppendBinary(nil)}).cost() }
func bound(ofEvents int64) int64 {
	return ofEvents*rememberedShare/(rememberedShare-1) + rememberedShare
}

// TestTotalIsWhatTheProcessHolds: whatever the events are like, a full log makes the
// heap grow to about the total, the collector's share included: no more than an
// eighth above it, as tables grow in steps, and most of it is not left unused.
func TestTotalIsWhatTheProcessHolds(t *testing.T) {
	const total = 16 << 20
	for name, message := range map[string]func(i int) event.Event{
		"small, in one channel": func(i int) event.Event { return logtest.Message("a", strconv.Itoa(i), "x") },
		"small, in many channels": func(i int) event.Event {
			return logtest.Message("channel-"+strconv.Itoa(i%5000), strconv.Itoa(i), "x")
		},
		"each in a channel of its own": func(i int) event.Event {
			return logtest.Message("channel-"+strconv.Itoa(i), strconv.Itoa(i), "x")
		},
		"large": func(i int) event.Event { return logtest.Message("a", strconv.Itoa(i), strings.Repeat("x", 4000)) },
		"without an id": func(i int) event.Event {
			return event.Event{Channel: event.String("a"), Body: "x"}
		},
		"edited again and again": func(i int) event.Event {
			e := logtest.Message("a", strconv.Itoa(i/3), "x")
			if e.Version = strconv.Itoa(i); i%3 > 0 {
				e.Op = event.Edit
			}
			return e
		},
	} {
		t.Run(name, func(t *testing.T) {
			before := liveHeap()
			m := New(log.Retention{Total: total}, logtest.Fixed)
			for i := 0; i < 120_000; i += 100 {
				events := make([]event.Event, 100)
				for k := range events {
					events[k] = message(i + k)
				}
				if _, err := m.Append(events, nil); err != nil {
					t.Fatal(err)
				}
				if _, err := m.Sweep(logtest.Time); err != nil {
					t.Fatal(err)
				}
			}
			logtest.SweepAll(t, m, logtest.Time)
			held := collected * int64(liveHeap()-before)
			t.Logf("%d events, %d keys: %d KB of %d KB, counted %d KB", m.Stats().Events, len(m.keys), held>>10, total>>10, (m.held+m.remembered)>>10)
			if held > total*9/8 || held < total/3 {
				t.Errorf("%d bytes for a total of %d", held, total)
			}
			runtime.KeepAlive(m)
		})
	}
}

// liveHeap is what the heap holds after a collection, in bytes.
func liveHeap() int64 {
	runtime.GC()
	runtime.GC()
	var s runtime.MemStats
	runtime.ReadMemStats(&s)
	return int64(s.HeapAlloc)
}

func TestMemoryKeepsWhatItWasGiven(t *testing.T) {
	m := New(log.Retention{}, nil)
	e := logtest.Message("a", "1", "x")
	if got := logtest.Put(t, m, e); &got[0].Entry.Payload[0] != &e.Payload[0] {
		t.Error("the payload was copied for the one who appends")
	}
	if got := logtest.Read(t, m, 0, "a"); !bytes.Equal(got[0].Payload, e.Payload) || &got[0].Payload[0] == &e.Payload[0] {
		t.Error("the log holds the payload itself, not what it says")
	}
	if got, err := m.Append([]event.Event{{Channel: event.String("a")}}, nil); err != nil || got[0].Entry.Payload != nil {
		t.Error(got, err)
	}
}
