package caddymodule

import (
	"bufio"
	"crypto/tls"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/websocket"

	"github.com/seed-078801ba/sidestream/caddymodule/endpoint"
	"github.com/seed-078801ba/sidestream/stream"
	"github.com/seed-078801ba/sidestream/stream/conn"
	"github.com/seed-078801ba/sidestream/stream/format"
	"github.com/seed-078801ba/sidestream/stream/log"
	"github.com/seed-078801ba/sidestream/stream/log/memory"
)

// upgrader is a handler that makes WebSockets whose messages are answered.
func upgrader(t *testing.T) (http.Handler, chan stream.Closed) {
	hub, err := stream.Open("test", memory.New(log.Retention{}, time.Now), stream.Config{Drain: time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { hub.Close(t.Context()) })
	server := &endpoint.Server{Logger: slog.New(slog.DiscardHandler), UpgradeTo: to(hub, upgrade)}
	spec := &stream.Spec{Format: format.SSE{}, Heartbeat: time.Hour}
	messages := &stream.Messages{Limit: 100, PerSecond: 10}
	closed := make(chan stream.Closed, 10)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !endpoint.WantsWebSocket(r) {
			http.Error(w, "no WebSocket", http.StatusTeapot)
			return
		}
		_, re := server.Upgrade(w, r, stream.Opening{
			Spec: spec, Standing: true, OnClose: func(c stream.Closed) { closed <- c },
			Input: messages.Input(func(s *stream.Stream, text []byte) { s.Send([]byte("heard " + string(text))) }),
		}, func(*stream.Stream) {})
		if re != nil {
			http.Error(w, re.Message, re.Status)
		}
	}), closed
}

func TestUpgrade(t *testing.T) {
	for name, start := range map[string]func(http.Handler) *httptest.Server{"clear": httptest.NewServer, "TLS": httptest.NewTLSServer} {
		t.Run(name, func(t *testing.T) {
			handler, closed := upgrader(t)
			server := start(handler)
			defer server.Close()
			config, err := websocket.NewConfig("ws"+strings.TrimPrefix(server.URL, "http"), "http://elsewhere.example")
			if err != nil {
				t.Fatal(err)
			}
			config.TlsConfig = &tls.Config{InsecureSkipVerify: true}
			ws, err := config.DialContext(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			ws.SetDeadline(time.Now().Add(20 * time.Second))
			if err := websocket.Message.Send(ws, "hello"); err != nil {
				t.Fatal(err)
			}
			for got := ""; got != "heard hello"; {
				if err := websocket.Message.Receive(ws, &got); err != nil {
					t.Fatal(err)
				}
			}
			ws.WriteClose(1000)
			if err := websocket.Message.Receive(ws, new(string)); err != io.EOF {
				t.Errorf("at the end: %v", err)
			}
			ws.Close()
			want := map[string]conn.Kind{"clear": conn.Epoll, "TLS": conn.TLS}[name]
			if c := <-closed; c.Reason != stream.ClientLeft || c.Kind != want {
				t.Errorf("ended as %+v", c)
			}
		})
	}
}

func TestBadHandshakes(t *testing.T) {
	handler, _ := upgrader(t)
	server := httptest.NewServer(handler)
	defer server.Close()
	const good = "Host: a\r\nUpgrade: websocket\r\nConnection: keep-alive, Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
	for name, test := range map[string]struct {
		line, head string
		status     int
	}{
		"good":             {"GET / HTTP/1.1", good, 101},
		"other spelling":   {"GET / HTTP/1.1", strings.NewReplacer("websocket", "WebSocket", "keep-alive, Upgrade", "UPGRADE").Replace(good), 101},
		"POST":             {"POST / HTTP/1.1", good, 418},
		"no upgrade":       {"GET / HTTP/1.1", strings.Replace(good, "Upgrade: websocket", "Upgrade: h2c", 1), 418},
		"no connection":    {"GET / HTTP/1.1", strings.Replace(good, "keep-alive, Upgrade", "keep-alive", 1), 418},
		"older version":    {"GET / HTTP/1.1", strings.Replace(good, "Version: 13", "Version: 8", 1), 426},
		"no key":           {"GET / HTTP/1.1", strings.Replace(good, "Sec-WebSocket-Key", "X-Key", 1), 400},
		"short key":        {"GET / HTTP/1.1", strings.Replace(good, "dGhlIHNhbXBsZSBub25jZQ==", "dGhlIHNhbXBs", 1), 400},
		"key is no base64": {"GET / HTTP/1.1", strings.Replace(good, "dGhl", "****", 1), 400},
		"a body":           {"GET / HTTP/1.1", good + "Content-Length: 3\r\n", 400},
		"two keys":         {"GET / HTTP/1.1", good + "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n", 400},
	} {
		c, err := net.Dial("tcp", server.Listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		c.SetDeadline(time.Now().Add(20 * time.Second))
		io.WriteString(c, test.line+"\r\n"+test.head+"\r\nabc")
		answer, err := http.ReadResponse(bufio.NewReader(c), nil)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if answer.StatusCode != test.status {
			t.Errorf("%s: %s", name, answer.Status)
		}
		// The key and its answer are those of RFC 6455, 1.3.
		if h := answer.Header; answer.StatusCode == 101 && (h.Get("Sec-Websocket-Accept") != "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=" ||
			h.Get("Upgrade") != "websocket" || h.Get("Connection") != "Upgrade" || h.Get("Sec-Websocket-Protocol")+h.Get("Sec-Websocket-Extensions") != "") {
			t.Errorf("%s: %v", name, h)
		}
		if answer.StatusCode == 426 && answer.Header.Get("Sec-Websocket-Version") != "13" {
			t.Errorf("%s: %v", name, answer.Header)
		}
		c.Close()
	}
}
