package redis

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/seed-078801ba/sidestream/stream/event"
	"github.com/seed-078801ba/sidestream/stream/redisconn/redistest"
)

// What real libraries published, through a real PUBLISH, becomes these events.
func TestCaptures(t *testing.T) {
	server := redistest.Start(t)
	a := newApp(t, server.Addr)
	for _, c := range []struct {
		name  string
		lines []string
		want  []string
	}{
		{"actioncable", []string{"preset actioncable", "psubscribe campfire_production:*", "match ^campfire_production:chat:room_(?<channel>[0-9]+)$"},
			[]string{`5 12 "x<y" 2023-11-14T22:13:20Z`}},
		{"laravel", []string{"preset laravel", "psubscribe laravel_database_*", `match ^laravel_database_(?:private-rooms\.)?(?<channel>.+)$`},
			[]string{`5 3 "héllo / <b>" 2024-01-01T00:00:00Z`, `lobby 3 "héllo / <b>" 2024-01-01T00:00:00Z`}},
		{"socketio", []string{"preset socketio", "psubscribe socket.io#/*"}, []string{`room-5 1 "hi"`}},
		{"socketio rooms inside", []string{"format msgpack", "subscribe socket.io#/chat#", "each {json.2.rooms}", "map channel {item}", "map body {json.1.data.1.x}"},
			[]string{`a  "1"`, `b  "1"`}},
		{"socketio as JSON", []string{"format json", "subscribe socket.io#/#room-5#", "each {json.2.rooms}", "map channel {item}", "map id {json.1.data.1.id}", "map body {json.1.data.0}"},
			[]string{`room-5 1 "message"`}},
		{"django", []string{"format msgpack", "psubscribe asgi__group__*", "match ^asgi__group__room_(?<channel>.+)$", "map channel {match.channel}", "map id {json.id}", "map body {json.text}"},
			[]string{`5 1 "hi"`}},
		{"a turbo stream, by its GlobalID", []string{"format json", "psubscribe campfire_production:*:messages", "match ^campfire_production:(?<gid>[^:]+):messages$",
			"map channel {match.gid|base64url|last:/}", `map id {json|re:data-message-id="(\d+)"}`, "map body poke"}, []string{`1 7 "poke"`}},
		{"raw", []string{"subscribe campfire_production:user_3_unreads", "format json", "map channel {json.roomId}", "map body unread"}, []string{`1  "unread"`}},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := newMemory()
			s := run(t, config(server.Addr, c.lines...), Options{Publisher: m}).connected()
			for _, message := range captures(t) {
				a.publish(message.Channel, message.payload())
			}
			describe := func() (out []string) {
				m.mu.Lock()
				defer m.mu.Unlock()
				for _, e := range m.events {
					line := fmt.Sprintf("%s %s %q", e.Channel.Text, e.ID.Text, e.Body)
					if !e.Time.IsZero() {
						line += " " + e.Time.Format(time.RFC3339)
					}
					out = append(out, line)
				}
				return out
			}
			defer func() {
				if t.Failed() {
					t.Errorf("got %q, want %q", describe(), c.want)
				}
			}()
			redistest.Until(t, "the events", func() bool { return len(describe()) >= len(c.want) })
			s.end()
			if got := describe(); fmt.Sprint(got) != fmt.Sprint(c.want) {
				t.Errorf("not what it should be")
			}
		})
	}
}

// AnyCable's envelope is not among the captures.
func TestAnyCable(t *testing.T) {
	server := redistest.Start(t)
	m := newMemory()
	run(t, config(server.Addr, "preset anycable", "subscribe __anycable__"), Options{Publisher: m}).connected()
	newApp(t, server.Addr).publish("__anycable__", `[{"stream":"chat:1","data":"{\"id\":5,\"body\":\"hi\"}"},{"stream":"chat:2","data":"{\"body\":\"ho\"}"}]`)
	m.waitFor(t, "chat:1", "hi")
	m.waitFor(t, "chat:2", "ho")
}

// A channel may be heard by several subscriptions, and counts once; the same
// text twice is two messages.
func TestEachMessageOnce(t *testing.T) {
	server := redistest.Start(t)
	m := newMemory()
	run(t, config(server.Addr, "subscribe room:1 room:1", "psubscribe room:* *:1 r?om:[0-9] room:2"), Options{Publisher: m}).connected()
	a := newApp(t, server.Addr)
	for range 2 {
		a.publish("room:1", "same")
		a.publish("room:2", "same")
	}
	a.publish("room:1", "last")
	a.publish("room:2", "last")
	m.waitFor(t, "room:1", "same", "same", "last")
	m.waitFor(t, "room:2", "same", "same", "last")
}

// checkNumbers fails unless the numbers of a channel rise, each is there at most
// once, and a gap stands wherever one is missing.
func checkNumbers(t *testing.T, bodies []string, upto int) (missing int) {
	t.Helper()
	last, gap := 0, false
	for _, b := range append(bodies, strconv.Itoa(upto+1)) {
		if b == "gap" {
			gap = true
			continue
		}
		n, err := strconv.Atoi(b)
		switch {
		case err != nil:
			t.Fatalf("%q is no number", b)
		case n <= last:
			t.Errorf("%d comes after %d", n, last)
		case n > last+1 && !gap && n <= upto:
			t.Errorf("%d comes after %d without a gap", n, last)
		}
		missing += n - last - 1
		last, gap = n, false
	}
	return missing
}

// However often Redis cuts the subscription, what is lost is told.
func TestKilledSubscriptions(t *testing.T) {
	server := redistest.Start(t, "--appendonly", "no")
	m := newMemory()
	s := run(t, rooms(server.Addr), Options{Publisher: m}).connected()
	a := newApp(t, server.Addr)
	kill := time.NewTicker(200 * time.Millisecond)
	defer kill.Stop()
	n, lost := 0, 0
	pace := time.NewTicker(time.Millisecond)
	defer pace.Stop()
	for kills := 0; kills < 15; {
		select {
		case <-kill.C:
			a.do("CLIENT", "KILL", "TYPE", "pubsub")
			kills++
		case <-pace.C:
			n++
			if a.publish("room:1", strconv.Itoa(n)) == 0 {
				lost++
			}
		}
	}
	s.connected()
	redistest.Until(t, "somebody listens", func() bool { return a.publish("room:2", "x") > 0 })
	n++
	a.publish("room:1", strconv.Itoa(n))
	m.has(t, "1", strconv.Itoa(n))
	missing := checkNumbers(t, m.bodies("1"), n)
	if missing < lost || s.Stats().Reconnects < 10 {
		t.Errorf("%d messages are missing, nobody heard %d; %d reconnects", missing, lost, s.Stats().Reconnects)
	}
	t.Logf("%d of %d messages missing, %d gaps, %d reconnects", missing, n, m.gaps(), s.Stats().Reconnects)
}

func TestServerRestarts(t *testing.T) {
	server := redistest.Start(t)
	m := newMemory()
	s := run(t, rooms(server.Addr), Options{Publisher: m}).connected()
	s.Interest("silent", true)
	newApp(t, server.Addr).publish("room:1", "1")
	m.waitFor(t, "1", "1")
	server.Kill()
	redistest.Until(t, "the source notices", func() bool { return !s.Connected() })
	server.Restart()
	s.connected()
	m.waitFor(t, "1", "1", "gap")
	m.waitFor(t, "silent", "gap")
	a := newApp(t, server.Addr)
	a.publish("room:1", "2")
	a.publish("room:new", "3") // of which nobody has heard: it may have lost something too
	m.waitFor(t, "1", "1", "gap", "2")
	m.waitFor(t, "new", "gap", "3")
	// One line for each cause: a server that ends closes the connection, and then
	// refuses new ones.
	causes := regexp.MustCompile(`level=WARN .* error="([^"]*)"`).FindAllStringSubmatch(s.log.String(), -1)
	told := map[string]bool{}
	for _, cause := range causes {
		told[cause[1]] = true
	}
	if len(causes) == 0 || len(told) != len(causes) {
		t.Errorf("%d warnings of %d causes:\n%s", len(causes), len(told), s.log)
	}
}

// A server that hangs keeps its connections open; only the probe tells.
func TestServerHangs(t *testing.T) {
	server := redistest.Start(t)
	m := newMemory()
	s := run(t, rooms(server.Addr), Options{Publisher: m}).connected()
	newApp(t, server.Addr).publish("room:1", "1")
	m.waitFor(t, "1", "1")
	server.Stop()
	redistest.Until(t, "the source notices", func() bool { return !s.Connected() })
	server.Cont()
	s.connected()
	m.has(t, "1", "gap")
	newApp(t, server.Addr).publish("room:1", "2")
	m.has(t, "1", "2")
	checkNumbers(t, m.bodies("1"), 2)
	server.Stop()
	redistest.Until(t, "the source notices again", func() bool { return !s.Connected() })
	s.end() // must not wait for Redis
	server.Cont()
}

// The order of starting does not matter.
func TestServerAbsentAtStart(t *testing.T) {
	server := redistest.Start(t)
	server.Kill()
	m := newMemory()
	s := run(t, rooms(server.Addr), Options{Publisher: m})
	s.Interest("1", true)
	redistest.Until(t, "some attempts", func() bool { return s.Stats().Reconnects > 3 })
	if n := strings.Count(s.log.String(), "\n"); n != 1 {
		t.Errorf("%d lines in the log, want 1:\n%s", n, s.log)
	}
	if s.Connected() {
		t.Error("connected to nothing")
	}
	server.Restart()
	s.connected()
	m.waitFor(t, "1", "gap")
	newApp(t, server.Addr).publish("room:1", "1")
	m.waitFor(t, "1", "gap", "1")
}

// A second run of the process was not there for a while; the first ever has
// missed nothing.
func TestProcessRestarts(t *testing.T) {
	server := redistest.Start(t)
	m := newMemory()
	a := newApp(t, server.Addr)
	s := run(t, rooms(server.Addr), Options{Publisher: m}).connected()
	a.publish("room:1", "1")
	m.waitFor(t, "1", "1")
	s.end()
	a.publish("room:1", "2")
	s = run(t, rooms(server.Addr), Options{Publisher: m}).connected()
	a.publish("room:1", "3")
	m.waitFor(t, "1", "1", "gap", "3")
	s.Interest("1", true) // was told
	s.Interest("2", true)
	m.waitFor(t, "2", "gap")
	a.publish("room:2", "1")
	a.publish("room:1", "4")
	m.waitFor(t, "2", "gap", "1")
	m.waitFor(t, "1", "1", "gap", "3", "4")
}

// A log that takes nothing makes the queue overflow; Redis is read all the
// same, and the loss is told in its place.
func TestQueueOverflows(t *testing.T) {
	server := redistest.Start(t)
	m := newMemory()
	s := run(t, rooms(server.Addr, "queue 20 1MiB"), Options{Publisher: m}).connected()
	a := newApp(t, server.Addr)
	a.publish("room:1", "1")
	m.waitFor(t, "1", "1")
	hold := make(chan struct{})
	m.set(func() { m.hold, m.held = hold, 0 })
	a.publish("room:1", "2")
	redistest.Until(t, "the log is slow", func() bool { m.mu.Lock(); defer m.mu.Unlock(); return m.held > 0 })
	for n := 3; n <= 100; n++ {
		a.publish("room:1", strconv.Itoa(n))
	}
	redistest.Until(t, "all were heard", func() bool { return s.Stats().Received == 100 })
	m.set(func() { m.hold = nil })
	close(hold)
	m.has(t, "1", "gap")
	a.publish("room:1", "101")
	m.has(t, "1", "101")
	bodies := m.bodies("1")
	if missing := checkNumbers(t, bodies, 101); missing != 78 || bodies[22] != "gap" || s.Stats().Lost != 78 {
		t.Errorf("%d are missing, %d known to be lost: %q", missing, s.Stats().Lost, bodies)
	}
	if !s.Connected() || s.Stats().Reconnects > 0 {
		t.Error("the subscription suffered")
	}
}

// What the log refuses is tried again, and stored once even if the outcome was
// unknown; when the queue is full, the oldest gives way.
func TestLogFails(t *testing.T) {
	server := redistest.Start(t)
	m := newMemory()
	s := run(t, rooms(server.Addr, "queue 5"), Options{Publisher: m}).connected()
	a := newApp(t, server.Addr)
	failures := 2
	m.set(func() {
		m.after = func(event.Batch) error {
			if failures--; failures >= 0 {
				return errors.New("the answer is lost")
			}
			return nil
		}
	})
	a.publish("room:1", "1")
	m.waitFor(t, "1", "1")
	redistest.Until(t, "it is stored", func() bool { return s.Stats().Duplicates == 1 })
	m.set(func() { m.fail = event.ErrUnavailable })
	for n := 2; n <= 50; n++ {
		a.publish("room:1", strconv.Itoa(n))
	}
	redistest.Until(t, "all were heard", func() bool { return s.Stats().Received == 50 })
	m.set(func() { m.fail = nil })
	m.has(t, "1", "gap")
	a.publish("room:1", "51")
	m.has(t, "1", "51")
	if missing := checkNumbers(t, m.bodies("1"), 51); missing == 0 || uint64(missing) != s.Stats().Lost {
		t.Errorf("%d are missing, %d known to be lost", missing, s.Stats().Lost)
	}
	m.waitFor(t, "1", m.bodies("1")...)
}

func TestHubCloses(t *testing.T) {
	server := redistest.Start(t)
	m := newMemory()
	s := run(t, rooms(server.Addr), Options{Publisher: m}).connected()
	m.set(func() { m.fail = event.ErrClosed })
	newApp(t, server.Addr).publish("room:1", "1")
	if err := <-s.done; !errors.Is(err, event.ErrClosed) {
		t.Errorf("Run: %v", err)
	}
	s.done = nil
	s.stop()
	if err := s.Run(context.Background()); !errors.Is(err, ErrRunning) {
		t.Errorf("a second Run: %v", err)
	}
}

// What was heard is stored when the source ends.
func TestEndStoresWhatWasHeard(t *testing.T) {
	server := redistest.Start(t)
	m := newMemory()
	s := run(t, rooms(server.Addr), Options{Publisher: m}).connected()
	a := newApp(t, server.Addr)
	for n := 1; n <= 3000; n++ {
		a.publish("room:1", strconv.Itoa(n))
	}
	redistest.Until(t, "all were heard", func() bool { return s.Stats().Received == 3000 })
	s.end()
	if n := checkNumbers(t, m.bodies("1"), 3000); n > 0 {
		t.Errorf("%d are missing", n)
	}
}
