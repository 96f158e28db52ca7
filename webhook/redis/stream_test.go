package redis

import (
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/seed-078801ba/sidestream/stream/event"
	"github.com/seed-078801ba/sidestream/stream/redisconn/redistest"
)

// entries reads the stream "chat", whose entries have a body and a room.
func entries(addr string, lines ...string) Config {
	return config(addr, append(lines, "stream chat", "map channel {redis.field.room}")...)
}

func (a *app) add(room, body string, options ...string) {
	a.t.Helper()
	words := append([]string{"XADD", "chat"}, options...)
	a.do(append(words, "*", "payload", body, "room", room)...)
}

func TestStreamStarts(t *testing.T) {
	for _, c := range []struct {
		start string
		first []string // after two entries before the first start
		again []string // after two more between the runs
	}{
		{"resume", []string{"3"}, []string{"3", "4", "5", "6"}},
		{"0", []string{"1", "2", "3"}, []string{"1", "2", "3", "4", "5", "6"}},
		{"$", []string{"3"}, []string{"3", "gap", "6"}},
	} {
		t.Run(c.start, func(t *testing.T) {
			server := redistest.Start(t)
			a, m := newApp(t, server.Addr), newMemory()
			a.add("1", "1")
			a.add("1", "2")
			s := run(t, entries(server.Addr, "start "+c.start), Options{Publisher: m}).connected()
			a.add("1", "3")
			m.waitFor(t, "1", c.first...)
			s.end()
			a.add("1", "4")
			a.add("1", "5")
			s = run(t, entries(server.Addr, "start "+c.start), Options{Publisher: m}).connected()
			a.add("1", "6")
			m.waitFor(t, "1", c.again...)
			s.end()
		})
	}
}

// The place is stored in the same commit as the events: a process that ends
// anywhere, or a log whose answer is lost, neither loses nor doubles.
func TestStreamResumes(t *testing.T) {
	server := redistest.Start(t, "--appendonly", "no")
	a, m := newApp(t, server.Addr), newMemory()
	const n = 2000
	for i := range n {
		a.add("1", strconv.Itoa(i+1))
	}
	publishes := 0
	for round := range 6 {
		s := run(t, entries(server.Addr, "start 0"), Options{Publisher: m})
		m.set(func() {
			m.after = func(event.Batch) error {
				if publishes++; publishes%3 == 0 {
					return event.ErrUnavailable // although it was stored
				}
				return nil
			}
		})
		redistest.Until(t, "some are stored", func() bool { return len(m.bodies("1")) >= min(n, round*300) })
		s.end()
	}
	s := run(t, entries(server.Addr, "start 0"), Options{Publisher: m}).connected()
	m.has(t, "1", strconv.Itoa(n))
	s.end()
	if missing := checkNumbers(t, m.bodies("1"), n); missing > 0 || m.gaps() > 0 {
		t.Errorf("%d missing, %d gaps", missing, m.gaps())
	}
}

func TestStreamTrimmed(t *testing.T) {
	for _, c := range []struct {
		name string
		away func(a *app)
		want string
	}{
		{"nothing happened", func(a *app) {}, "1 2 9"},
		{"more was added", func(a *app) { a.add("1", "3") }, "1 2 3 9"},
		{"only what was read is trimmed", func(a *app) { a.add("1", "3"); a.do("XTRIM", "chat", "MAXLEN", "1") }, "1 2 3 9"},
		{"everything read is trimmed", func(a *app) { a.do("XTRIM", "chat", "MAXLEN", "0") }, "1 2 9"},
		{"an unread entry is trimmed", func(a *app) { a.add("1", "3"); a.add("1", "4"); a.do("XTRIM", "chat", "MAXLEN", "1") }, "1 2 gap 4 9"},
		{"all unread entries are trimmed", func(a *app) { a.add("1", "3"); a.do("XTRIM", "chat", "MAXLEN", "0") }, "1 2 gap 9"},
		{"an unread entry is deleted", func(a *app) {
			a.do("XADD", "chat", "9999999999999-0", "payload", "3", "room", "1")
			a.do("XADD", "chat", "9999999999999-1", "payload", "4", "room", "1")
			a.do("XDEL", "chat", "9999999999999-0")
		}, "1 2 gap 4 9"},
		{"the stream is deleted", func(a *app) { a.do("DEL", "chat") }, "1 2 gap 9"},
		{"the stream is another one", func(a *app) { a.do("DEL", "chat"); a.add("1", "3"); a.add("1", "4"); a.add("1", "5") }, "1 2 gap 3 4 5 9"},
		{"the stream begins again", func(a *app) {
			a.do("DEL", "chat")
			a.do("XADD", "chat", "1-1", "payload", "3", "room", "1")
		}, "1 2 gap 3 9"},
	} {
		t.Run(c.name, func(t *testing.T) {
			server := redistest.Start(t)
			a, m := newApp(t, server.Addr), newMemory()
			s := run(t, entries(server.Addr, "start 0"), Options{Publisher: m}).connected()
			a.add("1", "1")
			a.add("1", "2")
			m.waitFor(t, "1", "1", "2")
			redistest.Until(t, "the place is stored", func() bool { mark, _ := m.mark("redis/redis/chat"); return strings.Contains(mark, " 2") })
			s.end()
			c.away(a)
			s = run(t, entries(server.Addr, "start 0"), Options{Publisher: m})
			s.Interest("1", true)
			s.connected()
			redistest.Until(t, "what was away is read", func() bool {
				if m.gaps() > 0 {
					return true
				}
				mark, _ := m.mark("redis/redis/chat")
				last := server.CLI("EXISTS", "chat")
				if last == "1" {
					info := server.CLI("XINFO", "STREAM", "chat")
					lines := splitLines(info)
					for i, line := range lines {
						if line == "last-generated-id" {
							return strings.HasPrefix(mark, lines[i+1])
						}
					}
				}
				return strings.HasPrefix(mark, "0-0")
			})
			a.add("1", "9")
			m.waitFor(t, "1", strings.Fields(c.want)...)
			s.end()
		})
	}
}

// A reader that Redis trims under, and one that a stream is replaced under.
func TestStreamTrimmedWhileReading(t *testing.T) {
	server := redistest.Start(t, "--appendonly", "no")
	a, m := newApp(t, server.Addr), newMemory()
	s := run(t, entries(server.Addr, "start 0"), Options{Publisher: m}).connected()
	a.add("1", "1")
	m.waitFor(t, "1", "1")
	hold := make(chan struct{})
	m.set(func() { m.hold, m.held = hold, 0 })
	a.add("1", "2")
	redistest.Until(t, "the log is slow", func() bool { m.mu.Lock(); defer m.mu.Unlock(); return m.held > 0 })
	for n := 3; n <= 30; n++ {
		a.add("1", strconv.Itoa(n), "MAXLEN", "5")
	}
	m.set(func() { m.hold = nil })
	close(hold)
	m.has(t, "1", "30")
	if missing := checkNumbers(t, m.bodies("1"), 30); missing != 23 {
		t.Errorf("%d are missing: %q", missing, m.bodies("1"))
	}
	// Trimmed to one entry each, but read in time: nothing is missing.
	gaps := m.gaps()
	for n := 31; n <= 60; n++ {
		a.add("1", strconv.Itoa(n), "MAXLEN", "1")
		m.has(t, "1", strconv.Itoa(n))
	}
	if m.gaps() > gaps {
		t.Errorf("%d gaps although all was read", m.gaps()-gaps)
	}
	a.do("DEL", "chat")
	a.do("XADD", "chat", "1-1", "payload", "61", "room", "1")
	m.has(t, "1", "61")
	checkNumbers(t, m.bodies("1"), 61)
	if m.gaps() == gaps {
		t.Error("another stream came without a gap")
	}
	s.end()
}

func TestStreamServerFails(t *testing.T) {
	server := redistest.Start(t)
	a, m := newApp(t, server.Addr), newMemory()
	s := run(t, entries(server.Addr), Options{Publisher: m}).connected()
	a.add("1", "1")
	m.waitFor(t, "1", "1")
	server.Stop()
	redistest.Until(t, "the source notices", func() bool { return !s.Connected() })
	server.Cont()
	s.connected()
	server.Restart()
	b := newApp(t, server.Addr)
	b.add("1", "2")
	m.waitFor(t, "1", "1", "2")
	s.Interest("1", true)
	server.Kill()
	redistest.Until(t, "the source notices", func() bool { return !s.Connected() })
}

func TestStreamWithoutPayload(t *testing.T) {
	server := redistest.Start(t)
	a, m := newApp(t, server.Addr), newMemory()
	s := run(t, entries(server.Addr, "start 0", "max_body 10"), Options{Publisher: m}).connected()
	a.do("XADD", "chat", "*", "other", "1")
	a.add("1", "much too long to be read")
	a.add("1", "1")
	m.waitFor(t, "1", "1")
	if c := s.Stats(); c.Unmapped != 1 || c.Refused != 1 || c.Received != 3 {
		t.Errorf("%+v", c)
	}
}

// The members of a group share the entries; those of a dead one come to the
// others.
func TestStreamGroup(t *testing.T) {
	server := redistest.Start(t, "--appendonly", "no")
	a, m := newApp(t, server.Addr), newMemory()
	first := run(t, entries(server.Addr, "start 0", "group sidestream node1"), Options{Publisher: m}).connected()
	run(t, entries(server.Addr, "start 0", "group sidestream node2"), Options{Publisher: m}).connected()
	for n := range 300 {
		a.add("1", strconv.Itoa(n+1))
	}
	redistest.Until(t, "all are there", func() bool { return len(m.bodies("1")) == 300 })
	redistest.Until(t, "all are acknowledged", func() bool { return pendingEntries(server) == "0" })
	first.end()

	// A member that was given entries and died, long ago.
	a.add("1", "301")
	a.do("XREADGROUP", "GROUP", "sidestream", "dead", "STREAMS", "chat", ">")
	a.add("1", "302")
	m.has(t, "1", "302")
	if m.gaps() > 0 {
		t.Errorf("%d gaps", m.gaps())
	}
}

// pendingEntries is how many entries of the group are not acknowledged.
func pendingEntries(server *redistest.Server) string {
	return splitLines(server.CLI("XPENDING", "chat", "sidestream"))[0]
}

// Entries that were left for long are taken over; one that nobody could ever
// store is put aside, and one that is gone is told as a gap.
func TestStreamGroupClaims(t *testing.T) {
	server := redistest.Start(t)
	a, m := newApp(t, server.Addr), newMemory()
	a.do("XGROUP", "CREATE", "chat", "sidestream", "0", "MKSTREAM")
	for _, body := range []string{"left", "deadly", "gone"} {
		a.add("1", body)
	}
	a.do("XREADGROUP", "GROUP", "sidestream", "dead", "STREAMS", "chat", ">")
	ids := map[string]string{}
	for i, line := range splitLines(server.CLI("XRANGE", "chat", "-", "+")) {
		ids[[]string{"left", "deadly", "gone"}[i/5]] = strings.TrimSpace(ids[[]string{"left", "deadly", "gone"}[i/5]] + " " + line)
	}
	id := func(body string) string { return strings.Fields(ids[body])[0] }
	long := strconv.FormatInt((2 * claimIdle).Milliseconds(), 10)
	a.do("XCLAIM", "chat", "sidestream", "dead", "0", id("left"), id("gone"), "IDLE", long)
	a.do("XCLAIM", "chat", "sidestream", "dead", "0", id("deadly"), "IDLE", long, "RETRYCOUNT", "5")
	a.do("XDEL", "chat", id("gone"))
	s := run(t, entries(server.Addr, "group sidestream"), Options{Publisher: m})
	s.Interest("1", true)
	m.has(t, "1", "left")
	m.has(t, "1", "gap")
	redistest.Until(t, "nothing is pending", func() bool { return pendingEntries(server) == "0" })
	if dead := server.CLI("XRANGE", "chat:dead", "-", "+"); !strings.Contains(dead, "deadly") || !strings.Contains(dead, id("deadly")) {
		t.Errorf("the stream of the dead has %q", dead)
	}
	for _, body := range m.bodies("1") {
		if body == "deadly" {
			t.Error("the entry that was put aside is stored")
		}
	}
}

func TestStreamGroupTrimmed(t *testing.T) {
	server := redistest.Start(t)
	a, m := newApp(t, server.Addr), newMemory()
	s := run(t, entries(server.Addr, "start 0", "group sidestream"), Options{Publisher: m}).connected()
	a.add("1", "1")
	m.waitFor(t, "1", "1")
	s.end()
	a.add("1", "2")
	a.add("1", "3", "MAXLEN", "1")
	run(t, entries(server.Addr, "start 0", "group sidestream"), Options{Publisher: m}).connected()
	m.waitFor(t, "1", "1", "gap", "3")
	a.do("DEL", "chat")
	a.add("1", "4")
	m.waitFor(t, "1", "1", "gap", "3", "gap", "4")
}

func TestJudge(t *testing.T) {
	at := func(ms uint64, ordinal int64) progress { return progress{streamID{ms, 0}, ordinal} }
	id := func(ms uint64) streamID { return streamID{ms, 0} }
	for _, c := range []struct {
		name    string
		before  progress
		last    uint64
		read    int
		info    streamInfo
		present bool
		want    verdict
	}{
		{"nothing there yet", at(0, unknown), 0, 0, streamInfo{added: unknown}, false, verdict{false, at(0, unknown)}},
		{"no counts, still there", at(5, unknown), 7, 2, streamInfo{true, 3, id(7), unknown, streamID{}}, true, verdict{false, at(7, unknown)}},
		{"no counts, gone", at(5, unknown), 7, 2, streamInfo{true, 2, id(7), unknown, streamID{}}, false, verdict{true, at(7, unknown)}},
		{"counts that agree", at(5, 1), 7, 2, streamInfo{true, 1, id(7), 3, streamID{}}, false, verdict{false, at(7, 3)}},
		{"counts that do not", at(5, 1), 7, 2, streamInfo{true, 1, id(7), 4, streamID{}}, true, verdict{true, at(7, 4)}},
		{"more has come", at(5, 1), 7, 2, streamInfo{true, 9, id(9), 9, streamID{}}, true, verdict{false, at(7, 3)}},
		{"more has come, trimmed", at(5, 1), 7, 2, streamInfo{true, 7, id(9), 9, streamID{}}, false, verdict{true, at(7, unknown)}},
		{"more has come, another stream", at(5, 5), 7, 2, streamInfo{true, 7, id(9), 9, streamID{}}, false, verdict{true, at(7, unknown)}},
		{"an older entry was deleted", at(5, unknown), 7, 1, streamInfo{true, 7, id(9), unknown, id(4)}, true, verdict{false, at(7, unknown)}},
		{"a newer entry was deleted", at(5, unknown), 7, 1, streamInfo{true, 7, id(9), unknown, id(6)}, true, verdict{true, at(7, unknown)}},
		{"the stream is gone", at(5, 2), 5, 0, streamInfo{added: unknown}, false, verdict{true, at(0, unknown)}},
		{"the stream is older", at(5, 2), 5, 0, streamInfo{true, 1, id(3), 1, streamID{}}, false, verdict{true, at(0, unknown)}},
	} {
		if got := judge(c.before, id(c.last), c.read, c.info, c.present); got != c.want {
			t.Errorf("%s: %+v, want %+v", c.name, got, c.want)
		}
	}
}

func TestPlaces(t *testing.T) {
	for _, p := range []progress{{streamID{1, 2}, unknown}, {streamID{1 << 63, 1 << 63}, 7}, {streamID{}, 0}} {
		if got, ok := parseProgress(p.String()); !ok || got != p {
			t.Errorf("%v came back as %v", p, got)
		}
	}
	for _, s := range []string{"", "1", "1-", "-1", "1-1 ", "1-1 x", "1-1 -1", "begun"} {
		if p, ok := parseProgress(s); ok {
			t.Errorf("%q was read as %v", s, p)
		}
	}
	if claimIdle < 2*claimEvery || claimIdle != 30*time.Second {
		t.Error("entries would be taken from members that are at work")
	}
}
