package redistest

import (
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestServer(t *testing.T) {
	s := Start(t)
	s.CLI("SET", "a", "1")
	s.Restart()
	if got := s.CLI("GET", "a"); got != "1" {
		t.Errorf("after a kill and a start: %q", got)
	}
	s.Stop()
	if out, err := s.Try("PING"); err == nil {
		t.Errorf("a stopped server answers %q", out)
	}
	s.Cont()
	if got := s.CLI("PING"); got != "PONG" {
		t.Errorf("continued: %q", got)
	}
	if out, err := s.Try("NOSUCH"); err == nil {
		t.Errorf("an error is no error: %q", out)
	}
	s.Kill()
	if out, err := s.Try("PING"); err == nil {
		t.Errorf("a killed server answers %q", out)
	}
}

func TestOptions(t *testing.T) {
	s := Start(t, "--requirepass", "secret", "--appendonly", "no")
	if got := s.CLI("CONFIG", "GET", "appendonly"); got != "appendonly\nno" {
		t.Errorf("got %q", got)
	}
}

func TestCluster(t *testing.T) {
	c := StartCluster(t, 3)
	owner := c.Owner("a")
	c.Nodes[owner].CLI("SET", "a", "1")
	to := (owner + 1) % 3
	c.Move("a", to)
	if got := c.Owner("a"); got != to {
		t.Errorf("node %d has the key, not %d", got, to)
	}
	if got := c.Nodes[to].CLI("GET", "a"); got != "1" {
		t.Errorf("moved: %q", got)
	}
	if out, err := c.Nodes[owner].Try("GET", "a"); err == nil {
		t.Errorf("its first owner says %q", out)
	}
}

func TestSentinel(t *testing.T) {
	s := StartSentinel(t)
	s.Master.CLI("SET", "a", "1")
	s.Master.CLI("WAIT", "1", "0")
	s.Lag()
	s.Master.CLI("SET", "a", "2")
	s.Master.Kill()
	s.Replica.Cont()
	s.UntilMaster(s.Replica)
	if got := s.Replica.CLI("GET", "a"); got != "1" {
		t.Errorf("the lagging replica has %q", got)
	}
}
