package caddymodule

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/seed-078801ba/sidestream/stream"
	"github.com/seed-078801ba/sidestream/stream/format"
	"github.com/seed-078801ba/sidestream/stream/log"
	"github.com/seed-078801ba/sidestream/stream/log/memory"
)

// What a client sends together with its request goes to whoever owns the
// connection then.
func TestWhatIsSentBehindTheRequest(t *testing.T) {
	hub, err := stream.Open("test", memory.New(log.Retention{}, time.Now), stream.Config{Drain: time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	defer hub.Close(t.Context())
	spec := &stream.Spec{Format: format.SSE{}, Heartbeat: time.Hour}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, err := attach(w, r, hub, stream.Opening{
			Spec: spec, Standing: true,
			Input: func(s *stream.Stream, piece []byte) { s.Send([]byte("heard " + string(piece) + "\n")) },
		}, func(*stream.Stream) {})
		if err != nil {
			t.Error(err)
		}
	}))
	defer server.Close()
	client, err := net.Dial("tcp", server.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	client.SetDeadline(time.Now().Add(20 * time.Second))
	if _, err := io.WriteString(client, "GET / HTTP/1.1\r\nHost: a\r\n\r\nand this"); err != nil {
		t.Fatal(err)
	}
	r := bufio.NewReader(client)
	until := func(word string) {
		t.Helper()
		for {
			line, err := r.ReadString('\n')
			if err != nil {
				t.Fatalf("waiting for %q: %v", word, err)
			}
			if strings.Contains(line, word) {
				return
			}
		}
	}
	until("heard and this")
	io.WriteString(client, "and that")
	until("heard and that")
}
