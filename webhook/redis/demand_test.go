package redis

import (
	"fmt"
	"strings"
	"testing"

	"github.com/seed-078801ba/sidestream/stream/redisconn/redistest"
)

func subscribers(s *redistest.Server, channel string) string {
	return s.CLI("PUBSUB", "NUMSUB", channel)
}

// On demand, only channels that somebody listens to are subscribed to.
func TestOnDemand(t *testing.T) {
	server := redistest.Start(t)
	a := newApp(t, server.Addr)
	m := newMemory()
	s := run(t, config(server.Addr, "subscribe chat:room_{channel} {channel}:{channel}", "on_demand"), Options{Publisher: m}).connected()
	a.publish("chat:room_1", "lost on nobody")
	<-s.Interest("1", true)
	if n := a.publish("chat:room_1", "1"); n != 1 {
		t.Errorf("%d listen to a channel that is ready", n)
	}
	m.waitFor(t, "1", "1")
	redistest.Until(t, "the other too", func() bool { return a.publish("1:1", "2") == 1 })
	m.waitFor(t, "1", "1", "2")
	if a.publish("chat:room_2", "x") != 0 || a.publish("1:2", "x") != 0 {
		t.Error("somebody listens to what nobody wanted")
	}
	// A later channel may have lost something while nobody wanted it.
	s.Interest("2", true)
	redistest.Until(t, "it is subscribed to", func() bool { return a.publish("chat:room_2", "1") == 1 })
	m.waitFor(t, "2", "gap", "1")

	// A new subscription has both, and tells both.
	server.CLI("CLIENT", "KILL", "TYPE", "pubsub")
	redistest.Until(t, "it is back", func() bool { return s.Stats().Reconnects > 0 && s.Connected() })
	m.waitFor(t, "1", "1", "2", "gap")
	m.waitFor(t, "2", "gap", "1", "gap")
	redistest.Until(t, "it is subscribed to", func() bool { return a.publish("chat:room_2", "2") == 1 })
	m.waitFor(t, "2", "gap", "1", "gap", "2")

	// One that nobody wants any more goes after a while; here, at once.
	s.Interest("2", false)
	s.mu.Lock()
	w := s.wants["2"]
	w.since = w.since.Add(-2 * linger)
	s.wants["2"] = w
	s.mu.Unlock()
	redistest.Until(t, "it is not subscribed to any more", func() bool { return strings.HasSuffix(subscribers(server, "chat:room_2"), "\n0") })
	s.Interest("2", true)
	redistest.Until(t, "it is subscribed to", func() bool { return a.publish("chat:room_2", "3") == 1 })
	m.waitFor(t, "2", "gap", "1", "gap", "2", "gap", "3")
}

// Names with every character that means something to Redis are names.
func TestOddNames(t *testing.T) {
	server := redistest.Start(t)
	a := newApp(t, server.Addr)
	m := newMemory()
	names := []string{"*", "{x}", "a:b", "[a-z]", "?", `\*`, "channel", "{channel", "ü", "a b", "sidestream:probe"}
	s := run(t, config(server.Addr, "subscribe chat:{channel}", "on_demand"), Options{Publisher: m}).connected()
	everything := run(t, rooms(server.Addr, "probe_channel other"), Options{Publisher: m}).connected()
	for i, name := range names {
		s.Interest(name, true)
		redistest.Until(t, "it is subscribed to", func() bool { return a.publish("chat:"+name, "1") == 1 })
		m.has(t, name, "1")
		if i > 0 {
			if a.publish("chat:unknown", "x") != 0 {
				t.Fatalf("after %q, somebody listens to everything", name)
			}
		}
	}
	for _, name := range append(names[:len(names):len(names)], "a\nb") {
		a.publish("room:"+name, "2")
	}
	for _, name := range names {
		m.has(t, name, "2")
	}
	redistest.Until(t, "the line break is refused", func() bool { return everything.Stats().Unmapped == 1 })
	// No name of a template's channel is that of the probes.
	own := run(t, config(server.Addr, "subscribe sidestream:{channel}", "on_demand"), Options{Publisher: m})
	own.Interest("probe", true)
	own.connected()
	own.Interest("x", true)
	redistest.Until(t, "it is subscribed to", func() bool { return a.publish("sidestream:x", "1") == 1 })
	m.has(t, "x", "1")
	for _, body := range m.bodies("probe") {
		if body != "gap" {
			t.Errorf("a probe became an event: %q", body)
		}
	}
}

// Once a channel is ready, nothing of it is missed, and no gap comes that is not
// there yet; also where several nodes count together.
func TestOnDemandReady(t *testing.T) {
	for _, shared := range []string{"", "test"} {
		server := redistest.Start(t, "--appendonly", "no")
		a := newApp(t, server.Addr)
		m := newMemory()
		s := run(t, config(server.Addr, "subscribe chat:{channel}", "on_demand"), Options{Publisher: m, SharedLog: shared})
		early := s.Interest("early", true)
		<-early
		a.publish("chat:early", "1")
		m.waitFor(t, "early", "1")
		for i := range 50 {
			name := fmt.Sprint(i)
			<-s.Interest(name, true)
			before := fmt.Sprint(m.bodies(name))
			a.publish("chat:"+name, "1")
			if before != "[gap]" {
				t.Fatalf("%q: %s when it was ready", name, before)
			}
			m.waitFor(t, name, "gap", "1")
		}
		if s.Interest("1", false) != (<-chan struct{})(always) {
			t.Error("the end of an interest is to be waited for")
		}
		s.end()
	}
}
