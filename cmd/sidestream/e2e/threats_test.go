package e2e

import (
	"bufio"
	"context"
	"crypto/rand"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// The tests of threats attack a server from outside. One oracle serves them
// all: into a room that the attacker may not read, a secret text is published
// again and again, the canary; it must not reach the attacker, and the app must
// have been asked about exactly what is served.

// mallory may listen to the room "open" and to nothing else.
const mallory = "mallory-token"

// fortress is a server under attack.
type fortress struct {
	*server
	b      *testBackend
	canary string
	// heard counts the canaries that a stream which may read them has got.
	heard atomic.Int64
	heads *headRecorder
	h2    *http.Transport
}

// headRecorder keeps the header of every question.
type headRecorder struct {
	mu    sync.Mutex
	heads []http.Header
}

func (h *headRecorder) all() []http.Header {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Clone(h.heads)
}

// besiege starts a server in the clear and under TLS, and publishes a canary
// into the room "secret" every 100 ms until the test ends. more goes into the
// block of the directive, site before it, global into Caddy's options.
func besiege(t *testing.T, more, site, global string) *fortress {
	t.Helper()
	b := newBackend(t)
	f := &fortress{b: b, canary: "canary-" + rand.Text(), heads: new(headRecorder)}
	front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		f.heads.mu.Lock()
		f.heads.heads = append(f.heads.heads, r.Header.Clone())
		f.heads.mu.Unlock()
		b.ServeHTTP(w, r)
	}))
	t.Cleanup(front.Close)
	b.Server = front
	b.decide(mallory, "", verdict{status: 403})
	b.decide(mallory, "open", verdict{status: 200, body: `{"user_id":"666"}`})
	f.server = &server{t: t, folder: t.TempDir(), port: freePort(t), tlsPort: freePort(t)}
	f.url = "http://127.0.0.1:" + f.port
	f.writeSites(b.directives(more), site, global)
	f.h2 = &http.Transport{
		TLSClientConfig: f.tlsConfig("h2"), ForceAttemptHTTP2: true, DisableCompression: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "tcp", "127.0.0.1:"+f.tlsPort)
		},
	}
	t.Cleanup(f.h2.CloseIdleConnections)
	f.begin()
	f.awaitListening(f.tlsPort)
	f.publishCanaries()
	return f
}

// writeSites makes the Caddyfile of one site at two addresses.
func (f *fortress) writeSites(directives, site, global string) {
	f.t.Helper()
	text := fmt.Sprintf(`{
	admin unix/%[1]s/admin.sock
	persist_config off
	grace_period 5s
	skip_install_trust
	auto_https disable_redirects
	local_certs
	%[6]s
}
http://:%[2]s, https://localhost:%[3]s {
	bind 127.0.0.1
	%[5]s
	%[4]s
}
`, f.folder, f.port, f.tlsPort, directives, site, global)
	if err := os.WriteFile(f.caddyfile(), []byte(text), 0o600); err != nil {
		f.t.Fatal(err)
	}
}

// publishCanaries publishes until the test ends, and listens to it.
func (f *fortress) publishCanaries() {
	f.t.Helper()
	witness := f.open("/flows?filter=secret", basic(goodToken))
	if witness.status != 200 {
		f.t.Fatalf("the witness gets %d", witness.status)
	}
	stop := make(chan struct{})
	var work sync.WaitGroup
	f.t.Cleanup(func() {
		close(stop)
		work.Wait()
	})
	work.Go(func() {
		for n := 0; ; n++ {
			select {
			case <-stop:
				return
			case <-time.After(100 * time.Millisecond):
			}
			f.trySay("secret", 1_000_000+n, f.canary) // a flood may keep it out for a while
		}
	})
	go func() { // ends with the connection
		for {
			c, err := witness.chunk()
			if err != nil {
				return
			}
			f.heard.Add(int64(strings.Count(c, f.canary)))
		}
	}()
}

// trySay publishes, and tells whether it was taken.
func (f *fortress) trySay(channel string, id int, text string) bool {
	body := fmt.Sprintf(`{"channel":%q,"id":%d,"user":7,"sent_at":"2026-03-04T05:06:07Z","text":%q}`, channel, id, text)
	req, err := http.NewRequest(http.MethodPost, f.url+"/hooks/own", strings.NewReader(body))
	if err != nil {
		return false
	}
	sign(req, "msg_"+rand.Text(), []byte(body))
	status, _, err := try(req)
	return err == nil && status/100 == 2
}

// sing waits until the canary has been heard a few times more by who may hear
// it: whoever else listens to its room has heard it by then.
func (f *fortress) sing() {
	f.t.Helper()
	want := f.heard.Load() + 3
	eventually(f.t, "the canary sings", func() bool { return f.heard.Load() >= want })
}

// reading is an answer that is read in the background.
type reading struct {
	name   string
	status int
	header http.Header
	out    *output
	end    func()
}

func (r *reading) text() string { text, _, _ := r.out.state(); return text }

// awaits waits until the answer has a text.
func (r *reading) awaits(t *testing.T, mark string) {
	t.Helper()
	if text, ok := r.out.waitFor(func(text string) bool { return strings.Contains(text, mark) }); !ok {
		t.Fatalf("%s: %q does not come, only %.2000q", r.name, mark, text)
	}
}

// awaitsEnd waits until the answer is complete, and returns it.
func (r *reading) awaitsEnd(t *testing.T) string {
	t.Helper()
	text, _ := r.out.waitFor(func(string) bool { return false })
	if _, ended, _ := r.out.state(); !ended {
		t.Fatalf("%s does not end", r.name)
	}
	return text
}

// protocols are the ways to a stream.
var protocols = []string{"http/1.1", "http/1.1 over TLS", "h2"}

// fetch sends a request whose target is not touched, and reads the answer.
// Lines are headers.
func (f *fortress) fetch(t *testing.T, protocol, method, target string, lines ...string) *reading {
	t.Helper()
	r := &reading{name: fmt.Sprintf("%s %s %s", protocol, method, target), out: newOutput()}
	if protocol == "h2" {
		f.fetchH2(t, r, method, target, lines)
	} else {
		request := method + " " + target + " HTTP/1.1\r\nHost: " + f.authority(protocol) + "\r\n" + strings.Join(append(lines, ""), "\r\n") + "\r\n"
		f.send(t, r, protocol, request)
	}
	t.Cleanup(r.end)
	return r
}

func (f *fortress) authority(protocol string) string {
	if protocol == "http/1.1" {
		return "127.0.0.1:" + f.port
	}
	return "localhost:" + f.tlsPort
}

// dial connects for HTTP/1.1, over TLS or in the clear.
func (f *fortress) dial(t *testing.T, protocol string) net.Conn {
	t.Helper()
	var conn net.Conn
	eventually(t, "a connection", func() bool { // the certificate may still be on its way
		var err error
		if protocol == "http/1.1" {
			conn, err = net.Dial("tcp", "127.0.0.1:"+f.port)
		} else {
			conn, err = tls.Dial("tcp", "127.0.0.1:"+f.tlsPort, f.tlsConfig("http/1.1"))
		}
		return err == nil
	})
	conn.SetDeadline(time.Now().Add(patience))
	return conn
}

func (f *fortress) tlsConfig(protocol string) *tls.Config {
	return &tls.Config{InsecureSkipVerify: true, ServerName: "localhost", NextProtos: []string{protocol}}
}

// send writes raw bytes, and reads everything that comes back as it is: the
// first head apart, chunks and what follows in one text.
func (f *fortress) send(t *testing.T, r *reading, protocol, request string) {
	t.Helper()
	conn := f.dial(t, protocol)
	r.end = func() { conn.Close() }
	if _, err := io.WriteString(conn, request); err != nil {
		t.Fatal(err)
	}
	buffered := bufio.NewReader(conn)
	resp, err := http.ReadResponse(bufio.NewReader(strings.NewReader(headOf(buffered))), nil)
	if err != nil { // the server hung up, which is an answer too
		r.out.close()
		return
	}
	r.status, r.header = resp.StatusCode, resp.Header
	go func() {
		io.Copy(r.out, buffered)
		r.out.close()
	}()
}

// headOf reads a response's head.
func headOf(r *bufio.Reader) string {
	var head strings.Builder
	for {
		line, err := r.ReadString('\n')
		head.WriteString(line)
		if err != nil || line == "\r\n" {
			return head.String()
		}
	}
}

func (f *fortress) fetchH2(t *testing.T, r *reading, method, target string, lines []string) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	r.end = cancel
	host := f.authority("h2")
	req := (&http.Request{
		Method: method, URL: &url.URL{Scheme: "https", Host: host, Opaque: "//" + host + target}, Host: host, Header: http.Header{},
	}).WithContext(ctx)
	for _, line := range lines {
		name, value, _ := strings.Cut(line, ":")
		req.Header.Add(name, strings.TrimSpace(value))
	}
	// The client tries again for ever where the server drops the connection.
	giveUp := time.AfterFunc(5*time.Second, cancel)
	defer giveUp.Stop()
	var resp *http.Response
	eventually(t, "an answer over h2", func() bool {
		var err error
		resp, err = f.h2.RoundTrip(req)
		return err == nil || !strings.Contains(err.Error(), "tls:")
	})
	if resp == nil { // the request was reset, which is an answer too
		r.out.close()
		return
	}
	if resp.ProtoMajor != 2 {
		t.Fatalf("%s: got %s", r.name, resp.Proto)
	}
	r.status, r.header = resp.StatusCode, resp.Header
	go func() {
		io.Copy(r.out, resp.Body)
		r.out.close()
	}()
}

// isStream tells whether a stream was opened.
func (r *reading) isStream() bool {
	return r.status == 200 && r.header.Get("X-Accel-Buffering") == "no"
}

// checkAttack fails the test if anything of the canary is in the answer.
func (f *fortress) checkAttack(t *testing.T, r *reading) {
	t.Helper()
	if strings.Contains(r.text(), f.canary) {
		t.Errorf("%s: the canary came: %.300q", r.name, r.text())
	}
}

// askedOnly checks that every question was about one of the channels.
func (f *fortress) askedOnly(t *testing.T, allowed ...string) {
	t.Helper()
	for _, q := range f.b.asked() {
		if !slices.Contains(allowed, q.channel) {
			t.Errorf("the app was asked about %q for %q", q.channel, q.token)
		}
	}
}
