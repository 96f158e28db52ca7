package e2e

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/seed-078801ba/sidestream/cmd/sidestream/e2e/contract"
	"github.com/seed-078801ba/sidestream/stream/redisconn/redistest"
)

// outage is how long Redis is out of reach: longer than every deadline.
const outage = 7 * time.Second

// Redis does not answer, or one node does not reach it: that node says so,
// acknowledges nothing and ends no stream, and goes on by itself.
func TestRedisOutOfReach(t *testing.T) {
	for _, fault := range []struct {
		name       string
		begin, end func(way *pipe, redis *redistest.Server)
		lonely     bool // only the first node notices
	}{
		{
			name:  "Redis hangs",
			begin: func(_ *pipe, redis *redistest.Server) { redis.Stop() },
			end:   func(_ *pipe, redis *redistest.Server) { redis.Cont() },
		},
		{
			name:  "Redis is full",
			begin: func(_ *pipe, redis *redistest.Server) { redis.CLI("CONFIG", "SET", "maxmemory", "1mb") },
			end:   func(_ *pipe, redis *redistest.Server) { redis.CLI("CONFIG", "SET", "maxmemory", "0") },
		},
		{
			name:   "a node is cut off",
			begin:  func(way *pipe, _ *redistest.Server) { way.cut() },
			end:    func(way *pipe, _ *redistest.Server) { way.mend() },
			lonely: true,
		},
	} {
		t.Run(fault.name, func(t *testing.T) {
			redis := redistest.Start(t)
			way := newPipe(t, redis.Addr)
			nodes := []*server{
				start(t, sharedSite("redis://"+way.address(), "")),
				start(t, sharedSite("redis://"+redis.Addr, "")),
			}
			out := nodes
			if fault.lonely {
				out = nodes[:1]
			}
			for _, node := range nodes {
				node.awaitHealth(http.StatusOK)
			}
			front, channels := balance(t, nodes), names(4)
			c := newCrowd(t)
			c.speak(front, 8, atRate(40), channels)
			c.audience(front, 12, channels)
			c.begin()
			open := []*rawStream{
				nodes[0].open("/room/room-1/live.json"), nodes[0].open("/flows?filter=room-1", "Accept: text/event-stream"),
				nodes[1].open("/flows?filter=room-1"),
			}
			<-time.After(500 * time.Millisecond)
			over := time.After(outage)
			fault.begin(way, redis)
			for i, node := range out {
				p := &speaker{rec: c.rec, url: node.url + "/hook", client: c.client}
				begun := time.Now()
				if p.attempt(contract.Event{Channel: "room-1", ID: fmt.Sprint("out-of-reach-", i)}) {
					t.Error("a publish was acknowledged")
				}
				if took := time.Since(begun); took > c.client.Timeout*3/4 {
					t.Errorf("a publish was answered after %v", took)
				}
				node.awaitHealth(http.StatusServiceUnavailable)
				eventually(t, "who comes back is refused", func() bool {
					r := node.open("/room/room-1/live.json?since_message_id=x")
					r.conn.Close()
					return r.status == http.StatusServiceUnavailable && r.header.Get("Retry-After") != ""
				})
			}
			if fault.lonely {
				p := &speaker{rec: c.rec, url: nodes[1].url + "/hook", client: c.client}
				if !p.attempt(contract.Event{Channel: "room-1", ID: "elsewhere"}) {
					t.Error("the other node does not take a publish")
				}
			}
			<-over
			fault.end(way, redis)
			for _, node := range nodes {
				node.awaitHealth(http.StatusOK)
			}
			p := &speaker{rec: c.rec, url: front.url + "/hook", client: c.client}
			p.deliver(contract.Event{Channel: "room-1", ID: "reached-again"})
			for _, st := range open {
				st.until("reached-again")
			}
			n := count(c.judge(front, nodes, channels))
			t.Log(n)
			for reason, times := range n.gaps {
				t.Errorf("%d gaps were told (%s)", times, reason)
			}
		})
	}
}

// The order of starting does not matter.
func TestRedisAbsentAtStart(t *testing.T) {
	redis := redistest.Start(t)
	redis.Kill()
	site := sharedSite("redis://"+redis.Addr, chatSources(redis.Addr))
	nodes := []*server{start(t, site), start(t, site)}
	for _, node := range nodes {
		if status := node.health(); status != http.StatusServiceUnavailable {
			t.Errorf("health: %d", status)
		}
		if r := node.hook("1", "early", "early"); r == nil || r.StatusCode != http.StatusServiceUnavailable || r.Header.Get("Retry-After") == "" {
			t.Errorf("a publish: %v", r)
		}
		if st := node.open(campfireStream); st.status != http.StatusServiceUnavailable || st.header.Get("Retry-After") == "" {
			t.Errorf("a stream: %d %v", st.status, st.header)
		}
		if st := node.open(sseStream); st.status != http.StatusOK || !strings.HasPrefix(st.body(), "retry: ") {
			t.Errorf("server-sent events: %d", st.status)
		}
	}
	redis.Restart()
	for _, node := range nodes {
		node.awaitHealth(http.StatusOK)
	}
	st := nodes[1].open(campfireStream)
	nodes[0].say("1", "1", "now it works")
	if c := st.next(); !strings.Contains(c, "now it works") {
		t.Errorf("got %q", c)
	}
	text := nodes[0].errOut.tail(1 << 20)
	if n := strings.Count(text, "out of reach") + strings.Count(text, "not listening to Redis"); n > 10 {
		t.Errorf("it is logged %d times that Redis is not there", n)
	}
}
