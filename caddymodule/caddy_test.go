package caddymodule

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig"
	_ "github.com/caddyserver/caddy/v2/modules/standard"

	"github.com/seed-078801ba/sidestream/caddymodule/forwardauth"
)

// site is a Caddy that runs in this process, on a unix socket, with an app
// behind it on another one. Caddy is one for the whole process: tests with a
// site are not parallel.
type site struct {
	t       *testing.T
	dir     string
	app     *app
	client  *http.Client
	servers string // global options of the server
}

// newSite starts the app and an empty place; load puts a configuration there.
func newSite(t *testing.T) *site {
	t.Helper()
	dir, err := os.MkdirTemp("", "ss") // t.TempDir is too long for a socket
	if err != nil {
		t.Fatal(err)
	}
	s := &site{t: t, dir: dir}
	s.app = newApp(t, filepath.Join(dir, "app.sock"))
	s.client = &http.Client{Transport: &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "unix", filepath.Join(dir, "c.sock"))
		},
		DisableKeepAlives: true,
	}}
	t.Cleanup(func() {
		if err := caddy.Stop(); err != nil {
			t.Error(err)
		}
		os.RemoveAll(dir)
	})
	return s
}

// caddyfile wraps the lines of a sidestream block. DIR stands for the site's
// folder, and APP for the app's address.
func (s *site) caddyfile(block string) string {
	text := `{
	admin off
	persist_config off
	grace_period 1s
SERVERS
	log {
		output file DIR/caddy.log
		level DEBUG
	}
}
http://chat.test {
	bind unix/DIR/c.sock
	log
	encode
	sidestream {
		backend APP
` + block + `
		drain 100ms
	}
	reverse_proxy APP
}
`
	servers := ""
	if s.servers != "" {
		servers = "servers {\n" + s.servers + "\n}"
	}
	return strings.NewReplacer("SERVERS", servers, "DIR", s.dir, "APP", "unix/"+s.app.socket).Replace(text)
}

// load runs a configuration, as a reload if there is one.
func (s *site) load(block string) {
	s.t.Helper()
	if err := s.tryLoad(block); err != nil {
		s.t.Fatal(err)
	}
}

func (s *site) tryLoad(block string) error { return s.run(s.caddyfile(block)) }

// run loads a whole Caddyfile.
func (s *site) run(text string) error {
	config, _, err := caddyconfig.GetAdapter("caddyfile").Adapt([]byte(text), map[string]any{"filename": "Caddyfile"})
	if err != nil {
		return err
	}
	return caddy.Load(config, true)
}

// logs is everything that Caddy has logged.
func (s *site) logs() string {
	s.t.Helper()
	b, err := os.ReadFile(filepath.Join(s.dir, "caddy.log"))
	if err != nil {
		s.t.Fatal(err)
	}
	return string(b)
}

// request makes a request; header lines are "Name: value".
func (s *site) request(method, target, body string, header ...string) *http.Response {
	s.t.Helper()
	r, err := http.NewRequest(method, "http://chat.test"+target, strings.NewReader(body))
	if err != nil {
		s.t.Fatal(err)
	}
	if body == "" {
		r.Body, r.ContentLength = nil, 0
	}
	for _, line := range header {
		name, value, _ := strings.Cut(line, ": ")
		r.Header.Add(name, value)
	}
	resp, err := s.client.Do(r)
	if err != nil {
		// What comes to the old server while it shuts down for a reload is not
		// answered. Webhooks are repeated as well: their ids make that safe.
		eventually(s.t, "an answer", func() bool {
			if r.GetBody != nil && r.Body != nil {
				r.Body, _ = r.GetBody()
			}
			resp, err = s.client.Do(r)
			return err == nil
		})
	}
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { resp.Body.Close() })
	return resp
}

func (s *site) get(target string, header ...string) *http.Response {
	s.t.Helper()
	return s.request(http.MethodGet, target, "", header...)
}

// raw sends bytes as they are and returns what comes back first.
func (s *site) raw(text string) *http.Response {
	s.t.Helper()
	c, err := net.Dial("unix", filepath.Join(s.dir, "c.sock"))
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { c.Close() })
	c.SetDeadline(time.Now().Add(10 * time.Second))
	if _, err := io.WriteString(c, text); err != nil {
		s.t.Fatal(err)
	}
	resp, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		s.t.Fatalf("%q: %v", text, err)
	}
	return resp
}

func body(t *testing.T, resp *http.Response) string {
	t.Helper()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// readUntil reads a stream until it has said something.
func readUntil(t *testing.T, resp *http.Response, want string) string {
	t.Helper()
	timer := time.AfterFunc(10*time.Second, func() { resp.Body.Close() })
	defer timer.Stop()
	var got strings.Builder
	b := make([]byte, 4096)
	for !strings.Contains(got.String(), want) {
		n, err := resp.Body.Read(b)
		got.Write(b[:n])
		if err != nil {
			t.Fatalf("the stream ended with %v before it said %q; it said %q", err, want, got.String())
		}
	}
	return got.String()
}

// readToEnd reads what is left of a stream that should end.
func readToEnd(t *testing.T, resp *http.Response) string {
	t.Helper()
	var late bool
	timer := time.AfterFunc(10*time.Second, func() { late = true; resp.Body.Close() })
	defer timer.Stop()
	b, err := io.ReadAll(resp.Body)
	if late {
		t.Fatalf("the stream did not end (%v); it said %q", err, b)
	}
	return string(b)
}

// app is the backend of a site: rooms, and tokens of who may read them. It
// notes every question.
type app struct {
	socket string

	mu      sync.Mutex
	asked   []received
	allowed map[string]bool // "token room"
	status  int             // answers everything if not 0
	answer  func(w http.ResponseWriter, r *http.Request) bool
}

// received is a request that the app has got.
type received struct {
	method, uri, host string
	header            http.Header
}

func newApp(t *testing.T, socket string) *app {
	a := &app{socket: socket, allowed: map[string]bool{}}
	l, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: a}
	go server.Serve(l)
	t.Cleanup(func() { server.Close() })
	return a
}

func (a *app) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	a.mu.Lock()
	a.asked = append(a.asked, received{r.Method, r.RequestURI, r.Host, r.Header.Clone()})
	status, answer := a.status, a.answer
	token, _, _ := r.BasicAuth()
	if bearer, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer "); ok {
		token = bearer
	}
	if c, err := r.Cookie("session"); err == nil && token == "" {
		token = c.Value
	}
	room := strings.TrimSuffix(strings.TrimPrefix(r.URL.EscapedPath(), "/room/"), ".json")
	allowed := a.allowed[token+" "+room]
	a.mu.Unlock()
	switch {
	case answer != nil && answer(w, r):
	case status != 0:
		w.WriteHeader(status)
	case r.Header.Get(forwardauth.CheckHeader) == "":
		fmt.Fprintf(w, "the app: %s %s", r.Method, r.RequestURI)
	case token == "" || token == "bad":
		w.WriteHeader(http.StatusUnauthorized)
	case r.URL.Path == "/users/me.json":
		fmt.Fprintf(w, `{"user":{"id":7,"name":%q}}`, token)
	case !allowed:
		w.WriteHeader(http.StatusForbidden)
	default:
		fmt.Fprintf(w, `{"room":{"id":%q},"user":{"id":7}}`, room)
	}
}

// allow lets tokens into rooms, as the app escapes their names.
func (a *app) allow(token string, rooms ...string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, room := range rooms {
		a.allowed[token+" "+room] = true
	}
}

func (a *app) forbid(token, room string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.allowed, token+" "+room)
}

func (a *app) respond(status int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.status = status
}

// questions are the requests so far.
func (a *app) questions() []received {
	a.mu.Lock()
	defer a.mu.Unlock()
	return append([]received(nil), a.asked...)
}

func (a *app) forget() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.asked = nil
}

// eventually waits for a condition.
func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !holds() {
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatalf("never happened: %s", what)
		}
	}
}
