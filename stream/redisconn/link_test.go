//go:build unix

package redisconn

import (
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/seed-078801ba/sidestream/stream/conn/certtest"
	"github.com/seed-078801ba/sidestream/stream/redisconn/redistest"
)

func TestMain(m *testing.M) {
	// rueidis ends it by itself, a second after it has asked the nodes of a cluster.
	goleak.VerifyTestMain(m, goleak.IgnoreAnyFunction("github.com/redis/rueidis.(*call).DelayDo.func1"))
}

const password = "hunter2"

// silent accepts connections and never says a word.
func silent(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var open sync.WaitGroup
	open.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			open.Go(func() {
				_, _ = io.Copy(io.Discard, c) // until the client has enough
				c.Close()
			})
		}
	})
	t.Cleanup(func() { l.Close(); open.Wait() })
	return l.Addr().String()
}

// TestCauseOfNoConnection: whatever keeps a Redis from being used is told in words
// that help, within the time that was set, in the same words each time, and
// without the password.
func TestCauseOfNoConnection(t *testing.T) {
	certificate := certtest.New(t)
	cert, key := certificate.Files()
	tlsPort := redistest.FreePort(t)
	plain := redistest.Start(t, "--requirepass", "another", "--tls-port", tlsPort, "--tls-cert-file", cert, "--tls-key-file", key,
		"--tls-ca-cert-file", cert, "--tls-auth-clients", "no").Addr
	sentinels := redistest.StartSentinel(t)
	for _, test := range []struct{ name, url, want string }{
		{"refused", "redis://:hunter2@127.0.0.1:" + redistest.FreePort(t), "connection refused"},
		{"unknown host", "redis://:hunter2@no-such-host.invalid", "the host \"no-such-host.invalid\""},
		{"wrong password", "redis://:hunter2@" + plain, "WRONGPASS"},
		{"user for a password", "redis://hunter2@" + plain, "a password alone is written"},
		{"no password", "redis://" + plain, "NOAUTH"},
		{"the server speaks no TLS", "rediss://:hunter2@" + plain, "write redis:// instead of rediss://"},
		{"the server speaks only TLS", "redis://:hunter2@127.0.0.1:" + tlsPort, "write rediss://"},
		{"a certificate of nobody", "rediss://:hunter2@127.0.0.1:" + tlsPort, "certificate"},
		{"silence", "redis://:hunter2@" + silent(t), "no answer in time"},
		{"silence to TLS", "rediss://:hunter2@" + silent(t), "no answer in time while agreeing on TLS"},
		{"no socket", "unix://:hunter2@/no/such/socket", "no such socket"},
		{"no such master", "redis+sentinel://:hunter2@" + strings.Join(sentinels.Addrs, ",") + "/nobody", "know no master \"nobody\""},
		{"sentinels away", "redis+sentinel://:hunter2@127.0.0.1:" + redistest.FreePort(t) + "/main?sentinel_password=hunter2", "connection refused"},
		{"nodes away", "redis+cluster://:hunter2@127.0.0.1:" + redistest.FreePort(t), "connection refused"},
		{"database", "redis://:another@" + plain + "/77", "DB index"},
	} {
		for _, detect := range []bool{false, true} {
			a, err := Parse(test.url)
			if err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
			timeout := 20 * time.Second                                                             // for an answer that comes
			if strings.HasPrefix(test.name, "silence") || test.name == "the server speaks no TLS" { // which waits for a line
				timeout = 300 * time.Millisecond
			}
			var said []string
			for range 2 {
				l, err := a.Connect(ctx, Tuning{Timeout: timeout, Detect: detect})
				if err == nil {
					l.Close()
					t.Fatalf("%s: connected", test.name)
				}
				var cause *Cause
				if !errors.As(err, &cause) || !strings.Contains(cause.Text, test.want) {
					t.Errorf("%s: %v, want %q", test.name, err, test.want)
				}
				if strings.Contains(err.Error(), password) || !strings.HasPrefix(err.Error(), a.String()+": ") {
					t.Errorf("%s: it is told as %q", test.name, err)
				}
				said = append(said, err.Error())
			}
			if said[0] != said[1] {
				t.Errorf("%s: the same cause is told as %q and %q", test.name, said[0], said[1])
			}
			if ctx.Err() != nil {
				t.Errorf("%s: it took minutes", test.name)
			}
			cancel()
		}
	}
}

// TestCauseOfLostConnection: a client that only knows that its connection is gone
// tells why there is no new one.
func TestCauseOfLostConnection(t *testing.T) {
	s := redistest.Start(t)
	a, err := Parse("redis://" + s.Addr)
	if err != nil {
		t.Fatal(err)
	}
	l, err := a.Connect(t.Context(), Tuning{})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	ping := func() error { return l.Client.Do(t.Context(), l.Client.B().Ping().Build()).Error() }
	if err := ping(); err != nil || l.Explain(err) != nil {
		t.Fatal(err)
	}
	s.Kill()
	redistest.Until(t, "the refusal is told", func() bool {
		err := ping()
		return err != nil && strings.Contains(l.Explain(err).Text, "connection refused")
	})
	s.Restart()
	redistest.Until(t, "it is connected again", func() bool { return ping() == nil })
}

// TestCutEndsCalls: a Redis that hangs keeps nobody who has had enough.
func TestCutEndsCalls(t *testing.T) {
	s := redistest.Start(t)
	a := Address{Addrs: []string{s.Addr}}
	l, err := a.Connect(t.Context(), Tuning{Call: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	s.Stop()
	ended := make(chan error, 1)
	go func() { ended <- l.Client.Do(context.Background(), l.Client.B().Ping().Build()).Error() }()
	l.Cut()
	if err := <-ended; err == nil {
		t.Error("a Redis that was stopped has answered")
	}
	l.Close()
	s.Cont()
}

func TestAddressIsShownWithoutSecrets(t *testing.T) {
	for url, want := range map[string]string{
		"redis://u:hunter2@h": "redis://h:6379", "rediss+sentinel://u:hunter2@a,b/main/3?sentinel_password=hunter2": "rediss+sentinel://a:26379,b:26379/main/3",
		"redis+cluster://:hunter2@a": "redis+cluster://a:6379", "unix://:hunter2@/run/redis": "unix:///run/redis",
	} {
		a, err := Parse(url)
		if err != nil || a.String() != want {
			t.Errorf("%s is shown as %s, %v", url, a, err)
		}
	}
}
