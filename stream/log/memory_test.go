package log

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/seed-078801ba/sidestream/stream/event"
)

func TestMemoryTotal(t *testing.T) {
	small := message("a", "1", "x")
	size := int64(len(small.AppendBinary(nil)))
	m := NewMemory(Retention{Total: 10 * size}, fixed)
	for i := range 7 {
		put(t, m, message("large", fmt.Sprint(i), "x"))
	}
	put(t, m, message("a", "1", "x"), message("a", "2", "x"), message("b", "1", "x"))
	if got := len(read(t, m, 0, "large", "a", "b")); got > 10 {
		t.Errorf("%d events of %d bytes: %+v", got, size, m.Stats())
	}
	// The largest gives first, until it is not the largest any more.
	for i := range 20 {
		put(t, m, message("b", fmt.Sprint("x", i), "x"))
		if s := m.Stats(); s.Bytes > 10*size {
			t.Fatalf("%+v", s)
		}
	}
	if got := len(read(t, m, 0, "a")); got != 2 {
		t.Errorf("the small channel has %d events", got)
	}
	if got := len(read(t, m, 0, "large")); got < 2 || got > 4 {
		t.Errorf("the once largest channel has %d events", got)
	}
	m.SetRetention(Retention{Total: 2 * size})
	sweepAll(t, m, testTime)
	if s := m.Stats(); s.Bytes > 2*size || s.Events == 0 {
		t.Errorf("%+v", s)
	}
	put(t, m, message("huge", "1", strings.Repeat("x", int(3*size))))
	if got, err := m.Trimmed("huge"); got == 0 || err != nil {
		t.Errorf("an event larger than the total: %d, %v", got, err)
	}
	if m.Durable() {
		t.Error("it calls itself durable")
	}
	if other := NewMemory(Retention{}, nil); other.Head().Epoch == m.Head().Epoch {
		t.Error("two have one epoch")
	}
	must(t, m.Close())
}

// TestMemoryLetsGo: what is not retained and not in its key window takes no
// memory, even behind an old entry that stays.
func TestMemoryLetsGo(t *testing.T) {
	now := testTime
	m := NewMemory(Retention{Events: 1}, func() time.Time { return now })
	put(t, m, message("quiet", "1", "x"))
	for day := range 10 {
		for i := range 2000 {
			put(t, m, message(fmt.Sprint("busy", i%10), fmt.Sprint(day, "/", i), "x"))
		}
		now = now.Add(25 * time.Hour)
		sweepAll(t, m, now)
	}
	if len(m.known) > 2*stepEvents+100 || len(m.keys) > 100 || m.dead > len(m.known) {
		t.Errorf("%d entries (%d dead) and %d keys are remembered", len(m.known), m.dead, len(m.keys))
	}
	if s := m.Stats(); s.Oldest != 1 || s.Events != 11 {
		t.Errorf("%+v", s)
	}
	if seq, ok, _ := m.SeqOf("quiet", "1"); seq != 1 || !ok {
		t.Error("the old entry is gone")
	}
	for i := range 300 {
		m.SetRetention(Retention{Age: time.Hour})
		put(t, m, message(fmt.Sprint("short-lived", i), "1", "x"))
		now = now.Add(25 * time.Hour)
		sweepAll(t, m, now)
	}
	if len(m.channels) > 2 || len(m.emptied) > 2 {
		t.Errorf("%d channels, %d emptied ones are remembered", len(m.channels), len(m.emptied))
	}
}

func TestMemorySharesPayloads(t *testing.T) {
	m := NewMemory(Retention{}, nil)
	e := message("a", "1", "x")
	put(t, m, e)
	if got := read(t, m, 0, "a"); &got[0].Payload[0] != &e.Payload[0] {
		t.Error("the payload was copied")
	}
	if got, err := m.Append([]event.Event{{Channel: event.String("a")}}, nil); err != nil || got[0].Entry.Payload != nil {
		t.Error(got, err)
	}
}
