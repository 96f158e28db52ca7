package redis

import (
	"strings"
	"testing"

	"github.com/seed-078801ba/sidestream/stream/conn/certtest"
	"github.com/seed-078801ba/sidestream/stream/redisconn/redistest"
)

func TestTLS(t *testing.T) {
	certificate := certtest.New(t)
	cert, key := certificate.Files()
	port := redistest.FreePort(t)
	server := redistest.Start(t, "--tls-port", port, "--tls-cert-file", cert, "--tls-key-file", key, "--tls-ca-cert-file", cert, "--tls-auth-clients", "no")
	cfg := rooms("")
	cfg.URL = "rediss://127.0.0.1:" + port
	m := newMemory()
	run(t, cfg, Options{Publisher: m, TLS: certificate.Client()}).connected()
	newApp(t, server.Addr).publish("room:1", "1")
	m.waitFor(t, "1", "1")

	stranger := run(t, cfg, Options{Publisher: newMemory()})
	redistest.Until(t, "the certificate is refused", func() bool { return strings.Contains(stranger.log.String(), "certificate") })
	if stranger.Connected() {
		t.Error("connected to a server of nobody knows whom")
	}
}

// TestCauseIsLogged: why a source does not listen stands in the log, with the
// address and without the password: at once, and again when the cause changes.
func TestCauseIsLogged(t *testing.T) {
	server := redistest.Start(t, "--requirepass", "another")
	server.Kill()
	cfg := rooms("")
	cfg.URL = "redis://:hunter2@" + server.Addr
	s := run(t, cfg, Options{Publisher: newMemory()})
	wait := func(text string) {
		t.Helper()
		redistest.Until(t, "the log says "+text, func() bool { return strings.Contains(s.log.String(), text) })
	}
	wait("connection refused")
	server.Restart()
	wait("WRONGPASS")
	s.end()
	text := s.log.String()
	if strings.Contains(text, "hunter2") || strings.Count(text, "\n") != 2 || !strings.Contains(text, "redis=redis://"+server.Addr) {
		t.Errorf("the log says\n%s", text)
	}
}

// TestNoTLSIsTold: a server that does not answer TLS keeps a source for a bounded
// time, and the log says what is wrong.
func TestNoTLSIsTold(t *testing.T) {
	server := redistest.Start(t)
	cfg := rooms("")
	cfg.URL = "rediss://" + server.Addr
	s := run(t, cfg, Options{Publisher: newMemory()})
	redistest.Until(t, "the log says what is wrong", func() bool { return strings.Contains(s.log.String(), "write redis:// instead of rediss://") })
}
