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
