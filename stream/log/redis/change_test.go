//go:build unix

package redis

import (
	"fmt"
	"strings"
	"testing"

	"github.com/seed-078801ba/sidestream/stream/event"
	"github.com/seed-078801ba/sidestream/stream/log"
	"github.com/seed-078801ba/sidestream/stream/log/logtest"
	"github.com/seed-078801ba/sidestream/stream/redisconn"
	"github.com/seed-078801ba/sidestream/stream/redisconn/redistest"
)

func changeOf(op event.Op, channel, id, body string) event.Event {
	return event.Event{Channel: event.String(channel), ID: event.String(id), Op: op, Body: body}
}

// TestForgetsText: no key of the log says what was deleted, or was said before an
// edit; and a node that comes later to that part of the feed misses nothing.
func TestForgetsText(t *testing.T) {
	s := redistest.Start(t, "--appendonly", "no")
	o := Options{Address: redisconn.Address{Addrs: []string{s.Addr}}, Hub: "h"}
	writer := openRedis(t, o)
	after := writer.Head()
	for i := range 10 {
		logtest.Put(t, writer, logtest.Message("a", fmt.Sprint(i), "SECRET"))
	}
	for i := range 10 {
		if i == 3 {
			continue
		}
		logtest.Put(t, writer, changeOf([]event.Op{event.Edit, event.Delete}[i%2], "a", fmt.Sprint(i), "now"))
	}
	holds := func() (n int) {
		for _, text := range []string{
			s.CLI("HGETALL", writer.keys[2]), s.CLI("XRANGE", writer.keys[keyFeed], "-", "+"), s.CLI("HGETALL", writer.keys[5]), s.CLI("XRANGE", writer.keys[4], "-", "+"),
		} {
			n += strings.Count(text, "SECRET")
		}
		return n
	}
	if got := holds(); got != 4 { // of the one that stands: body and payload, in the feed and in the history
		t.Errorf("the text is there %d times", got)
	}
	l := &listener{t: t, seen: map[event.Cursor]event.Entry{}, at: after}
	n := newNodeAt(t, o, after, l)
	l.until("it has caught up", func() bool { return l.at == writer.Head() })
	if len(l.resets) > 0 || len(l.seen) != 19 {
		t.Errorf("resets %v, %d entries", l.resets, len(l.seen))
	}
	for _, e := range l.seen {
		if e.ID.Text != "3" && strings.Contains(e.Body, "SECRET") {
			t.Errorf("%d says %q", e.Seq, e.Body)
		}
	}
	logtest.Put(t, n, changeOf(event.Delete, "a", "3", ""))
	if got := holds(); got != 0 {
		t.Errorf("in the end the text is there %d times", got)
	}
	l.until("it goes on", func() bool { return l.at == n.Head() })
	// What retention has taken is forgotten by the feed as well.
	writer.SetRetention(log.Retention{Events: 1})
	logtest.Put(t, writer, logtest.Message("a", "taken", "SECRET"))
	before := writer.Head()
	logtest.Put(t, writer, logtest.Message("a", "taken too", "SECRET"), logtest.Message("a", "other", "x"))
	logtest.Put(t, writer, changeOf(event.Edit, "a", "taken too", "now"), changeOf(event.Delete, "a", "taken", ""))
	if got := holds(); got != 0 {
		t.Errorf("the text that retention has taken is there %d times", got)
	}
	behind := &listener{t: t, seen: map[event.Cursor]event.Entry{}, at: before}
	newNodeAt(t, o, before, behind)
	behind.until("it has caught up", func() bool { return behind.at == writer.Head() })
	if len(behind.resets) > 0 || len(behind.seen) != 4 {
		t.Errorf("resets %v, %d entries", behind.resets, len(behind.seen))
	}
	// What the feed has lost by its bounds is a gap as ever.
	o.FeedEvents = 5
	short := openRedis(t, o)
	for i := range 20 {
		logtest.Put(t, short, logtest.Message("a", fmt.Sprint("x", i), "x"))
	}
	late := &listener{t: t, seen: map[event.Cursor]event.Entry{}, at: after}
	newNodeAt(t, o, after, late)
	late.until("told", func() bool {
		return len(late.resets) == 1 && late.resets[0] == event.Trimmed && late.at == short.Head()
	})
}

// TestChangesOnSeveralNodes: it does not matter which node brings the message and
// which one the change.
func TestChangesOnSeveralNodes(t *testing.T) {
	s := redistest.Start(t, "--appendonly", "no")
	o := Options{Address: redisconn.Address{Addrs: []string{s.Addr}}}
	a, b := newNode(t, o), newNode(t, o)
	a.untilConnected(true)
	b.untilConnected(true)
	logtest.Put(t, a, logtest.Message("a", "1", "one"))
	logtest.Put(t, b, changeOf(event.Edit, "a", "1", "ONE"), changeOf(event.Delete, "a", "2", ""))
	got := logtest.Put(t, a, logtest.Message("a", "2", "two"))
	if got[0].Entry.Shape != event.Gone {
		t.Errorf("a message that was deleted before is stored as %+v", got[0].Entry)
	}
	a.untilHead(a.cursor(got[0]))
	b.untilHead(a.cursor(got[0]))
	for _, n := range []*node{a, b} {
		entries := logtest.Read(t, n, 0, "a")
		if logtest.Seqs(entries) != "1 2 3 4" || entries[0].Body != "ONE" || entries[3].Shape != event.Gone {
			t.Errorf("read %+v", entries)
		}
		n.telling.Lock()
		if last := n.seen[n.at]; last.Shape != event.Gone {
			t.Errorf("shown is %+v", last)
		}
		n.telling.Unlock()
	}
}

// TestOldMessagesAreChanged: a message that was stored before the format of today is
// taken back and edited like any other.
func TestOldMessagesAreChanged(t *testing.T) {
	s := oldRedis(t)
	n := newNode(t, Options{Address: redisconn.Address{Addrs: []string{s.Addr}}, Hub: "test", Now: logtest.Fixed, Retention: log.Retention{Events: 10}})
	n.untilConnected(true)
	logtest.Put(t, n, changeOf(event.Delete, "c0", "10", ""), changeOf(event.Edit, "c0", "8", "edited"))
	entries := logtest.Read(t, n, 8, "c0")
	if logtest.Seqs(entries) != "9 11 14 15" || entries[0].Body != "edited" || entries[1].Shape != event.Gone || entries[0].Op != event.Create {
		t.Errorf("read %+v", entries)
	}
	var bytes int64
	for _, e := range logtest.Read(t, n, 0, "c0", "c1", "new") {
		bytes += int64(len(e.AppendBinary(nil))) // the old form is as long
	}
	if got := n.Stats().Bytes; got != bytes {
		t.Errorf("%d bytes are counted of %d", got, bytes)
	}
	n.SetRetention(log.Retention{Events: 1})
	logtest.SweepAll(t, n, logtest.Time)
	if got := n.Stats(); got.Events != 3 || got.Bytes <= 0 {
		t.Errorf("%+v", got)
	}
}
