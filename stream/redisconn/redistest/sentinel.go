package redistest

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// Sentinel is a master with one replica, watched by three sentinels.
type Sentinel struct {
	// Name is the name of the master for the sentinels.
	Name string
	// Addrs are the addresses of the sentinels.
	Addrs []string
	// Master and Replica are what the servers were at first.
	Master, Replica *Server
	Sentinels       []*Server

	t testing.TB
}

// StartSentinel starts them. Sentinels take a master for dead after half a
// second. Options are those of Start, for master and replica.
func StartSentinel(t testing.TB, args ...string) *Sentinel {
	t.Helper()
	s := &Sentinel{Name: "mymaster", Master: Start(t, args...), t: t}
	host, port, _ := net.SplitHostPort(s.Master.Addr)
	s.Replica = Start(t, append([]string{"--replicaof", host + " " + port}, args...)...)
	Until(t, "the replica follows", func() bool {
		return strings.Contains(s.Replica.CLI("INFO", "replication"), "master_link_status:up")
	})
	for range 3 {
		s.Sentinels = append(s.Sentinels, s.startSentinel(host, port))
	}
	for _, sentinel := range s.Sentinels {
		s.Addrs = append(s.Addrs, sentinel.Addr)
		Until(t, "the sentinels know each other", func() bool {
			info := sentinel.CLI("INFO", "sentinel")
			return strings.Contains(info, "slaves=1") && strings.Contains(info, "sentinels=3")
		})
	}
	return s
}

func (s *Sentinel) startSentinel(host, port string) *Server {
	s.t.Helper()
	dir := s.t.TempDir()
	sentinel := &Server{t: s.t, Dir: dir, Addr: net.JoinHostPort("127.0.0.1", FreePort(s.t))}
	_, own, _ := net.SplitHostPort(sentinel.Addr)
	path := filepath.Join(dir, "sentinel.conf")
	conf := fmt.Sprintf(`port %s
bind 127.0.0.1
dir %q
logfile %q
sentinel monitor %[4]s %[5]s %[6]s 2
sentinel down-after-milliseconds %[4]s 500
sentinel failover-timeout %[4]s 2000
`, own, dir, filepath.Join(dir, "redis.log"), s.Name, host, port)
	if err := os.WriteFile(path, []byte(conf), 0o600); err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(sentinel.Kill)
	sentinel.launch(exec.Command("redis-server", path, "--sentinel"))
	sentinel.ready()
	return sentinel
}

// Lag stops the replica, with nothing on its way to it: what the master takes
// from then on, the replica does not have when it goes on.
func (s *Sentinel) Lag() {
	s.t.Helper()
	s.Replica.Stop()
	n, err := strconv.Atoi(s.Master.CLI("CLIENT", "KILL", "TYPE", "replica"))
	if err != nil || n != 1 {
		s.t.Fatalf("%d links of replicas were cut, %v", n, err)
	}
}

// UntilMaster waits until all sentinels take a server for the master, and it
// does so itself. A sentinel that the machine kept from running does nothing for half
// a minute (its tilt mode), maybe more than once; and each look starts processes.
func (s *Sentinel) UntilMaster(master *Server) {
	s.t.Helper()
	_, port, _ := net.SplitHostPort(master.Addr)
	defer func() {
		if s.t.Failed() { // what the sentinels thought
			for _, sentinel := range s.Sentinels {
				log, _ := os.ReadFile(filepath.Join(sentinel.Dir, "redis.log"))
				s.t.Logf("%s: %s", sentinel.Addr, log[max(0, len(log)-4000):])
			}
		}
	}()
	until(s.t, "there is a new master", 100*time.Millisecond, 2*patience, func() bool {
		for _, sentinel := range s.Sentinels {
			out, err := sentinel.Try("SENTINEL", "GET-MASTER-ADDR-BY-NAME", s.Name)
			if err != nil || !strings.HasSuffix(out, "\n"+port) {
				return false
			}
		}
		out, err := master.Try("ROLE")
		return err == nil && strings.HasPrefix(out, "master")
	})
}
