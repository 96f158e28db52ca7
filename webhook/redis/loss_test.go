package redis

import (
	"fmt"
	"testing"

	"github.com/seed-078801ba/sidestream/stream/redisconn/redistest"
)

// A source says that it is connected only when the log has the gaps for the time
// before: a stream that opens then is told nothing untrue.
func TestConnectedWhenGapsAreTold(t *testing.T) {
	server := redistest.Start(t)
	server.Kill()
	hold := make(chan struct{})
	m := newMemory()
	m.hold = hold
	s := run(t, rooms(server.Addr), Options{Publisher: m})
	s.Interest("1", true)
	redistest.Until(t, "an attempt has failed", func() bool { return s.Stats().Reconnects > 0 })
	server.Restart()
	redistest.Until(t, "the gap is on its way", func() bool {
		m.mu.Lock()
		defer m.mu.Unlock()
		return m.held > 0
	})
	a := newApp(t, server.Addr)
	redistest.Until(t, "messages are heard", func() bool {
		a.publish("room:1", "x")
		return s.Stats().Waiting > 3
	})
	if s.Connected() {
		t.Error("connected before the gap was told")
	}
	close(hold)
	s.connected()
	if got := m.bodies("1"); len(got) == 0 || got[0] != "gap" {
		t.Errorf("connected: %q", got)
	}
}

// After a loss, a channel that nobody knew is told of it before the first stream
// begins there, not after.
func TestUnknownChannelIsToldFirst(t *testing.T) {
	t.Run("publish", func(t *testing.T) {
		server := redistest.Start(t)
		m := newMemory()
		s := run(t, rooms(server.Addr), Options{Publisher: m}).connected()
		if <-s.Interest("before", true); m.gaps() > 0 {
			t.Errorf("%d gaps without a loss", m.gaps())
		}
		server.CLI("CLIENT", "KILL", "TYPE", "pubsub")
		redistest.Until(t, "it is back", func() bool { return s.Stats().Reconnects > 0 && s.Connected() })
		m.waitFor(t, "before", "gap")
		toldFirst(t, s, m)
	})
	t.Run("stream", func(t *testing.T) {
		server := redistest.Start(t)
		m := newMemory()
		a := newApp(t, server.Addr)
		a.add("1", "1")
		first := run(t, entries(server.Addr, "start 0"), Options{Publisher: m}).connected()
		m.waitFor(t, "1", "1")
		first.end()
		a.add("1", "2")
		a.do("XTRIM", "chat", "MAXLEN", "0")
		a.add("1", "3")
		s := run(t, entries(server.Addr, "start 0"), Options{Publisher: m}).connected()
		m.waitFor(t, "1", "1", "gap", "3")
		toldFirst(t, s, m)
	})
}

func toldFirst(t *testing.T, s *running, m *memory) {
	t.Helper()
	for i := range 5 {
		name := fmt.Sprint("new ", i)
		<-s.Interest(name, true)
		if got := m.bodies(name); fmt.Sprint(got) != "[gap]" {
			t.Errorf("%s: %q when its stream begins", name, got)
		}
	}
}

// A stream that opens before the first session has begun waits until the log has the
// gap for the time before: so its head can say what it will be told.
func TestStreamsWaitForTheFirstSession(t *testing.T) {
	server := redistest.Start(t)
	server.Kill()
	m := newMemory()
	s := run(t, rooms(server.Addr), Options{Publisher: m, Mark: func(string) (string, error) { return "begun", nil }})
	ready := s.Interest("1", true)
	redistest.Until(t, "an attempt has failed", func() bool { return s.Stats().Reconnects > 0 })
	select {
	case <-ready:
		t.Error("ready before anything was heard")
	default:
	}
	server.Restart()
	<-ready
	if got := m.bodies("1"); fmt.Sprint(got) != "[gap]" {
		t.Errorf("ready with %q in the log", got)
	}
}
