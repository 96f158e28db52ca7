package stream

import (
	"context"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/seed-078801ba/sidestream/stream/log"
	"github.com/seed-078801ba/sidestream/stream/log/memory"
)

// countingLog counts the writes of records, which wait for gate.
type countingLog struct {
	log.Log
	writes atomic.Int64
	gate   chan struct{}
}

func (c *countingLog) PutRecords(records []log.Record) error {
	c.writes.Add(1)
	<-c.gate
	return c.Log.PutRecords(records)
}

// Many records are few writes, whether somebody waits for them or not; what was put
// is read at once, and nothing is lost when the hub closes.
func TestRecordsAreWrittenTogether(t *testing.T) {
	l := &countingLog{Log: memory.New(log.Retention{}, nil), gate: make(chan struct{}, 1000)}
	h, err := Open("test", l, Config{})
	if err != nil {
		t.Fatal(err)
	}
	ends := time.Now().Add(time.Hour)
	var stored sync.WaitGroup
	for i := range 500 {
		stored.Go(func() {
			if err := h.StoreRecord(t.Context(), fmt.Sprint(i), []byte("x"), ends); err != nil {
				t.Error(err)
			}
		})
	}
	for l.writes.Load() == 0 { // the first one waits in the store, the others for it
		runtime.Gosched()
	}
	for waiting := 0; waiting < 500; {
		h.records.mu.Lock()
		waiting = len(h.records.waiting)
		h.records.mu.Unlock()
	}
	for range 1000 {
		l.gate <- struct{}{}
	}
	stored.Wait()
	if n := l.writes.Load(); n > 5 {
		t.Errorf("500 records in %d writes", n)
	}
	before := l.writes.Load()
	for i := range 1000 {
		h.KeepRecord("lazy", fmt.Append(nil, i), ends)
	}
	if got, ok, err := h.Record("lazy"); string(got) != "999" || !ok || err != nil {
		t.Errorf("it is %q, %v, %v", got, ok, err)
	}
	if err := h.Close(context.Background()); err != nil {
		t.Fatal(err)
	}
	if n := l.writes.Load() - before; n > 2 {
		t.Errorf("a record that changed 1000 times took %d writes", n)
	}
	if got, _, _ := l.Log.Record("lazy"); string(got) != "999" {
		t.Errorf("closing left %q", got)
	}
	if err := h.StoreRecord(context.Background(), "late", []byte("x"), ends); err == nil {
		t.Error("a closed hub took a record")
	}
}
