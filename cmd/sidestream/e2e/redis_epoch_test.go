package e2e

import (
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/seed-078801ba/sidestream/cmd/sidestream/e2e/contract"
	"github.com/seed-078801ba/sidestream/stream/redisconn/redistest"
)

// Redis loses what it had acknowledged: everybody is told, and nobody gets old
// and new mixed up.
func TestRedisLosesEvents(t *testing.T) {
	for _, loss := range []struct {
		name  string
		redis func(t *testing.T) (address string, lose func())
	}{
		{"FLUSHALL", func(t *testing.T) (string, func()) {
			redis := redistest.Start(t)
			return "redis://" + redis.Addr, func() {
				every(700*time.Millisecond, 3, func() { redis.CLI("FLUSHALL") })
			}
		}},
		{"failover to a replica that lags", func(t *testing.T) (string, func()) {
			s := redistest.StartSentinel(t)
			return "redis+sentinel://" + strings.Join(s.Addrs, ",") + "/" + s.Name, func() {
				s.Lag()
				<-time.After(700 * time.Millisecond)
				s.Master.Kill()
				s.Replica.Cont()
				s.UntilMaster(s.Replica)
			}
		}},
	} {
		t.Run(loss.name, func(t *testing.T) {
			address, lose := loss.redis(t)
			nodes := startNodes(t, 2, sharedSite(address, ""))
			front, channels := balance(t, nodes), names(6)
			c := newCrowd(t)
			c.speak(front, 12, atRate(120), channels)
			c.audience(front, 24, channels)
			c.begin()
			open := []*rawStream{
				nodes[0].open("/flows?filter=room-1", "Accept: text/event-stream"),
				nodes[1].open("/flows?filter=room-1", "Accept: text/event-stream"),
			}
			legacy := nodes[0].open("/room/room-1/live.json")
			<-time.After(500 * time.Millisecond)
			lose()
			for _, node := range nodes {
				node.awaitHealth(http.StatusOK)
			}
			for _, st := range open {
				if all := st.until("epoch-changed"); !strings.Contains(all[len(all)-1], "event: gap") {
					t.Errorf("a stream got %q", all[len(all)-1])
				}
			}
			if rest, err := legacy.rest(); err == nil || strings.Contains(rest, "StreamGap") {
				t.Errorf("a client that knows no gaps was told of one: %v", err)
			}
			<-time.After(500 * time.Millisecond)
			h := c.judge(front, nodes, channels)
			n := count(h)
			t.Log(n)
			for reason := range n.gaps {
				// Who comes back with the id of a message that is gone.
				if reason != "epoch-changed" && reason != "trimmed" {
					t.Errorf("gaps: %v", n.gaps)
				}
			}
			if n.gaps["epoch-changed"] < 8 || n.acked < atRate(100) {
				t.Errorf("gaps: %v", n.gaps)
			}
			if epochs := epochsOf(h); len(epochs) < 2 {
				t.Errorf("there was one epoch only: %v", epochs)
			}
		})
	}
}

func epochsOf(h contract.History) []string {
	var list []string
	for _, a := range h.Attempts {
		if epoch, _, ok := strings.Cut(a.Position, "."); ok && !slices.Contains(list, epoch) {
			list = append(list, epoch)
		}
	}
	return list
}
