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

// TestSharedSecret: all that share a log learn the same secret; another hub has
// another one, and so has a log that was lost.
func TestSharedSecret(t *testing.T) {
	s := redistest.Start(t)
	at := redisconn.Address{Addrs: []string{s.Addr}}
	a, b, other := newNode(t, Options{Address: at}), newNode(t, Options{Address: at}), newNode(t, Options{Address: at, Hub: "other"})
	secret := func(n *node) string { return string(n.Secret()) }
	redistest.Until(t, "all know a secret", func() bool { return len(secret(a)) == 64 && len(secret(b)) == 64 && len(secret(other)) == 64 })
	was := secret(a)
	if was != secret(b) || was == secret(other) {
		t.Errorf("the secrets are %.6s, %.6s and, of another hub, %.6s", was, secret(b), secret(other))
	}
	s.CLI("FLUSHALL")
	redistest.Until(t, "there is another secret", func() bool { return secret(a) != was && secret(a) == secret(b) })
}
