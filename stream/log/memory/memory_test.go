package memory

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/seed-078801ba/sidestream/stream/event"
	"github.com/seed-078801ba/sidestream/stream/log"
	"github.com/seed-078801ba/sidestream/stream/log/logtest"
)

func TestMemoryTotal(t *testing.T) {
	small := logtest.Message("a", "1", "x")
	size := int64(len(small.AppendBinary(nil)))
	m := New(log.Retention{Total: 10 * size}, logtest.Fixed)
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
		if s := m.Stats(); s.Bytes > 10*size {
			t.Fatalf("%+v", s)
		}
	}
	if got := len(logtest.Read(t, m, 0, "a")); got != 2 {
		t.Errorf("the small channel has %d events", got)
	}
	if got := len(logtest.Read(t, m, 0, "large")); got < 2 || got > 4 {
		t.Errorf("the once largest channel has %d events", got)
	}
	m.SetRetention(log.Retention{Total: 2 * size})
	logtest.SweepAll(t, m, logtest.Time)
	if s := m.Stats(); s.Bytes > 2*size || s.Events == 0 {
		t.Errorf("%+v", s)
	}
	logtest.Put(t, m, logtest.Message("huge", "1", strings.Repeat("x", int(3*size))))
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

func TestMemorySharesPayloads(t *testing.T) {
	m := New(log.Retention{}, nil)
	e := logtest.Message("a", "1", "x")
	logtest.Put(t, m, e)
	if got := logtest.Read(t, m, 0, "a"); &got[0].Payload[0] != &e.Payload[0] {
		t.Error("the payload was copied")
	}
	if got, err := m.Append([]event.Event{{Channel: event.String("a")}}, nil); err != nil || got[0].Entry.Payload != nil {
		t.Error(got, err)
	}
}
