package e2e

import (
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/seed-078801ba/sidestream/stream/redisconn/redistest"
)

// underLoad has clients go from node to node and publishers post to any node
// while something happens. Nobody may notice: nothing is lost, doubled or out
// of order, and no gap is told.
func underLoad(t *testing.T, nodes []*server, happen func()) {
	t.Helper()
	front, channels := balance(t, nodes), names(6)
	c := newCrowd(t)
	c.speak(front, 12, atRate(120), channels)
	c.audience(front, 24, channels)
	c.begin()
	<-time.After(500 * time.Millisecond)
	happen()
	<-time.After(500 * time.Millisecond)
	n := count(c.judge(front, nodes, channels))
	t.Log(n)
	if n.acked < atRate(100) || n.resumed < atRate(20) || n.messages < atRate(500) {
		t.Error("too little happened")
	}
	for reason, times := range n.gaps {
		t.Errorf("%d gaps were told (%s)", times, reason)
	}
}

// every does something so many times.
func every(pause time.Duration, times int, do func()) {
	for range times {
		do()
		<-time.After(pause)
	}
}

func TestRedisFaultsThatNobodyNotices(t *testing.T) {
	for _, fault := range []struct {
		name   string
		happen func(nodes []*server, redis *redistest.Server)
	}{
		{"nodes are killed", func(nodes []*server, _ *redistest.Server) {
			for _, node := range nodes[:2] {
				node.stop(syscall.SIGKILL)
				<-time.After(300 * time.Millisecond)
				node.begin()
				node.awaitHealth(http.StatusOK)
			}
		}},
		{"connections to Redis are cut", func(_ []*server, redis *redistest.Server) {
			every(200*time.Millisecond, 10, func() { redis.CLI("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes") })
		}},
		{"Redis is killed", func(nodes []*server, redis *redistest.Server) {
			every(500*time.Millisecond, 3, redis.Restart)
			for _, node := range nodes {
				node.awaitHealth(http.StatusOK)
			}
		}},
		{"Redis forgets the scripts", func(_ []*server, redis *redistest.Server) {
			every(100*time.Millisecond, 15, func() { redis.CLI("SCRIPT", "FLUSH") })
		}},
	} {
		t.Run(fault.name, func(t *testing.T) {
			redis := redistest.Start(t)
			nodes := startNodes(t, 3, sharedSite("redis://"+redis.Addr, ""))
			underLoad(t, nodes, func() { fault.happen(nodes, redis) })
		})
	}
}

// In a Redis Cluster all of a hub is in one slot, which may move to another of
// its servers.
func TestRedisCluster(t *testing.T) {
	cluster := redistest.StartCluster(t, 3)
	nodes := startNodes(t, 2, sharedSite("redis+cluster://"+strings.Join(cluster.Addrs, ","), ""))
	const key = "sidestream:{default}:head"
	underLoad(t, nodes, func() {
		every(500*time.Millisecond, 3, func() { cluster.Move(key, (cluster.Owner(key)+1)%3) })
	})
}
