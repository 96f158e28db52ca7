package stream

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/seed-078801ba/sidestream/stream/event"
	"github.com/seed-078801ba/sidestream/stream/log"
)

// sharedLog makes a log in memory look like one that several processes share.
type sharedLog struct {
	*log.Memory
	mu        sync.Mutex
	followers []*tail
}

// tail is one process's view of a sharedLog.
type tail struct {
	*sharedLog
	wake  chan struct{}
	reset chan event.Reason
}

func newSharedLog() *sharedLog { return &sharedLog{Memory: log.NewMemory(log.Retention{}, time.Now)} }

func (s *sharedLog) tail() *tail {
	t := &tail{sharedLog: s, wake: make(chan struct{}, 1), reset: make(chan event.Reason)}
	s.followers = append(s.followers, t)
	return t
}

func (s *sharedLog) Append(events []event.Event, marks []event.Mark) ([]log.Appended, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	a, err := s.Memory.Append(events, marks)
	for _, f := range s.followers {
		select {
		case f.wake <- struct{}{}:
		default:
		}
	}
	return a, err
}

func (t *tail) Close() error { return nil }

func (t *tail) Follow(ctx context.Context, after event.Cursor, f log.Follower) error {
	f.Connected(true)
	if after.Epoch != t.Head().Epoch {
		after = t.Head()
		f.Reset(after, event.EpochChanged)
	}
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case reason := <-t.reset:
			after = t.Head()
			f.Reset(after, reason)
		case <-t.wake:
			entries, _, err := t.Read([]string{"a", "b"}, after.Seq, t.Head().Seq, 1000, 1<<20)
			if err != nil {
				return err
			}
			for _, e := range entries {
				after.Seq, after.Tag = e.Seq, e.Tag
			}
			if len(entries) > 0 {
				f.Entries(entries, after)
			}
		}
	}
}

func openOn(t *testing.T, l log.Log) *Hub {
	t.Helper()
	h, err := Open("test", l, Config{Drain: time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { h.Close(context.Background()) })
	return h
}

func TestSharedLog(t *testing.T) {
	shared := newSharedLog()
	one, two := openOn(t, shared.tail()), openOn(t, shared.tail())
	here, _ := listen(t, one, opening{channels: []string{"a"}})
	there, _ := listen(t, two, opening{channels: []string{"a", "b"}})
	say(t, one, "a", "1")
	say(t, two, "a", "2")
	say(t, one, "b", "3")
	here.expect("a 1", "a 2")
	there.expect("a 1", "a 2", "b 3")
	if got := say(t, two, "a", "1")[0]; !got.Duplicate || got.Position.Seq != 1 {
		t.Errorf("a repeated delivery on another node: %+v", got)
	}
}

// When the log cannot be followed any more, everybody is told or ended.
func TestSharedLogReset(t *testing.T) {
	shared := newSharedLog()
	follower := shared.tail()
	h := openOn(t, follower)
	legacyClient, _ := listen(t, h, opening{channels: []string{"a"}})
	client, _ := listen(t, h, opening{channels: []string{"a"}, format: resumable})
	say(t, h, "a", "1")
	legacyClient.expect("a 1")
	client.expect("a 1")
	shared.Memory.Append([]event.Event{{Channel: event.String("a"), ID: event.String("lost"), Body: "lost"}}, nil)
	follower.reset <- event.StoreDegraded
	client.expect("GAP store-degraded")
	legacyClient.expectBye()
	say(t, h, "a", "2")
	client.expect("a 2")
}

// neverConnected is a shared log that is out of reach.
type neverConnected struct{ *sharedLog }

func (neverConnected) Head() event.Cursor { return event.Cursor{} }
func (neverConnected) Append([]event.Event, []event.Mark) ([]log.Appended, error) {
	return nil, log.ErrFailed
}
func (neverConnected) Follow(ctx context.Context, _ event.Cursor, f log.Follower) error {
	<-ctx.Done()
	return ctx.Err()
}

func TestSharedLogOutOfReach(t *testing.T) {
	h := openOn(t, neverConnected{newSharedLog()})
	if h.Health() == nil {
		t.Error("the hub says that it is well")
	}
	if _, err := h.Resolve([]string{"a"}, From{}); err != event.ErrUnavailable {
		t.Errorf("a stream may open: %v", err)
	}
	if _, err := h.Publish(context.Background(), event.Batch{Events: []event.Event{{Channel: event.String("a")}}}); err == nil {
		t.Error("an event was acknowledged")
	}
}
