package redis

import (
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/seed-078801ba/sidestream/stream/redisconn/redistest"
)

// Two nodes with one log hear everything twice, and store it once, also what
// has no id; while one of them listens, nothing is missing.
func TestTwoNodesOneLog(t *testing.T) {
	server := redistest.Start(t, "--appendonly", "no")
	m := newMemory()
	o := Options{Publisher: m, SharedLog: "test"}
	first := run(t, rooms(server.Addr), o).connected()
	second := run(t, rooms(server.Addr), o).connected()
	all := []*running{first, second}
	a := newApp(t, server.Addr)
	n := 0
	publish := func(count int) {
		pace := time.NewTicker(500 * time.Microsecond)
		defer pace.Stop()
		for range count {
			<-pace.C
			n++
			a.publish("room:1", strconv.Itoa(n))
			a.publish("room:same", "same") // only its place tells it from the one before
		}
	}
	publish(500)
	// One after the other loses its connection, or its process.
	for i := range 6 {
		victim := []*running{first, second}[i%2]
		if i < 4 {
			before := first.Stats().Reconnects + second.Stats().Reconnects
			server.CLI("CLIENT", "KILL", "ID", subscriberOf(t, server, i%2))
			publish(300)
			redistest.Until(t, "it reconnects", func() bool {
				return first.Stats().Reconnects+second.Stats().Reconnects > before && first.Connected() && second.Connected()
			})
			continue
		}
		victim.end()
		publish(300)
		fresh := run(t, rooms(server.Addr), o).connected()
		all = append(all, fresh)
		if i%2 == 0 {
			first = fresh
		} else {
			second = fresh
		}
		publish(100)
	}
	a.publish("room:last", "last") // what was published before it has been heard
	m.has(t, "last", "last")
	first.end()
	second.end()
	if missing := checkNumbers(t, m.bodies("1"), n); missing > 0 {
		t.Errorf("%d are missing although one node always listened", missing)
	}
	if got := len(m.bodies("same")); got != n {
		t.Errorf("%d messages of one text are stored, %d were published", got, n)
	}
	if m.gaps() > 0 {
		t.Errorf("%d gaps were told although nothing was missing", m.gaps())
	}
	if t.Failed() {
		for i, r := range all {
			t.Logf("node %d:\n%s%+v", i, r.log, r.Stats())
		}
	}
}

// subscriberOf is the id of the connection that the i-th node listens with.
func subscriberOf(t *testing.T, server *redistest.Server, i int) string {
	t.Helper()
	var ids []string
	for _, field := range splitLines(server.CLI("CLIENT", "LIST", "TYPE", "pubsub")) {
		var id int
		if _, err := fmt.Sscanf(field, "id=%d", &id); err == nil {
			ids = append(ids, strconv.Itoa(id))
		}
	}
	if len(ids) != 2 {
		t.Fatalf("%d subscribers", len(ids))
	}
	return ids[i]
}

func splitLines(s string) (lines []string) {
	start := 0
	for i := 0; i <= len(s); i++ {
		if i == len(s) || s[i] == '\n' {
			lines = append(lines, s[start:i])
			start = i + 1
		}
	}
	return lines
}

// When no node was listening, the loss is told, and once.
func TestTwoNodesBothAway(t *testing.T) {
	server := redistest.Start(t)
	m := newMemory()
	o := Options{Publisher: m, SharedLog: "test"}
	first := run(t, rooms(server.Addr), o).connected()
	a := newApp(t, server.Addr)
	a.publish("room:1", "1")
	m.waitFor(t, "1", "1")
	first.end()
	a.publish("room:1", "2")
	first = run(t, rooms(server.Addr), o).connected()
	m.waitFor(t, "1", "1") // it knows of no channel yet
	second := run(t, rooms(server.Addr), o).connected()
	second.Interest("1", true) // it has the loss from the first
	m.waitFor(t, "1", "1", "gap")
	a.publish("room:1", "3")
	a.publish("room:2", "1")
	m.waitFor(t, "1", "1", "gap", "3")
	m.waitFor(t, "2", "gap", "1")
	redistest.Until(t, "both have stored", func() bool {
		return first.Stats().Duplicates+second.Stats().Duplicates >= 3 && first.Stats().Received == 2 && second.Stats().Received == 2
	})
	m.waitFor(t, "1", "1", "gap", "3")
	m.waitFor(t, "2", "gap", "1")
}

// Nodes with other rules, or another log, say nothing about what one misses.
func TestScopes(t *testing.T) {
	server := redistest.Start(t)
	m, other := newMemory(), newMemory()
	a := newApp(t, server.Addr)
	run(t, rooms(server.Addr), Options{Publisher: other, SharedLog: "other"}).connected()
	run(t, config(server.Addr, "psubscribe room:1*"), Options{Publisher: m, SharedLog: "test"}).connected()
	s := run(t, rooms(server.Addr), Options{Publisher: m, SharedLog: "test"}).connected()
	a.publish("room:1", "1")
	m.waitFor(t, "1", "1")
	s.end()
	run(t, rooms(server.Addr), Options{Publisher: m, SharedLog: "test"}).connected()
	a.publish("room:1", "2")
	m.waitFor(t, "1", "1", "gap", "2")
}

// checkHoles is checkNumbers for nodes that both were away within a second: then
// what only one of them has heard may come late, but behind a gap.
func checkHoles(t *testing.T, bodies []string, upto int) (missing, late int) {
	t.Helper()
	seen := map[int]bool{}
	last, gap := 0, false
	for _, b := range bodies {
		if b == "gap" {
			gap = true
			continue
		}
		n, err := strconv.Atoi(b)
		switch {
		case err != nil || seen[n]:
			t.Fatalf("%q is no number, or there twice", b)
		case n < last:
			late++
		case n > last+1 && !gap:
			t.Errorf("%d comes after %d without a gap", n, last)
		}
		seen[n], last, gap = true, max(n, last), gap && n < last
	}
	return upto - len(seen), late
}

// However both lose their subscriptions, nothing is stored twice, and nothing is
// missing without a gap.
func TestTwoNodesKilledTogether(t *testing.T) {
	server := redistest.Start(t, "--appendonly", "no")
	m := newMemory()
	o := Options{Publisher: m, SharedLog: "test"}
	first := run(t, rooms(server.Addr), o).connected()
	second := run(t, rooms(server.Addr), o).connected()
	a := newApp(t, server.Addr)
	pace := time.NewTicker(time.Millisecond)
	defer pace.Stop()
	kill := time.NewTicker(200 * time.Millisecond)
	defer kill.Stop()
	n := 0
	for kills := 0; kills < 20; {
		select {
		case <-kill.C:
			kills++
			if kills%3 == 0 {
				a.do("CLIENT", "KILL", "TYPE", "pubsub")
			} else if id := server.CLI("CLIENT", "LIST", "TYPE", "pubsub"); id != "" {
				_, _ = server.Try("CLIENT", "KILL", "ID", strings.TrimPrefix(strings.Fields(id)[0], "id="))
			}
		case <-pace.C:
			n++
			a.publish("room:1", strconv.Itoa(n))
			a.publish("room:same", "same")
		}
	}
	redistest.Until(t, "both are back", func() bool { return first.Connected() && second.Connected() })
	n++
	a.publish("room:1", strconv.Itoa(n))
	m.has(t, "1", strconv.Itoa(n))
	first.end()
	second.end()
	missing, late := checkHoles(t, m.bodies("1"), n)
	same := 0
	for _, body := range m.bodies("same") {
		if body == "same" {
			same++
		}
	}
	if same >= n {
		t.Errorf("%d messages of one text are stored, %d were published", same, n-1)
	}
	t.Logf("%d of %d missing, %d late, %d gaps, %d and %d reconnects", missing, n, late, m.gaps(), first.Stats().Reconnects, second.Stats().Reconnects)
}

// On a cluster, messages come from any of its servers, and streams move.
func TestRedisCluster(t *testing.T) {
	cluster := redistest.StartCluster(t, 3)
	m := newMemory()
	o := Options{Publisher: m, SharedLog: "test"}
	first := run(t, rooms(cluster.Nodes[0].Addr), o).connected()
	second := run(t, rooms(cluster.Nodes[1].Addr), o).connected()
	n := 0
	for _, node := range cluster.Nodes {
		a := newApp(t, node.Addr)
		for range 50 {
			n++
			a.publish("room:1", strconv.Itoa(n))
			m.has(t, "1", strconv.Itoa(n)) // or they overtake each other in the cluster
		}
	}
	first.end()
	second.end()
	if missing := checkNumbers(t, m.bodies("1"), n); missing > 0 || m.gaps() > 0 {
		t.Errorf("%d missing, %d gaps", missing, m.gaps())
	}

	owner := cluster.Owner("chat")
	newApp(t, cluster.Nodes[owner].Addr).add("stream", "1")
	s := run(t, entries(cluster.Nodes[0].Addr, "start 0"), Options{Publisher: m}).connected()
	m.waitFor(t, "stream", "1")
	to := (owner + 1) % 3
	cluster.Move("chat", to)
	newApp(t, cluster.Nodes[to].Addr).add("stream", "2")
	m.waitFor(t, "stream", "1", "2")
	s.end()
}

// After a failover, sentinels say where to listen, and a gap is told.
func TestRedisSentinel(t *testing.T) {
	group := redistest.StartSentinel(t)
	m := newMemory()
	cfg := rooms(group.Sentinels[0].Addr, "sentinel "+group.Name)
	s := run(t, cfg, Options{Publisher: m}).connected()
	newApp(t, group.Master.Addr).publish("room:1", "1")
	m.waitFor(t, "1", "1")
	group.Master.Kill()
	redistest.Until(t, "the source notices", func() bool { return !s.Connected() })
	group.UntilMaster(group.Replica)
	s.connected()
	newApp(t, group.Replica.Addr).publish("room:1", "2")
	m.waitFor(t, "1", "1", "gap", "2")
	s.end()
}
