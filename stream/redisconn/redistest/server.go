package redistest

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// patience is how long anything that a test waits for may take here.
const patience = time.Minute

// Server is one redis-server process. Its methods are safe for concurrent use
// and fail the test that started it.
type Server struct {
	// Addr is host:port; it stays the same over Restart.
	Addr string
	// Dir holds its files and its log, redis.log.
	Dir string

	t    testing.TB
	args []string
	auth string

	mu     sync.Mutex
	cmd    *exec.Cmd
	exited chan struct{} // closed when cmd has been waited for
}

// Start starts a redis-server with an append-only file that is synced at every
// write. More options of redis-server may follow, as on its command line and
// stronger than the defaults: Start(t, "--appendonly", "no"). It is ready when
// Start returns.
func Start(t testing.TB, args ...string) *Server {
	t.Helper()
	s := newServer(t, args...)
	s.start()
	return s
}

func newServer(t testing.TB, args ...string) *Server {
	t.Helper()
	s := &Server{t: t, Dir: t.TempDir(), Addr: net.JoinHostPort("127.0.0.1", FreePort(t))}
	_, port, _ := net.SplitHostPort(s.Addr)
	s.args = append([]string{
		"--bind", "127.0.0.1", "--port", port, "--dir", s.Dir, "--logfile", filepath.Join(s.Dir, "redis.log"),
		"--daemonize", "no", "--save", "", "--appendonly", "yes", "--appendfsync", "always",
		"--repl-diskless-sync", "yes", "--repl-diskless-sync-delay", "0", "--repl-ping-replica-period", "1",
		"--enable-debug-command", "local",
	}, args...)
	for i, arg := range args {
		if arg == "--requirepass" && i+1 < len(args) {
			s.auth = args[i+1]
		}
	}
	t.Cleanup(s.Kill)
	return s
}

// FreePort is a port of the loopback interface that nothing listens on now. It lies
// below those that the kernel gives to whoever asks for any: another test could have
// it before the server does.
func FreePort(t testing.TB) string {
	t.Helper()
	for range 100 {
		port := strconv.Itoa(12_000 + rand.IntN(20_000))
		if l, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", port)); err == nil {
			l.Close()
			return port
		}
	}
	t.Fatal("no free port was found")
	return ""
}

func (s *Server) start() {
	s.t.Helper()
	s.launch(exec.Command("redis-server", s.args...))
	s.ready()
}

func (s *Server) launch(cmd *exec.Cmd) {
	s.t.Helper()
	EndWithTest(cmd, syscall.SIGKILL)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := cmd.Start(); err != nil {
		s.t.Fatalf("starting %s: %v", cmd.Path, err)
	}
	exited := make(chan struct{})
	s.cmd, s.exited = cmd, exited
	go func() {
		cmd.Wait()
		close(exited)
	}()
}

// ready waits until the server answers and has loaded its files.
func (s *Server) ready() {
	s.t.Helper()
	s.mu.Lock()
	exited, pid := s.exited, "process_id:"+strconv.Itoa(s.cmd.Process.Pid)
	s.mu.Unlock()
	Until(s.t, "redis-server answers", func() bool {
		select {
		case <-exited:
			log, _ := os.ReadFile(filepath.Join(s.Dir, "redis.log"))
			s.t.Fatalf("redis-server ended:\n%s", log)
		default:
		}
		out, err := s.Try("INFO", "server")
		if err == nil && !strings.HasPrefix(out, "NOAUTH") && !strings.Contains(out, pid+"\r") {
			return false // the server of another test: ours will end
		}
		out, err = s.Try("PING")
		return err == nil && (out == "PONG" || strings.HasPrefix(out, "NOAUTH") || strings.HasPrefix(out, "MASTERDOWN"))
	})
}

// Kill ends the process as kill -9 does, also one that is stopped, and waits
// for its end.
func (s *Server) Kill() {
	s.mu.Lock()
	cmd, exited := s.cmd, s.exited
	s.mu.Unlock()
	if cmd == nil {
		return
	}
	cmd.Process.Kill()
	<-exited
}

// Restart kills the process, if it runs, and starts it again on the same
// address with the same files. It is ready when Restart returns.
func (s *Server) Restart() {
	s.t.Helper()
	s.Kill()
	s.start()
}

// CLI runs redis-cli with a command and gives its output without the last line
// break. An error that Redis answers fails the test.
func (s *Server) CLI(args ...string) string {
	s.t.Helper()
	out, err := s.Try(args...)
	if err != nil {
		s.t.Fatalf("redis-cli %s: %v: %s", args[0], err, out)
	}
	return out
}

// Try is CLI with the error given back instead.
func (s *Server) Try(args ...string) (string, error) {
	host, port, _ := net.SplitHostPort(s.Addr)
	cmd := exec.Command("timeout", append([]string{"-s", "KILL", "5", "redis-cli", "-e", "-h", host, "-p", port}, args...)...)
	EndWithTest(cmd, syscall.SIGKILL)
	cmd.Env = os.Environ()
	if s.auth != "" {
		cmd.Env = append(cmd.Env, "REDISCLI_AUTH="+s.auth)
	}
	out, err := cmd.CombinedOutput()
	text := strings.TrimSuffix(string(out), "\n")
	if err != nil {
		return text, fmt.Errorf("running redis-cli: %w", err)
	}
	return text, nil
}

// Until waits for a condition, looking again and again, and fails the test if
// it does not come true.
func Until(t testing.TB, what string, is func() bool) {
	t.Helper()
	until(t, what, 5*time.Millisecond, patience, is)
}

// until is Until that looks every so often, for so long.
func until(t testing.TB, what string, every, long time.Duration, is func() bool) {
	t.Helper()
	deadline := time.Now().Add(long)
	tick := time.NewTicker(every)
	defer tick.Stop()
	for !is() {
		if time.Now().After(deadline) {
			t.Fatalf("waited %v in vain: %s", long, what)
		}
		<-tick.C
	}
}
