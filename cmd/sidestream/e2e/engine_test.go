package e2e

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// The delivery engine as clients meet it: through Caddy's whole chain, over
// real sockets.

// openSite lets everybody post and listen, with what is in extra.
func openSite(extra string) string {
	return `log {
		output file access.log
	}
	encode gzip zstd
	sidestream {
		webhook /hook {
			verify none
			map channel {json.channel}
			map id {json.id}
			map body {json.body}
		}
		auth none
		health /health
		` + extra + `
	}
	reverse_proxy 127.0.0.1:9
	# `
}

// say posts a message and returns when it is acknowledged.
func (s *server) say(channel, id, body string) {
	s.t.Helper()
	if err := s.tryToSay(channel, id, body); err != nil {
		s.t.Fatal(err)
	}
}

func (s *server) tryToSay(channel, id, body string) error {
	r, err := http.Post(s.url+"/hook", "application/json",
		strings.NewReader(fmt.Sprintf(`{"channel":%q,"id":%q,"body":%q}`, channel, id, body)))
	if err != nil {
		return err
	}
	defer r.Body.Close()
	if r.StatusCode != http.StatusOK && r.StatusCode != http.StatusAccepted {
		return fmt.Errorf("webhook answered %s", r.Status)
	}
	return nil
}

const (
	campfireStream = "/room/1/live.json"
	sseStream      = "/flows?filter=1&accept=text/event-stream"
	jsonStream     = "/flows?filter=1"
)

// Compression for the whole site leaves streams alone, head and chunks; the
// access log has them.
func TestThroughTheWholeChain(t *testing.T) {
	s := start(t, openSite(""))
	for _, target := range []string{campfireStream, sseStream, jsonStream} {
		st := s.open(target, "Accept-Encoding: gzip, zstd, br", "User-Agent: test")
		if st.status != 200 || st.header.Get("Content-Encoding") != "" || st.header.Get("Transfer-Encoding") != "chunked" {
			t.Fatalf("%s: %d %v", target, st.status, st.header)
		}
		if c, err := st.chunk(); err != nil || (strings.Trim(c, " \n:") != "" && !isBookmark(c)) {
			t.Errorf("%s: the first chunk is %q, %v", target, c, err)
		}
		s.say("1", target, "hello "+target)
		if c := st.next(); !strings.Contains(c, "hello "+target) {
			t.Errorf("%s: got %q", target, c)
		}
		eventually(t, "the access log's line", func() bool {
			b, _ := os.ReadFile(filepath.Join(s.folder, "access.log"))
			path, _, _ := strings.Cut(target, "?")
			return strings.Contains(string(b), path) && strings.Contains(string(b), `"status":200`)
		})
	}
}

// What a client sends behind its request, at once or later, disturbs nothing.
func TestStrayBytes(t *testing.T) {
	s := start(t, openSite(""))
	conn, err := net.Dial("tcp", "127.0.0.1:"+s.port)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(patience))
	io.WriteString(conn, "GET "+campfireStream+" HTTP/1.1\r\nHost: x\r\n\r\n\r\n") // a CRLF too many, as Yajl::HttpStream has it
	st := readHead(t, conn)
	for i := range 3 {
		io.WriteString(conn, "\r\n")
		s.say("1", fmt.Sprint(i), fmt.Sprintf("message %d", i))
		if c := st.next(); !strings.Contains(c, fmt.Sprintf("message %d", i)) {
			t.Fatalf("got %q", c)
		}
	}
}

// A client that closes, or half of it, is forgotten: its count goes down.
func TestVanishedClientsAreForgotten(t *testing.T) {
	s := start(t, openSite("limits {\n\tstreams 2\n}"))
	for range 5 { // each time, the two before must have been forgotten
		var a, b *rawStream
		eventually(t, "room for two streams", func() bool {
			a, b = s.open(campfireStream), s.open(jsonStream)
			if a.status == http.StatusOK && b.status == http.StatusOK {
				return true
			}
			a.conn.Close()
			b.conn.Close()
			return false
		})
		over := s.open(campfireStream)
		if over.status != http.StatusServiceUnavailable || over.header.Get("Retry-After") == "" {
			t.Fatalf("over the limit: %d %v", over.status, over.header)
		}
		a.conn.Close()
		b.conn.(*net.TCPConn).CloseWrite()
	}
}

// A client that reads nothing is cut off; its neighbour gets every message, each
// in a chunk of its own, and the slow one can fetch what it missed.
func TestSlowReader(t *testing.T) {
	s := start(t, openSite("lag 128KiB 5s\nhistory {\nstore memory\nper_channel 5000\n}"))
	slow := s.open(sseStream)
	slow.conn.(*net.TCPConn).SetReadBuffer(4096)
	quick := s.open(campfireStream)
	body := strings.Repeat("x", 16<<10)
	for n := range 400 {
		s.say("1", fmt.Sprint(n), fmt.Sprintf("message %d %s", n, body))
		if c := quick.next(); !strings.Contains(c, fmt.Sprintf("message %d ", n)) {
			t.Fatalf("got %.80q", c)
		}
	}
	// Megabytes behind, it wakes up: to a stream that was cut within a message.
	got, err := slow.rest()
	if err == nil || errors.Is(err, io.EOF) || strings.Contains(got, "message 399 ") {
		t.Errorf("the slow stream had %d bytes and ended with %v", len(got), err)
	}
	last := got[strings.LastIndex(got, "id: ")+len("id: "):]
	cursor, _, _ := strings.Cut(last, "\n")
	again := s.open(sseStream, "Last-Event-ID: "+cursor)
	if resume := again.header.Get("Stream-Resume"); resume != "complete" {
		t.Errorf("it came back to %q", resume)
	}
	seen := strings.Count(got, "data: ")
	for n := seen; n < 400; n++ {
		if c := again.next(); !strings.Contains(c, fmt.Sprintf("message %d ", n)) {
			t.Fatalf("after %d messages it came back to %.80q", seen, c)
		}
	}
}

// Fifty reloads, some of them broken, while messages flow: no stream ends,
// nothing is lost or doubled.
func TestReloadKeepsStreams(t *testing.T) {
	s := start(t, openSite("history {\nstore file hub.db\n}"))
	var streams []*rawStream
	for i := range 12 {
		streams = append(streams, s.open([]string{campfireStream, sseStream, jsonStream}[i%3]))
	}
	readers := make([]*reader, len(streams))
	for i, st := range streams {
		readers[i] = &reader{stream: st, done: make(chan struct{})}
		go readers[i].read()
	}
	stop, sent := make(chan struct{}), make(chan int)
	go func() { // a sender that repeats what was not acknowledged, as webhooks do
		n := 0
		defer func() { sent <- n }()
		for {
			select {
			case <-stop:
				return
			case <-time.After(5 * time.Millisecond):
			}
			if s.tryToSay("1", fmt.Sprint(n), fmt.Sprintf("message %d.", n)) == nil {
				n++
			}
		}
	}()
	for i := range 50 {
		if i%10 == 9 {
			if err := s.tryReload("sidestream {\nnonsense\n}"); err == nil {
				t.Error("a broken configuration was taken")
			}
			continue
		}
		s.reload(openSite(fmt.Sprintf("history {\nstore file hub.db\nper_channel %d\n}\nrealm r%d", 1000+i, i)))
	}
	close(stop)
	total := <-sent
	if total < 50 {
		t.Errorf("only %d messages were sent", total)
	}
	for i, r := range readers {
		eventually(t, "all messages", func() bool {
			select {
			case <-r.done:
				t.Fatalf("stream %d: %v", i, r.err)
			default:
			}
			return r.seen.Load() >= int64(total)
		})
		if n := r.seen.Load(); n > int64(total)+1 { // the last one may be there without an answer
			t.Errorf("stream %d had %d messages of %d", i, n, total)
		}
	}
}

// reader follows a stream whose messages are numbered.
type reader struct {
	stream *rawStream
	seen   atomic.Int64
	err    error // what ended it; read after done is closed
	done   chan struct{}
}

// read ends with the stream, or with the first message out of its row.
func (r *reader) read() {
	defer close(r.done)
	for n := int64(0); ; {
		c, err := r.stream.chunk()
		switch {
		case err != nil:
			r.err = err
			return
		case strings.Trim(c, " \n:") == "" || isBookmark(c):
			continue
		case !strings.Contains(c, fmt.Sprintf("message %d.", n)):
			r.err = fmt.Errorf("got %q instead of message %d", c, n)
			return
		}
		n++
		r.seen.Store(n)
	}
}

// The process ends soon after SIGTERM and "stop", whatever is open, also with
// Caddy's eternal grace period; streams end behind a whole message and are told
// when to come back.
func TestExit(t *testing.T) {
	for _, way := range []string{"SIGTERM", "stop"} {
		t.Run(way, func(t *testing.T) {
			s := &server{t: t, folder: t.TempDir(), port: freePort(t)}
			s.url = "http://127.0.0.1:" + s.port
			s.writeTLS("drain 500ms")
			s.begin()
			h1, sse := s.open(campfireStream), s.open(sseStream)
			h2 := s.openTLS(t, "h2", sseStream)
			h1s := s.openTLS(t, "http/1.1", sseStream)
			s.say("1", "1", "the last")
			for _, st := range []*rawStream{h1, sse} {
				if c := st.next(); !strings.Contains(c, "the last") {
					t.Errorf("got %q", c)
				}
			}
			if way == "stop" {
				cmd := exec.Command(command(t), "stop", "--address", "unix/"+s.folder+"/admin.sock")
				cmd.Env = append(os.Environ(), s.env()...)
				if out, err := cmd.CombinedOutput(); err != nil {
					t.Errorf("stop: %v\n%s", err, out)
				}
			} else {
				s.cmd.Process.Signal(syscall.SIGTERM)
			}
			if _, err := h1.rest(); !errors.Is(err, io.EOF) {
				t.Errorf("the Campfire stream was cut: %v", err)
			}
			if rest, err := sse.rest(); !errors.Is(err, io.EOF) || !strings.Contains(rest, "retry: ") {
				t.Errorf("the SSE stream ended with %q, %v", rest, err)
			}
			for name, r := range map[string]*http.Response{"h2": h2, "http/1.1 over TLS": h1s} {
				if b, err := io.ReadAll(r.Body); err != nil || !strings.Contains(string(b), "the last") || !strings.Contains(string(b), "retry: ") {
					t.Errorf("%s ended with %q, %v", name, b, err)
				}
			}
			select {
			case <-s.exited:
			case <-time.After(patience):
				t.Fatal("the process does not end")
			}
		})
	}
}

// A second signal ends the process at once, whatever the first one was: nobody
// has to wait for streams that are closed over ten minutes.
func TestSecondSignalEndsAtOnce(t *testing.T) {
	for _, signals := range [][2]syscall.Signal{
		{syscall.SIGTERM, syscall.SIGTERM}, {syscall.SIGTERM, syscall.SIGINT}, {syscall.SIGINT, syscall.SIGTERM},
		{syscall.SIGINT, syscall.SIGINT}, {syscall.SIGTERM, syscall.SIGQUIT},
	} {
		t.Run(fmt.Sprint(signals), func(t *testing.T) {
			s := &server{t: t, folder: t.TempDir(), port: freePort(t)}
			s.url = "http://127.0.0.1:" + s.port
			s.writeTLS("drain 10m")
			s.begin()
			var open []*rawStream
			for range 20 { // they are closed one after the other
				open = append(open, s.open(sseStream))
			}
			s.cmd.Process.Signal(signals[0])
			s.errOut.waitFor(func(log string) bool { return strings.Contains(log, "shutting down") })
			select {
			case <-s.exited:
				t.Fatalf("it ended with the first signal: %v", s.err)
			default:
			}
			if err := s.stop(signals[1]); s.cmd.ProcessState.ExitCode() != 2 {
				t.Errorf("it ended with %v", err)
			}
			for _, st := range open {
				st.conn.Close()
			}
		})
	}
}

// rest reads to the end.
func (st *rawStream) rest() (string, error) {
	var b strings.Builder
	for {
		c, err := st.chunk()
		if err != nil {
			return b.String(), err
		}
		b.WriteString(c)
	}
}

// writeTLS makes a Caddyfile with the site twice: in the clear, and with TLS on
// another port; with the grace period that Caddy has by default, and with global
// options.
func (s *server) writeTLS(extra string, global ...string) {
	s.t.Helper()
	tlsPort := freePort(s.t)
	text := fmt.Sprintf(`{
	admin unix/%[1]s/admin.sock
	persist_config off
	skip_install_trust
	auto_https disable_redirects
	local_certs
	%[5]s
}
http://:%[2]s {
	bind 127.0.0.1
	%[4]s
}
https://localhost:%[3]s {
	bind 127.0.0.1
	%[4]s
}
`, s.folder, s.port, tlsPort, openSite(extra), strings.Join(global, "\n"))
	s.tlsPort = tlsPort
	if err := os.WriteFile(s.caddyfile(), []byte(text), 0o600); err != nil {
		s.t.Fatal(err)
	}
}

// openTLS opens a stream over TLS with a protocol.
func (s *server) openTLS(t *testing.T, protocol, target string) *http.Response {
	t.Helper()
	var r *http.Response
	eventually(t, "a stream over TLS", func() bool { // the certificate may still be on its way
		tr := &http.Transport{
			TLSClientConfig:   &tls.Config{InsecureSkipVerify: true, ServerName: "localhost", NextProtos: []string{protocol}},
			ForceAttemptHTTP2: protocol == "h2",
			DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
				return new(net.Dialer).DialContext(ctx, "tcp", "127.0.0.1:"+s.tlsPort)
			},
		}
		t.Cleanup(tr.CloseIdleConnections)
		var err error
		r, err = (&http.Client{Transport: tr}).Get("https://localhost:" + s.tlsPort + target)
		return err == nil
	})
	t.Cleanup(func() { r.Body.Close() })
	if want := map[string]int{"h2": 2, "http/1.1": 1}[protocol]; r.ProtoMajor != want || r.StatusCode != 200 {
		t.Fatalf("%s: got %s %s", protocol, r.Proto, r.Status)
	}
	return r
}

// Health is green while all is well, for a load balancer; liveness apart.
func TestHealth(t *testing.T) {
	s := start(t, openSite(""))
	for _, target := range []string{"/health", "/health?live"} {
		r, err := http.Get(s.url + target)
		if err != nil {
			t.Fatal(err)
		}
		b, _ := io.ReadAll(r.Body)
		r.Body.Close()
		if r.StatusCode != 200 || !strings.Contains(string(b), "ok") {
			t.Errorf("%s: %s %s", target, r.Status, b)
		}
	}
}
