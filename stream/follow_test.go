package stream

import (
	"context"
	"errors"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/seed-078801ba/sidestream/stream/event"
	"github.com/seed-078801ba/sidestream/stream/format"
	"github.com/seed-078801ba/sidestream/stream/log"
	"github.com/seed-078801ba/sidestream/stream/log/memory"
)

// sharedLog makes a log in memory look like one that several processes share.
type sharedLog struct {
	*memory.Log
	mu        sync.Mutex
	followers []*tail
}

// tail is one process's view of a sharedLog.
type tail struct {
	*sharedLog
	wake  chan struct{}
	reset chan event.Reason
}

func newSharedLog() *sharedLog { return &sharedLog{Log: memory.New(log.Retention{}, time.Now)} }

func (s *sharedLog) tail() *tail {
	t := &tail{sharedLog: s, wake: make(chan struct{}, 1), reset: make(chan event.Reason)}
	s.followers = append(s.followers, t)
	return t
}

func (s *sharedLog) Append(events []event.Event, marks []event.Mark) ([]log.Appended, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	a, err := s.Log.Append(events, marks)
	for _, f := range s.followers {
		select {
		case f.wake <- struct{}{}:
		default:
		}
	}
	return a, err
}

func (t *tail) Close() error { return nil }

func (t *tail) Grouped() bool { return true }

func (s *sharedLog) Secret() []byte { return []byte("secret") }

func (t *tail) Follow(ctx context.Context, after event.Cursor, f log.Follower) error {
	f.Connected(nil)
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
			entries, _, err := t.Read([]string{"a", "b", interruptions, wordsChannel}, after.Seq, t.Head().Seq, 1000, 1<<20)
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
	shared.Log.Append([]event.Event{{Channel: event.String("a"), ID: event.String("lost"), Body: "lost"}}, nil)
	follower.reset <- event.StoreDegraded
	client.expect("GAP store-degraded")
	legacyClient.expectBye()
	say(t, h, "a", "2")
	client.expect("a 2")
}

// What is not known of a gap is left out of its signal.
func TestGapNamesOnlyWhatIsKnown(t *testing.T) {
	shared := newSharedLog()
	follower := shared.tail()
	h := openOn(t, follower)
	l, s := listen(t, h, opening{channels: []string{"a"}, format: format.SSE{}})
	say(t, h, "a", "1")
	settle(t, s)
	h.follower.Reset(event.Cursor{Epoch: event.NewEpoch(), Seq: 40}, event.EpochChanged)
	for m := ""; !strings.Contains(m, "event: gap"); {
		if m = l.message(); strings.Contains(m, "0000000000000000") {
			t.Errorf("a signal names a place that nobody knows: %q", m)
		}
	}
}

// A client may come from a node that has shown what this one has not yet: with
// its cursor, or with the id of a message.
func TestSharedLogAhead(t *testing.T) {
	shared := newSharedLog()
	h := openOn(t, shared.tail())
	say(t, h, "a", "1")
	// Appended by another node, whose news does not come through.
	appended, err := shared.Log.Append([]event.Event{{Channel: event.String("a"), ID: event.String("2"), Body: "a 2"}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	at := event.Cursor{Epoch: shared.Head().Epoch, Seq: appended[0].Entry.Seq, Tag: appended[0].Entry.Tag}
	forked := at
	forked.Tag++
	if start, err := h.Resolve([]string{"a"}, From{Cursor: forked.String()}); err != nil || start.Resume() != "gap;reason=epoch-changed" {
		t.Errorf("with the tag of another event: %q, %v", start.Resume(), err)
	}
	for _, from := range []From{{Cursor: at.String()}, {MessageID: "2"}} {
		started := make(chan Start, 1)
		go func() {
			start, err := h.Resolve([]string{"a"}, from)
			if err != nil {
				t.Error(err)
			}
			started <- start
		}()
		if from.Cursor != "" {
			for { // until it waits
				h.mu.Lock()
				n := len(h.follower.waiting)
				h.mu.Unlock()
				if n > 0 {
					break
				}
				runtime.Gosched()
			}
			shared.followers[0].wake <- struct{}{}
		}
		if start := <-started; start.Seq != at.Seq || start.Resume() != "complete" {
			t.Errorf("%+v: begins at %d, %q", from, start.Seq, start.Resume())
		}
	}
}

// An epoch that ends while a stream is being opened ends for it as well.
func TestSharedLogResetWhileOpening(t *testing.T) {
	shared := newSharedLog()
	follower := shared.tail()
	h := openOn(t, follower)
	say(t, h, "a", "1")
	start, err := h.Resolve([]string{"a"}, From{Cursor: h.Head().String()})
	if err != nil {
		t.Fatal(err)
	}
	shared.Log = memory.New(log.Retention{}, time.Now)
	follower.reset <- event.EpochChanged
	for h.Head().Epoch != shared.Head().Epoch {
		runtime.Gosched()
	}
	client, _ := listen(t, h, opening{channels: []string{"a"}, format: resumable, start: &start})
	client.expect("GAP epoch-changed")
	say(t, h, "a", "2")
	client.expect("a 2")
}

// refusing is a shared log that takes nothing for a moment, without its follower
// noticing.
type refusing struct {
	*tail
	refuse atomic.Bool
}

func (r *refusing) Append(events []event.Event, marks []event.Mark) ([]log.Appended, error) {
	if r.refuse.Load() {
		return nil, log.ErrFailed
	}
	return r.tail.Append(events, marks)
}

func TestSharedLogRefusesForAMoment(t *testing.T) {
	l := &refusing{tail: newSharedLog().tail()}
	h := openOn(t, l)
	say(t, h, "a", "1")
	l.refuse.Store(true)
	if _, err := h.Publish(context.Background(), event.Batch{Events: []event.Event{{Channel: event.String("a")}}}); err == nil {
		t.Fatal("an event was acknowledged")
	}
	if h.Health() == nil {
		t.Error("the hub says that it is well")
	}
	l.refuse.Store(false)
	say(t, h, "a", "2")
	if err := h.Health(); err != nil {
		t.Errorf("the hub is not well again: %v", err)
	}
}

// A node that is cut off for long sends its clients away, and takes none until
// it is back.
func TestSharedLogCutOff(t *testing.T) {
	h := openOn(t, newSharedLog().tail())
	say(t, h, "a", "1")
	l, _ := listen(t, h, opening{channels: []string{"a"}})
	h.follower.giveUp() // it was never away: nothing happens
	say(t, h, "a", "2")
	l.expect("a 2")
	h.follower.trouble.Store(&errDisconnected)
	h.follower.giveUp()
	l.expectBye()
	if !l.drained() {
		t.Error("not ended properly")
	}
	if _, err := h.Resolve([]string{"a"}, From{}); !errors.Is(err, event.ErrUnavailable) {
		t.Errorf("a stream may open: %v", err)
	}
	h.follower.Connected(nil)
	if _, err := h.Resolve([]string{"a"}, From{}); err != nil {
		t.Errorf("a stream may not open: %v", err)
	}
}

// neverConnected is a shared log that is out of reach.
type neverConnected struct{ *sharedLog }

var _ log.Shared = neverConnected{}

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
	if _, err := h.Resolve([]string{"a"}, From{}); !errors.Is(err, event.ErrUnavailable) {
		t.Errorf("a stream may open: %v", err)
	}
	if _, err := h.Publish(context.Background(), event.Batch{Events: []event.Event{{Channel: event.String("a")}}}); err == nil {
		t.Error("an event was acknowledged")
	}
}
