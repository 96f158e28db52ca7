package stream

import (
	"context"
	"sync"
	"time"

	"github.com/seed-078801ba/sidestream/stream/event"
	"github.com/seed-078801ba/sidestream/stream/log"
)

// recordPause is how long a record that nobody waits for may wait for others, so
// that one write takes them all.
const recordPause = 500 * time.Millisecond

// maxWaitingRecords bounds those that wait while the store does not take any. What
// comes then is not kept.
const maxWaitingRecords = log.MaxRecords

// records writes the records of sessions to the log, many at once. Its goroutine
// lives only as long as there is something to write.
type records struct {
	hub *Hub

	mu      sync.Mutex
	waiting map[string]log.Record
	waiters []chan<- error // for what is waiting now
	writing bool
	urgent  chan struct{} // has something when somebody waits
	closed  bool
	work    sync.WaitGroup
}

// KeepRecord has a record written beside others, within a second or so. Of several
// with one id, the last counts. An empty value removes the record. The hub owns the
// value.
func (h *Hub) KeepRecord(id string, value []byte, until time.Time) {
	h.records.put(log.Record{ID: id, Value: value, Until: until}, nil)
}

// StoreRecord has a record written, and waits until the store has it. Many that come
// together are one write.
func (h *Hub) StoreRecord(ctx context.Context, id string, value []byte, until time.Time) error {
	done := make(chan error, 1)
	h.records.put(log.Record{ID: id, Value: value, Until: until}, done)
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Shared tells whether other processes have the log as well.
func (h *Hub) Shared() bool { return h.follower != nil }

// CursorAt is the cursor of a position of this epoch, of which something was given to
// a client before.
func (h *Hub) CursorAt(seq uint64) (event.Cursor, error) { return h.cursorOf(seq, h.Head().Epoch) }

// Record is the value of a record: the one that was put last here, even if it is not
// written yet, or the store's.
func (h *Hub) Record(id string) (value []byte, ok bool, err error) {
	rs := &h.records
	rs.mu.Lock()
	r, waits := rs.waiting[id]
	rs.mu.Unlock()
	if waits {
		return r.Value, len(r.Value) > 0 && r.Until.After(time.Now()), nil
	}
	return h.log.Record(id)
}

func (rs *records) put(r log.Record, done chan<- error) {
	rs.mu.Lock()
	defer rs.mu.Unlock()
	var err error
	switch _, known := rs.waiting[r.ID]; {
	case rs.closed:
		err = event.ErrClosed
	case !known && len(rs.waiting) >= maxWaitingRecords:
		err = event.ErrBusy
	default:
		err = log.CheckRecords([]log.Record{r})
	}
	if err != nil {
		if done != nil {
			done <- err
		}
		return
	}
	if rs.waiting == nil {
		rs.waiting = map[string]log.Record{}
	}
	rs.waiting[r.ID] = r
	if done != nil {
		rs.waiters = append(rs.waiters, done)
		select {
		case rs.urgent <- struct{}{}:
		default:
		}
	}
	if !rs.writing {
		rs.writing = true
		rs.work.Go(rs.write)
	}
}

// write writes what waits until nothing does.
func (rs *records) write() {
	pause := time.NewTimer(recordPause)
	defer pause.Stop()
	for {
		select {
		case <-rs.urgent:
		case <-pause.C:
		case <-rs.hub.closing:
		}
		rs.mu.Lock()
		batch, waiters := make([]log.Record, 0, len(rs.waiting)), rs.waiters
		for _, r := range rs.waiting {
			batch = append(batch, r)
		}
		rs.mu.Unlock()
		err := rs.hub.log.PutRecords(batch)
		if err != nil {
			rs.hub.config().Logger.Debug("the records of sessions were not stored", "hub", rs.hub.name, "error", err)
		}
		rs.mu.Lock()
		for _, r := range batch { // readers saw them here until now
			if same(rs.waiting[r.ID], r) {
				delete(rs.waiting, r.ID)
			}
		}
		rs.waiters = append([]chan<- error(nil), rs.waiters[len(waiters):]...)
		idle := len(rs.waiting) == 0 && len(rs.waiters) == 0
		rs.writing = !idle
		rs.mu.Unlock()
		for _, done := range waiters {
			done <- err
		}
		if idle {
			return
		}
		pause.Reset(recordPause)
	}
}

// same tells whether two records are one, put once.
func same(a, b log.Record) bool {
	return a.ID == b.ID && a.Until.Equal(b.Until) && len(a.Value) == len(b.Value) && (len(a.Value) == 0 || &a.Value[0] == &b.Value[0])
}

// close writes what waits, and takes nothing more.
func (rs *records) close() {
	rs.mu.Lock()
	rs.closed = true
	rs.mu.Unlock()
	rs.work.Wait()
}
