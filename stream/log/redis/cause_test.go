//go:build unix

package redis

import (
	"strings"
	"testing"

	"github.com/seed-078801ba/sidestream/stream/redisconn"
	"github.com/seed-078801ba/sidestream/stream/redisconn/redistest"
)

// TestToldWhyNotConnected: a log that has no Redis says why, at the start and
// when the cause changes, each cause once, and again when it is lost later.
func TestToldWhyNotConnected(t *testing.T) {
	s := redistest.Start(t, "--requirepass", "another")
	s.Kill()
	n := newNode(t, Options{Address: redisconn.Address{Addrs: []string{s.Addr}, Password: "hunter2"}})
	told := func(causes ...string) {
		t.Helper()
		n.until("told of "+strings.Join(causes, ", "), func() bool {
			if len(n.causes) != len(causes) {
				return false
			}
			for i, want := range causes {
				if got := n.causes[i]; !strings.Contains(got, want) || !strings.Contains(got, s.Addr) || strings.Contains(got, "hunter2") {
					return false
				}
			}
			return true
		})
	}
	told("connection refused")
	if _, err := n.Trimmed("a"); err == nil || !strings.Contains(err.Error(), "connection refused") {
		t.Errorf("a call says %v", err)
	}
	s.Restart()
	told("connection refused", "WRONGPASS")
	s.CLI("CONFIG", "SET", "requirepass", "hunter2")
	n.untilConnected(true)
	s.Kill()
	n.untilConnected(false)
	n.until("told of the refusal", func() bool {
		return strings.Contains(n.causes[len(n.causes)-1], "connection refused")
	})
	if len(n.causes) > 2 {
		t.Errorf("one loss is told as %q", n.causes)
	}
}
