package e2e

import (
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
)

// door is an address that counts who knocks.
func door(t *testing.T) (address string, knocks *atomic.Int32) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	knocks = new(atomic.Int32)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			knocks.Add(1)
			c.Close()
		}
	}()
	t.Cleanup(func() { l.Close(); <-done })
	return l.Addr().String(), knocks
}

// filesIn lists what is in a folder.
func filesIn(t *testing.T, folder string) (names []string) {
	t.Helper()
	err := filepath.WalkDir(folder, func(path string, _ fs.DirEntry, err error) error {
		names = append(names, path)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return names
}

// To validate a configuration creates no file and asks no server, whatever stores and
// ways in it has.
func TestValidateTouchesNothing(t *testing.T) {
	t.Parallel()
	app, asked := door(t)
	redis, knocked := door(t)
	for name, history := range map[string]string{
		"file": "store file {env.HOME}/data/hub.db", "default": "store file", "redis": "store redis redis://" + redis,
	} {
		t.Run(name, func(t *testing.T) {
			s := &server{t: t, folder: t.TempDir(), port: freePort(t)}
			s.write(fmt.Sprintf("sidestream %s {\n auth GET /may/{channel}\n history {\n %s\n }\n redis redis://%s {\n subscribe x\n preset socketio\n }\n}", app, history, redis))
			before := filesIn(t, s.folder)
			for _, args := range [][]string{{"validate"}, {"adapt", "--validate"}} {
				out, err := s.sidestream(append(args, "--config", s.caddyfile(), "--adapter", "caddyfile")...)
				if err != nil {
					t.Errorf("%q: %v: %s", args, err, out)
				}
				for _, file := range filesIn(t, s.folder) {
					if !slices.Contains(before, file) && !strings.Contains(file, "caddy") && !strings.HasSuffix(file, "/data") && !strings.HasSuffix(file, "/config") {
						t.Errorf("%q leaves %s", args, file)
					}
					if strings.HasSuffix(file, ".db") {
						t.Errorf("%q leaves a history: %s", args, file)
					}
				}
			}
			if asked.Load() > 0 || knocked.Load() > 0 {
				t.Errorf("the app was asked %d times, Redis %d times", asked.Load(), knocked.Load())
			}
		})
	}
}

// What is wrong, and what will be missed, is told with the line where it stands.
func TestValidateNamesTheLine(t *testing.T) {
	t.Parallel()
	good := "verify standardwebhooks " + hookSecret + "\n map channel {json.c}\n map id {json.id}\n map body {json.b}"
	for _, test := range []struct{ name, site, want string }{
		{"weak secret", "sidestream localhost:1 {\n auth GET /x/{channel}\n webhook /hooks/one {\n " + good + "\n }\n webhook /hooks/two {\n preset campfire\n secret password\n }\n}", "Caddyfile:17: webhook /hooks/two: secret 1"},
		{"no channel", "sidestream localhost:1 {\n auth GET /x/{channel}\n webhook /h {\n verify none\n map id {json.id}\n }\n}", "nothing says which channel"},
		{"order", "route {\n reverse_proxy localhost:1\n sidestream localhost:1 {\n auth GET /x/{channel}\n }\n}", "no request comes to this sidestream handler"},
		{"order's line", "route {\n reverse_proxy localhost:1\n sidestream localhost:1 {\n auth GET /x/{channel}\n }\n}", `Caddyfile:11"`},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := &server{t: t, folder: t.TempDir(), port: freePort(t)}
			s.write(test.site)
			out, _ := s.sidestream("validate", "--config", s.caddyfile(), "--adapter", "caddyfile")
			if !strings.Contains(out, test.want) {
				t.Errorf("it does not say %q: %s", test.want, out)
			}
		})
	}
}

// The log says of every hub what it does, and health says what is wrong, but not why.
func TestStartSaysWhatRuns(t *testing.T) {
	t.Parallel()
	b := newBackend(t)
	s := start(t, b.directives("history {\n store memory\n}\nhealth /health\nredis redis://127.0.0.1:1/0 {\n subscribe x\n preset socketio\n}"))
	for _, want := range []string{`"a hub is open"`, `"store":"memory"`, "redis redis, webhook /hooks/own", "campfire, flowdock", "GET /may/{channel} at " + b.address()} {
		eventually(t, want, func() bool { return strings.Contains(s.errOut.tail(100_000), want) })
	}
	req, err := http.NewRequest(http.MethodGet, s.url+"/health", nil)
	if err != nil {
		t.Fatal(err)
	}
	if status, body := do(t, req); status != http.StatusServiceUnavailable || strings.Contains(body, "redis") {
		t.Errorf("a stranger is told %d %s", status, body)
	}
	req.Header.Set("Accept", "application/json")
	if status, body := do(t, req); status != http.StatusServiceUnavailable || !strings.Contains(body, `"reasons":["the way in redis is not connected"]`) {
		t.Errorf("whoever asks for JSON is told %d %s", status, body)
	}
	out, err := s.sidestream("hubs")
	if err == nil || !strings.Contains(out, "the way in redis is not connected: ") {
		t.Errorf("hubs: %v %s", err, out)
	}
}
