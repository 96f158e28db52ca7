package e2e

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// server is the command with a Caddyfile. It keeps its port and its data over
// restarts.
type server struct {
	*process
	t      *testing.T
	folder string
	port   string
	url    string // http://127.0.0.1:port
	// tlsPort is that of the same site under TLS, where there is one.
	tlsPort string
}

// start runs the command with a site made of directives.
func start(t *testing.T, directives string) *server {
	t.Helper()
	s := &server{t: t, folder: t.TempDir(), port: freePort(t)}
	s.url = "http://127.0.0.1:" + s.port
	s.write(directives)
	s.begin()
	return s
}

// write makes the Caddyfile of the directives.
func (s *server) write(directives string) {
	s.t.Helper()
	text := fmt.Sprintf(`{
	admin unix/%s/admin.sock
	persist_config off
	grace_period 5s
	skip_install_trust
}
http://:%s {
	bind 127.0.0.1
	%s
}
`, s.folder, s.port, strings.TrimSpace(directives))
	if err := os.WriteFile(s.caddyfile(), []byte(text), 0o600); err != nil {
		s.t.Fatal(err)
	}
}

func (s *server) caddyfile() string { return filepath.Join(s.folder, "Caddyfile") }

// env keeps what Caddy stores within the test's folder.
func (s *server) env() []string {
	return []string{"HOME=" + s.folder, "XDG_DATA_HOME=" + s.folder + "/data", "XDG_CONFIG_HOME=" + s.folder + "/config"}
}

// begin starts the process and waits until it answers.
func (s *server) begin() {
	s.t.Helper()
	s.process = run(s.t, s.env(), s.folder, command(s.t), "run", "--config", s.caddyfile(), "--adapter", "caddyfile")
	s.awaitListening(s.port)
}

// awaitListening waits until the process takes connections on the port.
func (p *process) awaitListening(port string) {
	p.t.Helper()
	eventually(p.t, "listening on port "+port, func() bool {
		select {
		case <-p.exited:
			p.t.Fatalf("%s ended: %v", p.name, p.err)
		default:
		}
		c, err := net.Dial("tcp", "127.0.0.1:"+port)
		if err != nil {
			return false
		}
		c.Close()
		return true
	})
}

// restart ends the process with a signal, and starts it again.
func (s *server) restart(signal syscall.Signal) {
	s.t.Helper()
	s.stop(signal)
	s.begin()
}

// reload makes the running process take the Caddyfile of the directives.
func (s *server) reload(directives string) {
	s.t.Helper()
	if err := s.tryReload(directives); err != nil {
		s.t.Fatalf("reload: %v", err)
	}
}

func (s *server) tryReload(directives string) error {
	s.t.Helper()
	s.write(directives)
	p := run(s.t, s.env(), s.folder, command(s.t), "reload", "--config", s.caddyfile(), "--adapter", "caddyfile")
	<-p.exited
	if p.err != nil {
		return fmt.Errorf("%w: %s", p.err, p.errOut.tail(4000))
	}
	return nil
}
