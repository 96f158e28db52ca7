package caddymodule

import (
	"net/http"
	"strings"
	"testing"
)

// of is a Caddyfile with one site made of directives. STREAM stands for a
// sidestream directive.
func (s *site) of(directives string) string {
	return strings.NewReplacer("STREAM", "sidestream {\nauth none\nhistory {\nstore memory\n}\n}", "DIR", s.dir).Replace(`{
	admin off
	persist_config off
	grace_period 1s
	log {
		output file DIR/caddy.log
	}
}
http://chat.test {
	bind unix/DIR/c.sock
	` + directives + `
}`)
}

// A handler that no request comes to is told of when the configuration is loaded,
// and no other.
func TestHandlersThatAreNeverReached(t *testing.T) {
	for _, c := range []struct {
		name, directives string
		warned           bool
	}{
		{"plain", "STREAM\nreverse_proxy 127.0.0.1:1", false},
		{"in a route", "route {\nSTREAM\nreverse_proxy 127.0.0.1:1\n}", false},
		{"behind reverse_proxy in a route", "route {\nreverse_proxy 127.0.0.1:1\nSTREAM\n}", true},
		{"behind respond in a route", "route {\nrespond hello\nSTREAM\n}", true},
		{"behind a reverse_proxy for some", "route {\nreverse_proxy /api/* 127.0.0.1:1\nSTREAM\n}", false},
		{"beside the handle", "handle {\nreverse_proxy 127.0.0.1:1\n}\nSTREAM", true},
		{"beside handles that have it all", "handle /api/* {\nreverse_proxy 127.0.0.1:1\n}\nhandle {\nfile_server\n}\nSTREAM", true},
		{"beside handles for some", "handle /api/* {\nreverse_proxy 127.0.0.1:1\n}\nSTREAM", false},
		{"beside a handle that passes on", "handle /api/* {\nencode gzip\n}\nhandle {\nreverse_proxy 127.0.0.1:1\n}\nSTREAM", false},
		{"in the handle", "handle {\nSTREAM\nreverse_proxy 127.0.0.1:1\n}", false},
		{"in the second handle", "handle /api/* {\nreverse_proxy 127.0.0.1:1\n}\nhandle {\nSTREAM\nreverse_proxy 127.0.0.1:1\n}", false},
		{"behind forward_auth", "forward_auth 127.0.0.1:1 {\nuri /\n}\nSTREAM\nreverse_proxy 127.0.0.1:1", false},
		{"behind a file_server that passes on", "route {\nfile_server {\npass_thru\n}\nSTREAM\n}", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newSite(t)
			if err := s.run(s.of(c.directives)); err != nil {
				t.Fatal(err)
			}
			if n := strings.Count(s.logs(), "no request comes to this sidestream handler"); (n == 1) != c.warned || n > 1 {
				t.Errorf("%d warnings", n)
			}
		})
	}
}

// A header that says who a client is must be set in front of sidestream: otherwise a
// client can be whoever it likes.
func TestHeadersThatClientsCouldSet(t *testing.T) {
	const asks = "sidestream 127.0.0.1:1 {\nauth GET /room/{channel}.json {\nheader X-User {header.Remote-User}\n}\nhistory {\nstore memory\n}\n}"
	const copies = "forward_auth 127.0.0.1:1 {\nuri /\ncopy_headers Remote-User\n}\n"
	for _, c := range []struct {
		name, directives string
		warned           bool
	}{
		{"alone", asks, true},
		{"behind forward_auth", copies + asks, false},
		{"behind forward_auth that renames", "forward_auth 127.0.0.1:1 {\nuri /\ncopy_headers X-Name>Remote-User\n}\n" + asks, false},
		{"behind forward_auth that copies another", "forward_auth 127.0.0.1:1 {\nuri /\ncopy_headers X-Name\n}\n" + asks, true},
		{"before forward_auth", "route {\n" + asks + "\n" + copies + "}", true},
		{"in the handle of forward_auth", "handle {\n" + copies + asks + "\n}", false},
		{"in another handle", "handle /app/* {\n" + copies + "reverse_proxy 127.0.0.1:1\n}\nhandle {\n" + asks + "\n}", true},
		{"behind request_header", "route {\nrequest_header Remote-User guest\n" + asks + "\n}", false},
		{"behind request_header that takes it away", "route {\nrequest_header -Remote-User\n" + asks + "\n}", false},
		{"with a key of the client's", strings.Replace(asks, "{header.Remote-User}", "{header.X-Api-Key}", 1), false},
		{"with who Caddy has signed on", strings.Replace(asks, "{header.Remote-User}", "{http.auth.user.id}", 1), false},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newSite(t)
			if err := s.run(s.of(c.directives)); err != nil {
				t.Fatal(err)
			}
			if n := strings.Count(s.logs(), "a client could set it itself"); (n == 1) != c.warned || n > 1 {
				t.Errorf("%d warnings:\n%s", n, s.logs())
			}
		})
	}
}

// That a reload closes WebSockets is said once, and warned of when there is one.
func TestReloadsThatCloseWebSockets(t *testing.T) {
	for _, c := range []struct {
		name, proxy string
		upgrade     bool
		told        string
	}{
		{"no WebSocket", "reverse_proxy unix/DIR/app.sock", false, `"info"`},
		{"a WebSocket", "reverse_proxy unix/DIR/app.sock", true, `"warn"`},
		{"with a delay", "reverse_proxy unix/DIR/app.sock {\nstream_close_delay 1h\n}", true, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			toldOfSockets.Store(false)
			warnedOfSockets.Store(false)
			s := newSite(t)
			for range 2 {
				if err := s.run(s.of("STREAM\n" + c.proxy)); err != nil {
					t.Fatal(err)
				}
			}
			if c.upgrade {
				for range 2 {
					s.request(http.MethodGet, "/cable", "", "Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: eA==")
				}
			}
			var said, warned int
			for line := range strings.Lines(s.logs()) {
				if strings.Contains(line, "stream_close_delay") {
					said++
					if strings.Contains(line, `"level":"warn"`) {
						warned++
					}
				}
			}
			switch c.told {
			case "":
				if said != 0 {
					t.Errorf("%d lines", said)
				}
			case `"info"`:
				if said != 1 || warned != 0 {
					t.Errorf("%d lines, %d of them warnings", said, warned)
				}
			default:
				if said != 2 || warned != 1 {
					t.Errorf("%d lines, %d of them warnings", said, warned)
				}
			}
		})
	}
}
