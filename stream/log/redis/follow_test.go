//go:build unix

package redis

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/seed-078801ba/sidestream/stream/event"
	"github.com/seed-078801ba/sidestream/stream/log"
	"github.com/seed-078801ba/sidestream/stream/log/logtest"
	"github.com/seed-078801ba/sidestream/stream/redisconn"
	"github.com/seed-078801ba/sidestream/stream/redisconn/redistest"
)

// TestOrder: several processes append at once, and all see one order, in
// which each process's own events stand as it has appended them.
func TestOrder(t *testing.T) {
	s := redistest.Start(t)
	const nodes, batches = 3, 40
	var all [nodes]*node
	for i := range all {
		all[i] = newNode(t, Options{Address: redisconn.Address{Addrs: []string{s.Addr}}})
	}
	var group sync.WaitGroup
	for i, n := range all {
		group.Go(func() {
			var last uint64
			for j := range batches {
				id := fmt.Sprint(i, "-", j)
				// The second one is said by every node, and stored once.
				got, err := n.Append([]event.Event{logtest.Message("own", id, "x"), logtest.Message("all", fmt.Sprint(j), "x")}, nil)
				if err != nil {
					t.Error(err)
					return
				}
				if got[0].Duplicate || got[0].Entry.Seq <= last {
					t.Errorf("%s was appended at %d, the one before at %d", id, got[0].Entry.Seq, last)
				}
				last = got[0].Entry.Seq
			}
		})
	}
	group.Wait()
	head := event.Cursor{Epoch: all[0].Head().Epoch, Seq: (nodes + 1) * batches}
	for i, n := range all {
		n.untilHead(head)
		n.telling.Lock()
		if len(n.seen) != int(head.Seq) || len(n.resets) > 0 {
			t.Errorf("node %d has %d entries, resets %v", i, len(n.seen), n.resets)
		}
		for c, e := range n.seen {
			if first := all[0].seen[c]; first.ID != e.ID || first.At != e.At {
				t.Errorf("node %d has %s at %v, the first %s", i, e.ID.Text, c, first.ID.Text)
			}
		}
		n.telling.Unlock()
	}
	entries := logtest.Read(t, all[0], 0, "own", "all")
	if len(entries) != int(head.Seq) {
		t.Errorf("%d entries are stored", len(entries))
	}
	for _, e := range entries {
		c := event.Cursor{Epoch: head.Epoch, Seq: e.Seq, Tag: e.Tag}
		if _, ok := all[1].seen[c]; !ok {
			t.Errorf("%v was not seen", c)
		}
	}
}

// TestStarts: what needs Redis may start before it.
func TestStarts(t *testing.T) {
	s := redistest.Start(t)
	s.Kill()
	n := newNode(t, Options{Address: redisconn.Address{Addrs: []string{s.Addr}, Password: "hunter2"}})
	if n.Head() != (event.Cursor{}) {
		t.Errorf("head is %v", n.Head())
	}
	_, err := n.Append([]event.Event{logtest.Message("a", "1", "x")}, nil)
	_, err2 := n.Trimmed("a")
	if !errors.Is(err, log.ErrFailed) || !errors.Is(err2, log.ErrFailed) {
		t.Errorf("%v, %v", err, err2)
	}
	s.Restart()
	s.CLI("CONFIG", "SET", "requirepass", "hunter2")
	n.untilConnected(true)
	n.untilHead(n.cursor(n.say("a", "1")))
	if n.resets[0] != event.EpochChanged {
		t.Errorf("resets %v", n.resets)
	}
}

// TestRestart: nothing that was acknowledged is lost by a Redis that is
// killed and syncs always, and nobody is told of a gap.
func TestRestart(t *testing.T) {
	s := redistest.Start(t)
	a := newNode(t, Options{Address: redisconn.Address{Addrs: []string{s.Addr}}})
	b := newNode(t, Options{Address: redisconn.Address{Addrs: []string{s.Addr}}})
	for round := range 5 {
		for i := range 20 {
			a.say("a", fmt.Sprint(round, "-", i))
		}
		s.Kill()
		a.untilConnected(false)
		if _, err := b.Append([]event.Event{logtest.Message("a", fmt.Sprint(round, "lost"), "x")}, nil); !errors.Is(err, log.ErrFailed) {
			t.Errorf("without Redis: %v", err)
		}
		s.Restart()
		a.untilConnected(true)
		b.untilConnected(true)
	}
	last := a.cursor(a.say("a", "last"))
	for _, n := range []*node{a, b} {
		n.untilHead(last)
		if len(n.resets) > 0 || len(n.seen) != 101 {
			t.Errorf("%d entries, resets %v", len(n.seen), n.resets)
		}
	}
}

// TestHangs: a Redis that does not answer is seen as one, nothing waits
// for it for ever, and it is found again.
func TestHangs(t *testing.T) {
	s := redistest.Start(t)
	n := newNode(t, Options{Address: redisconn.Address{Addrs: []string{s.Addr}}})
	n.untilConnected(true)
	n.say("a", "1")
	s.Stop()
	if _, err := n.Append([]event.Event{logtest.Message("a", "2", "x")}, nil); !errors.Is(err, log.ErrFailed) {
		t.Errorf("without an answer: %v", err)
	}
	n.untilConnected(false)
	if _, err := n.Append([]event.Event{logtest.Message("a", "3", "x")}, nil); !errors.Is(err, log.ErrFailed) || !strings.Contains(err.Error(), "not connected") {
		t.Errorf("disconnected: %v", err)
	}
	s.Cont()
	n.untilConnected(true)
	n.say("a", "2")
	n.untilHead(n.cursor(n.say("a", "3")))
	if got := logtest.Read(t, n, 0, "a"); len(got) != 3 || len(n.resets) > 0 {
		t.Errorf("read %s, resets %v", logtest.Seqs(got), n.resets)
	}
}

// TestHangsAtStart: opening and closing wait for nothing for long either.
func TestHangsAtStart(t *testing.T) {
	s := redistest.Start(t)
	s.Stop()
	n := newNode(t, Options{Address: redisconn.Address{Addrs: []string{s.Addr}}})
	if n.Head() != (event.Cursor{}) {
		t.Errorf("head is %v", n.Head())
	}
	other := openRedis(t, Options{Address: redisconn.Address{Addrs: []string{s.Addr}}, Hub: "h", Timeout: 100 * time.Millisecond})
	logtest.Must(t, other.Close())
	if _, err := other.dial(t.Context()); err == nil {
		t.Error("a closed log connects")
	}
	s.Cont()
	n.untilConnected(true)
	n.untilHead(n.cursor(n.say("a", "1")))
}

// TestFlush: who empties Redis begins a new log, and everybody is told.
func TestFlush(t *testing.T) {
	s := redistest.Start(t)
	a := newNode(t, Options{Address: redisconn.Address{Addrs: []string{s.Addr}}})
	b := newNode(t, Options{Address: redisconn.Address{Addrs: []string{s.Addr}}})
	b.untilHead(a.cursor(a.say("a", "1")))
	old := a.Head().Epoch
	s.CLI("FLUSHALL")
	a.say("a", "1")
	last := a.cursor(a.say("a", "2"))
	b.untilHead(last)
	if last.Epoch == old || last.Seq != 2 {
		t.Errorf("head is %v, the old epoch %v", last, old)
	}
	for _, n := range []*node{a, b} {
		n.until("told", func() bool { return len(n.resets) == 1 && n.resets[0] == event.EpochChanged })
		if got := logtest.Seqs(logtest.Read(t, n, 0, "a")); got != "1 2" {
			t.Errorf("read %s", got)
		}
	}
}

// TestLosesKeys: a part of the log that is gone, as by eviction, is a log
// that is gone.
func TestLosesKeys(t *testing.T) {
	s := redistest.Start(t)
	n := newNode(t, Options{Address: redisconn.Address{Addrs: []string{s.Addr}}})
	if _, err := n.Append(nil, []event.Mark{{Source: "s", Value: "1"}}); err != nil {
		t.Fatal(err)
	}
	for i, key := range n.keys {
		n.say("a", "1")
		epoch := n.Head().Epoch
		if _, err := n.Append(nil, []event.Mark{{Source: "s", Value: "1"}}); err != nil {
			t.Fatal(err)
		}
		if s.CLI("DEL", key) != "1" {
			t.Fatalf("there is no key %s", key)
		}
		n.until("told of the loss of "+key, func() bool { return len(n.resets) == i+1 && n.at.Epoch != epoch })
	}
}

// TestScriptFlush: a Redis that has forgotten the scripts is given them.
func TestScriptFlush(t *testing.T) {
	s := redistest.Start(t)
	n := newNode(t, Options{Address: redisconn.Address{Addrs: []string{s.Addr}}})
	for i := range 5 {
		s.CLI("SCRIPT", "FLUSH")
		if _, err := n.Append([]event.Event{logtest.Message("a", fmt.Sprint(i), "x")}, nil); err != nil {
			t.Error(err)
		}
		s.CLI("SCRIPT", "FLUSH")
		if got := logtest.Read(t, n, 0, "a"); len(got) != i+1 {
			t.Errorf("read %s", logtest.Seqs(got))
		}
	}
}

// TestKillsClients: connections that are cut all the time lose nothing.
func TestKillsClients(t *testing.T) {
	s := redistest.Start(t)
	a := newNode(t, Options{Address: redisconn.Address{Addrs: []string{s.Addr}}})
	b := newNode(t, Options{Address: redisconn.Address{Addrs: []string{s.Addr}}})
	stop, killed := make(chan struct{}), make(chan int)
	go func() {
		tick := time.NewTicker(200 * time.Millisecond)
		defer tick.Stop()
		for n := 0; ; n++ {
			select {
			case <-stop:
				killed <- n
				return
			case <-tick.C:
				s.Try("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
			}
		}
	}()
	began, stored := time.Now(), 0
	for ; time.Since(began) < 3*time.Second; stored++ {
		a.say("a", fmt.Sprint(stored))
	}
	close(stop)
	t.Logf("%d events stored over %d cuts", stored, <-killed)
	last := a.cursor(a.say("a", "last"))
	for _, n := range []*node{a, b} {
		n.untilHead(last)
		if len(n.seen) != stored+1 || len(n.resets) > 0 {
			t.Errorf("%d entries of %d, resets %v", len(n.seen), stored+1, n.resets)
		}
	}
}

// TestFeedTrimmed: who was away for longer than the feed reaches back is
// told.
func TestFeedTrimmed(t *testing.T) {
	s := redistest.Start(t, "--appendonly", "no")
	for name, o := range map[string]Options{"events": {FeedEvents: 10}, "bytes": {FeedBytes: 1000}} {
		t.Run(name, func(t *testing.T) {
			o.Address.Addrs, o.Hub = []string{s.Addr}, name
			writer := openRedis(t, o)
			l := &listener{t: t, seen: map[event.Cursor]event.Entry{}, at: writer.Head()}
			after := writer.Head()
			for i := range 100 {
				logtest.Put(t, writer, logtest.Message("a", fmt.Sprint(i), "x"))
			}
			n := newNodeAt(t, o, after, l)
			l.until("told", func() bool { return len(l.resets) == 1 && l.resets[0] == event.Trimmed && l.at == writer.Head() })
			if got := logtest.Read(t, n, 0, "a"); len(got) != 100 {
				t.Errorf("read %d entries", len(got))
			}
			logtest.Put(t, writer, logtest.Message("a", "next", "x"))
			l.until("it goes on", func() bool { return l.at == writer.Head() && len(l.seen) == 1 })
		})
	}
}

// TestReadOvertaken: retention that overtakes a long read leaves no hole
// in it.
func TestReadOvertaken(t *testing.T) {
	s := redistest.Start(t, "--appendonly", "no")
	o := Options{Address: redisconn.Address{Addrs: []string{s.Addr}}, Hub: "h", Retention: log.Retention{Events: 3 * readEvents}}
	writer, reader := openRedis(t, o), openRedis(t, o)
	done := make(chan struct{})
	t.Cleanup(func() { <-done })
	go func() {
		defer close(done)
		for i := range 60 {
			var batch []event.Event
			for j := range 2 * readEvents {
				batch = append(batch, logtest.Message("a", fmt.Sprint(i, "-", j), "x"))
			}
			if _, err := writer.Append(batch, nil); err != nil {
				t.Error(err)
			}
		}
	}()
	for writing := true; writing; {
		select {
		case <-done:
			writing = false
		default:
		}
		entries, _, err := reader.Read([]string{"a"}, 0, writer.Head().Seq, 0, 0)
		if err != nil {
			t.Fatal(err)
		}
		for i := range entries {
			if entries[i].Seq != entries[0].Seq+uint64(i) {
				t.Fatalf("%d follows %d", entries[i].Seq, entries[i-1].Seq)
			}
		}
	}
}

// TestForeignEntries: what this version cannot read ends Follow.
func TestForeignEntries(t *testing.T) {
	s := redistest.Start(t, "--appendonly", "no")
	r := openRedis(t, Options{Address: redisconn.Address{Addrs: []string{s.Addr}}, Hub: "h", Probe: testProbe})
	s.CLI("XADD", r.keys[keyFeed], "1-0", "t", "1", "a", "1", "b", "0", "e", "future")
	s.CLI("HSET", r.keys[keyHead], "feed", "1", "seq", "1", "tag", "1")
	l := &listener{t: t, seen: map[event.Cursor]event.Entry{}}
	if err := r.Follow(t.Context(), r.Head(), l); !errors.Is(err, event.ErrEncoding) {
		t.Errorf("got %v", err)
	}
	if l.up {
		t.Error("it still says that it is connected")
	}
}
