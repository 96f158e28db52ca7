package e2e

import (
	"bufio"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/http3"
)

// Every version of HTTP, with TLS and without where there is both, and every
// format: the same messages, and the same proper end.
func TestProtocols(t *testing.T) {
	s := &server{t: t, folder: t.TempDir(), port: freePort(t)}
	s.url = "http://127.0.0.1:" + s.port
	s.writeTLS("drain 100ms\nheartbeat flowdock 300ms")
	s.begin()
	clear := func(target string) *http.Response { return s.get(t, http.DefaultTransport, s.url+target) }
	protocols := map[string]func(target string) *http.Response{
		"HTTP/1.1":          clear,
		"HTTP/1.0":          func(target string) *http.Response { return s.get10(t, target) },
		"HTTP/1.1 over TLS": func(target string) *http.Response { return s.openTLS(t, "http/1.1", target) },
		"HTTP/2":            func(target string) *http.Response { return s.openTLS(t, "h2", target) },
		"HTTP/3":            func(target string) *http.Response { return s.openQUIC(t, target) },
	}
	open := map[string]*http.Response{}
	readers := map[string]*bufio.Reader{}
	for protocol, get := range protocols {
		for _, target := range []string{campfireStream, "/room/1/live.xml", jsonStream, sseStream} {
			name := protocol + " " + target
			r := get(target)
			if r.StatusCode != 200 || !strings.HasPrefix(protocol+".0", r.Proto) {
				t.Fatalf("%s: %s %s", name, r.Proto, r.Status)
			}
			open[name], readers[name] = r, bufio.NewReader(r.Body)
		}
	}
	for i := range 3 {
		s.say("1", fmt.Sprint(i), fmt.Sprintf("message %d.", i))
		for name, r := range readers {
			if err := readUntil(r, fmt.Sprintf("message %d.", i)); err != nil {
				t.Fatalf("%s: %v", name, err)
			}
		}
	}
	// Silence, but for the heartbeats, ends nothing.
	for name, r := range readers {
		if strings.HasSuffix(name, jsonStream) {
			for range 3 {
				if err := readUntil(r, "\n"); err != nil {
					t.Fatalf("%s: %v", name, err)
				}
			}
		}
	}
	s.cmd.Process.Signal(syscall.SIGTERM)
	for name, r := range readers {
		if rest, err := io.ReadAll(r); err != nil {
			t.Errorf("%s ended with %q, %v", name, rest, err)
		}
	}
	<-s.exited
}

// A stream outlives the time that Caddy gives to a response, over every protocol.
func TestStreamsOutliveTimeouts(t *testing.T) {
	s := &server{t: t, folder: t.TempDir(), port: freePort(t)}
	s.url = "http://127.0.0.1:" + s.port
	s.writeTLS("heartbeat flowdock 500ms", `servers {
		protocols h1 h2 h2c h3
		timeouts {
			read_header    1s
			read_body      1s
			read_body_idle 1s
			write          1s
			write_idle     1s
			idle           1s
		}
	}`)
	s.begin()
	h2c := &http.Transport{Protocols: new(http.Protocols)}
	h2c.Protocols.SetUnencryptedHTTP2(true)
	t.Cleanup(h2c.CloseIdleConnections)
	readers := map[string]*bufio.Reader{}
	for protocol, r := range map[string]*http.Response{
		"HTTP/1.1":           s.get(t, http.DefaultTransport, s.url+sseStream),
		"HTTP/1.1 over TLS":  s.openTLS(t, "http/1.1", sseStream),
		"HTTP/2":             s.openTLS(t, "h2", sseStream),
		"HTTP/2 without TLS": s.get(t, h2c, s.url+sseStream),
		"HTTP/3":             s.openQUIC(t, sseStream),
	} {
		if r.StatusCode != 200 || !strings.HasPrefix(protocol+".0", r.Proto[:6]) {
			t.Fatalf("%s: %s %s", protocol, r.Proto, r.Status)
		}
		readers[protocol] = bufio.NewReader(r.Body)
	}
	for i := range 3 {
		for protocol, r := range readers {
			for range 3 { // heartbeats: the longest of the times has passed after the first round
				if err := readUntil(r, "\n\n"); err != nil {
					t.Fatalf("%s: %v", protocol, err)
				}
			}
		}
		s.say("1", fmt.Sprint(i), fmt.Sprintf("message %d.", i))
		for protocol, r := range readers {
			if err := readUntil(r, fmt.Sprintf("message %d.", i)); err != nil {
				t.Fatalf("%s: %v", protocol, err)
			}
		}
	}
}

// readUntil reads up to and including mark.
func readUntil(r *bufio.Reader, mark string) error {
	var seen strings.Builder
	for !strings.HasSuffix(seen.String(), mark) {
		b, err := r.ReadByte()
		if err != nil {
			return fmt.Errorf("%q, then %w", seen.String(), err)
		}
		seen.WriteByte(b)
	}
	return nil
}

func (s *server) get(t *testing.T, tr http.RoundTripper, url string) *http.Response {
	t.Helper()
	req, err := http.NewRequestWithContext(patient(t), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	r, err := tr.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Body.Close() })
	return r
}

// patient ends what waits for too long.
func patient(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	t.Cleanup(cancel)
	return ctx
}

// get10 speaks HTTP/1.0, which Go's client does not.
func (s *server) get10(t *testing.T, target string) *http.Response {
	t.Helper()
	c, err := net.Dial("tcp", "127.0.0.1:"+s.port)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	c.SetDeadline(time.Now().Add(patience))
	fmt.Fprintf(c, "GET %s HTTP/1.0\r\nHost: localhost\r\n\r\n", target)
	r, err := http.ReadResponse(bufio.NewReader(c), &http.Request{Method: http.MethodGet})
	if err != nil {
		t.Fatal(err)
	}
	if len(r.TransferEncoding) > 0 {
		t.Errorf("HTTP/1.0 got a body in %v", r.TransferEncoding)
	}
	return r
}

// openQUIC opens a stream over HTTP/3.
func (s *server) openQUIC(t *testing.T, target string) *http.Response {
	t.Helper()
	tr := &http3.Transport{
		TLSClientConfig: &tls.Config{InsecureSkipVerify: true},
		Dial: func(ctx context.Context, _ string, tc *tls.Config, qc *quic.Config) (*quic.Conn, error) {
			return quic.DialAddrEarly(ctx, "127.0.0.1:"+s.tlsPort, tc, qc)
		},
	}
	t.Cleanup(func() { tr.Close() })
	var r *http.Response
	eventually(t, "a stream over HTTP/3", func() bool { // the certificate may still be on its way
		req, err := http.NewRequestWithContext(patient(t), http.MethodGet, "https://localhost:"+s.tlsPort+target, nil)
		if err != nil {
			t.Fatal(err)
		}
		r, err = tr.RoundTrip(req)
		return err == nil
	})
	return r
}
