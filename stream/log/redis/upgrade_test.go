//go:build unix

package redis

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/seed-078801ba/sidestream/stream/log"
	"github.com/seed-078801ba/sidestream/stream/log/logtest"
	"github.com/seed-078801ba/sidestream/stream/redisconn"
	"github.com/seed-078801ba/sidestream/stream/redisconn/redistest"
)

// oldRedis is a Redis with a log of format 1: twelve messages in two channels, of
// which five are kept in each, one more in a third, and a mark.
func oldRedis(t *testing.T) *redistest.Server {
	t.Helper()
	s := redistest.Start(t, "--appendonly", "no")
	dump, err := os.ReadFile("testdata/format1.rdb")
	logtest.Must(t, err)
	logtest.Must(t, os.WriteFile(filepath.Join(s.Dir, "dump.rdb"), dump, 0o600))
	s.CLI("DEBUG", "RELOAD", "NOSAVE")
	return s
}

// TestOldFormat: a log of old keeps what it has, under new cursors, which say
// nothing of what stands there.
func TestOldFormat(t *testing.T) {
	s := oldRedis(t)
	o := Options{Address: redisconn.Address{Addrs: []string{s.Addr}}, Hub: "test", Retention: log.Retention{Events: 5}, Now: logtest.Fixed}
	if s.CLI("HGET", keyNames("sidestream", "test")[keyHead], "seq") != "13" {
		t.Fatal("the dump was not loaded")
	}
	n := newNode(t, o)
	head := n.Head()
	if head.Seq != 13 || head.Tag != 0 || head.Epoch.String() == "8175e34081c9bc4b" {
		t.Errorf("head is %v", head)
	}
	if !n.Upgraded() || newNode(t, o).Upgraded() {
		t.Error("it is not told once that the format was another one")
	}
	n.untilConnected(true)
	for i := range 13 { // the keys of all are known
		channel := fmt.Sprint("c", i%2)
		if i == 12 {
			channel = "new"
		}
		a := logtest.Put(t, n, logtest.Message(channel, fmt.Sprint(i), "x"))[0]
		if !a.Duplicate || a.Conflict || a.Entry.Seq != uint64(i+1) || a.Entry.Tag != 0 {
			t.Errorf("%d again: %+v", i, a)
		}
		if tag, ok, err := n.TagAt(uint64(i + 1)); tag != 0 || !ok || err != nil {
			t.Errorf("the tag at %d is %v, %v, %v", i+1, tag, ok, err)
		}
	}
	n.untilHead(n.cursor(n.say("c0", "next")))
	entries := logtest.Read(t, n, 0, "c0", "c1", "new")
	if got := logtest.Seqs(entries); got != "4 5 6 7 8 9 10 11 12 13 14" && got != "3 4 5 6 7 8 9 10 11 12 13 14" {
		t.Errorf("read %s", got)
	}
	for _, e := range entries {
		if (e.Tag == 0) != (e.Seq <= 13) || e.Body != "x" {
			t.Errorf("entry %d has tag %v and says %q", e.Seq, e.Tag, e.Body)
		}
	}
	if trimmed, err := n.Trimmed("c0"); err != nil || trimmed != 3 {
		t.Errorf("trimmed is %d, %v", trimmed, err)
	}
	n.SetRetention(log.Retention{Events: 1})
	logtest.SweepAll(t, n, logtest.Time)
	if stats := n.Stats(); stats.Events != 3 || stats.Bytes <= 0 || stats.Bytes > 1000 {
		t.Errorf("%+v", stats)
	}
	l := n.Head()
	if len(n.resets) != 0 || l.Seq != 14 {
		t.Errorf("resets %v, head %v", n.resets, l)
	}
}
