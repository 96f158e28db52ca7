package caddymodule

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/seed-078801ba/sidestream/stream/conn"
)

// TestHTTP2 serves the same over a connection that cannot be taken over.
func TestHTTP2(t *testing.T) {
	s := newSite(t)
	s.servers = "protocols h1 h2c"
	s.load(strings.Replace(basics, "auth GET /room/{channel}.json", "auth GET /room/{channel}.json {\n recheck 1s\n}", 1))
	s.app.allow("tok", "1")
	transport := s.client.Transport.(*http.Transport)
	transport.DisableKeepAlives = false
	transport.Protocols = new(http.Protocols)
	transport.Protocols.SetUnencryptedHTTP2(true)
	stream := s.open("/room/1/live.json", asBasic)
	if stream.ProtoMajor != 2 || stream.Header.Get("Connection") != "" {
		t.Fatalf("HTTP/%d, %v", stream.ProtoMajor, stream.Header)
	}
	s.post("1", "1", "hello")
	readUntil(t, stream, "hello")
	if resp := s.get("/room/1%2f..%2f2/live.json", asBasic); resp.StatusCode != http.StatusBadRequest {
		t.Errorf("a crooked path: %d", resp.StatusCode)
	}
	s.app.forbid("tok", "1")
	readToEnd(t, stream)
}

// TestHTTP2HeadersFitASmallMap counts the headers of a stream. The server keeps
// them twice while the stream is open, and up to eight fit into the smallest of
// Go's maps; one more costs 800 bytes.
func TestHTTP2HeadersFitASmallMap(t *testing.T) {
	s := newSite(t)
	s.servers = "protocols h1 h2c"
	s.load(basics)
	s.app.allow("tok", "1")
	transport := s.client.Transport.(*http.Transport)
	transport.Protocols = new(http.Protocols)
	transport.Protocols.SetUnencryptedHTTP2(true)
	h := s.open("/room/1/live.json", asBasic).Header
	h.Del("Date")                   // is not kept
	h.Set("Alt-Svc", "as over TLS") // where HTTP/3 is offered, as by default
	if len(h) > 8 || h["Server"] == nil {
		t.Errorf("%d headers: %v", len(h), h)
	}
}

func TestHTTP10(t *testing.T) {
	s := newSite(t)
	s.load(basics)
	s.app.allow("tok", "1")
	resp := s.raw("GET /room/1/live.json HTTP/1.0\r\nHost: chat.test\r\n" + asBasic + "\r\n\r\n")
	if resp.StatusCode != http.StatusOK || len(resp.TransferEncoding) != 0 {
		t.Errorf("status %d, transfer encoding %q", resp.StatusCode, resp.TransferEncoding)
	}
	s.post("1", "1", "hello")
	if got := readUntil(t, resp, "\r"); strings.Contains(got, "\r\n") {
		t.Errorf("the stream said %q", got)
	}
}

// A client over HTTP/2 that is too slow does not take what it got for all: where the
// last message is torn, the stream is reset.
func TestTornStreamOverHTTP2IsReset(t *testing.T) {
	taken := make(chan struct{})
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(http.StatusOK)
		responder := conn.NewResponder(flusher{innermost(w)})
		if _, err := responder.Write([][]byte{make([]byte, 64<<20)}); err != nil {
			t.Error(err)
		}
		go func() {
			<-taken
			responder.Close()
		}()
		responder.Serve(r.Context())
	}))
	server.EnableHTTP2 = true
	server.StartTLS()
	defer server.Close()
	resp, err := server.Client().Get(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.ProtoMajor != 2 {
		t.Fatal(resp.Proto)
	}
	if _, err := resp.Body.Read(make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
	close(taken)
	if n, err := io.Copy(io.Discard, resp.Body); err == nil {
		t.Errorf("it ended like a whole one after %d bytes", n)
	}
}
