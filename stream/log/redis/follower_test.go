//go:build unix

package redis

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/seed-078801ba/sidestream/stream/event"
	"github.com/seed-078801ba/sidestream/stream/log"
	"github.com/seed-078801ba/sidestream/stream/log/logtest"
	"github.com/seed-078801ba/sidestream/stream/redisconn/redistest"
)

// listener is a Follower that remembers what it was told, and checks that
// nothing is missing in between.
type listener struct {
	t testing.TB

	telling sync.Mutex
	at      event.Cursor
	seen    map[event.Cursor]event.Entry // since the start, over all epochs
	arrived chan time.Time               // if set, told of entries
	resets  []event.Reason
	up      bool
	causes  []string // why it is not up
}

func (l *listener) Entries(entries []event.Entry, head event.Cursor) {
	l.telling.Lock()
	defer l.telling.Unlock()
	for _, e := range entries {
		if e.Seq != l.at.Seq+1 {
			l.t.Errorf("entry %d follows %d", e.Seq, l.at.Seq)
		}
		l.at.Seq, l.at.Tag = e.Seq, e.Tag
		l.seen[l.at] = e
	}
	if l.arrived != nil {
		l.arrived <- time.Now()
	}
	if head != l.at {
		l.t.Errorf("the head is %v, the last entry %v", head, l.at)
	}
}

func (l *listener) Reset(head event.Cursor, reason event.Reason) {
	l.telling.Lock()
	defer l.telling.Unlock()
	l.at = head
	l.resets = append(l.resets, reason)
}

func (l *listener) Connected(cause error) {
	l.telling.Lock()
	defer l.telling.Unlock()
	if cause == nil {
		if l.up {
			l.t.Error("told again that it is connected")
		}
		l.up, l.causes = true, nil
		return
	}
	l.up = false
	if slices.Contains(l.causes, cause.Error()) {
		l.t.Errorf("told again: %v", cause)
	}
	l.causes = append(l.causes, cause.Error())
}

func (l *listener) is(f func() bool) func() bool {
	return func() bool {
		l.telling.Lock()
		defer l.telling.Unlock()
		return f()
	}
}

func (l *listener) until(what string, f func() bool) {
	l.t.Helper()
	redistest.Until(l.t, what, l.is(f))
}

// untilConnected waits until the follower is told that all is well.
func (l *listener) untilConnected(yes bool) {
	l.t.Helper()
	l.until(fmt.Sprint("connected is ", yes), func() bool { return l.up == yes })
}

// untilHead waits until the follower has what the cursor names.
func (l *listener) untilHead(c event.Cursor) {
	l.t.Helper()
	l.until("it has "+c.String(), func() bool { return l.at.Epoch == c.Epoch && l.at.Seq >= c.Seq })
}

// node is a process that shares a log.
type node struct {
	*Log
	listener
}

const testProbe = 100 * time.Millisecond

// newNode opens the log and follows it, until the test ends.
func newNode(t testing.TB, o Options) *node {
	t.Helper()
	if o.Hub == "" {
		o.Hub = "test"
	}
	o.Probe, o.Timeout = testProbe, 2*time.Second
	n := &node{Log: openRedis(t, o)}
	n.listener = listener{t: t, seen: map[event.Cursor]event.Entry{}, at: n.Head()}
	follow(t, n.Log, n.Head(), &n.listener)
	return n
}

// newNodeAt is newNode for a listener that stands somewhere already.
func newNodeAt(t testing.TB, o Options, after event.Cursor, l *listener) *Log {
	t.Helper()
	o.Probe, o.Timeout = testProbe, 2*time.Second
	r := openRedis(t, o)
	follow(t, r, after, l)
	return r
}

// follow follows until the test ends.
func follow(t testing.TB, r *Log, after event.Cursor, l *listener) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := r.Follow(ctx, after, l); err != context.Canceled {
			t.Errorf("following ends: %v", err)
		}
	}()
	t.Cleanup(func() {
		cancel()
		<-done
	})
}

// say appends until it is stored, as a sender that repeats does.
func (n *node) say(channel, id string) log.Appended {
	n.t.Helper()
	var a []log.Appended
	var err error
	redistest.Until(n.t, "the event is stored", func() bool {
		a, err = n.Append([]event.Event{logtest.Message(channel, id, "x")}, nil)
		return err == nil
	})
	return a[0]
}

func (n *node) cursor(a log.Appended) event.Cursor {
	return event.Cursor{Epoch: n.Head().Epoch, Seq: a.Entry.Seq, Tag: a.Entry.Tag}
}
