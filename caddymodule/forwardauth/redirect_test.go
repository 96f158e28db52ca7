package forwardauth

import (
	"bytes"
	"log/slog"
	"net/http"
	"strings"
	"testing"

	"github.com/seed-078801ba/sidestream/stream/access"
)

// A redirect to the same page says nothing of a token, one to another page is a
// login.
func TestRedirectsToTheSamePageAreNoAnswer(t *testing.T) {
	var log bytes.Buffer
	a, err := New(Config{URI: "/room/{channel}.json?t={token}"}, "", nil, slog.New(slog.NewTextHandler(&log, nil)))
	if err != nil {
		t.Fatal(err)
	}
	r, _ := a.request("a b/c", false, &Client{Credential: Credential{token: "s3cr3t"}})
	for location, same := range map[string]bool{
		"https://chat.test/room/a%20b%2Fc.json?t=s3cr3t": true,
		"https://chat.test/room/a%20b/c.json":            true,
		"http://www.chat.test:8080/room/a%20b%2Fc.json":  true,
		"//chat.test/room/a%20b%2Fc.json":                true,
		"/room/a%20b%2Fc.json/":                          true,
		"/room//a%20b%2Fc.json":                          true,
		"/Room/a%20b%2Fc.json":                           true,
		"?again=1":                                       true,
		"https://chat.test/":                             false,
		"/login?return_to=%2Froom%2Fa%20b%2Fc.json":      false,
		"https://sso.test/login":                         false,
		"/room/other.json":                               false,
		"/en/room/a%20b%2Fc.json":                        true,
		"https://chat.test/pt-BR/room/a%20b/c.json":      true,
		"/zh_Hans/Room/a%20b%2Fc.json/":                  true,
		"/login/room/a%20b%2Fc.json":                     false,
		"/sso/room/a%20b%2Fc.json":                       false,
		"/en/login":                                      false,
		"/en/":                                           false,
	} {
		for _, status := range []int{301, 302, 303, 307, 308} {
			trace, header := new(Trace), http.Header{}
			if location != "" {
				header.Set("Location", location)
			}
			v := a.judge(&reply{status: status, header: header}, r, trace)
			want := access.Verdict{Outcome: access.Denied, Cause: access.BadCredential}
			if same {
				want = access.Verdict{Outcome: access.Unknown, Cause: access.Unavailable}
			}
			if v.Outcome != want.Outcome || v.Cause != want.Cause {
				t.Errorf("%d to %q: %s (%s)", status, location, v.Outcome, v.Cause)
			}
			if text := strings.Join(trace.Steps, " "); strings.Contains(text, "s3cr3t") || strings.Contains(text, "same page") != same {
				t.Errorf("%q is explained by: %s", location, text)
			}
		}
	}
	if text := log.String(); strings.Count(text, "\n") != 1 || !strings.Contains(text, "location=") || strings.Contains(text, "s3cr3t") {
		t.Errorf("the log says:\n%s", text)
	}
}

// An answer that leads nowhere says nothing of a token: an app that has no login
// page says 401, or sends to one.
func TestRedirectsToNowhereAreNoAnswer(t *testing.T) {
	var log bytes.Buffer
	a, err := New(Config{URI: "/room/{channel}.json"}, "", nil, slog.New(slog.NewTextHandler(&log, nil)))
	if err != nil {
		t.Fatal(err)
	}
	r, _ := a.request("1", false, &Client{Credential: Credential{token: "s3cr3t"}})
	for _, locations := range [][]string{nil, {""}, {"%zz"}, {"http://[::1"}} {
		for _, status := range []int{300, 302, 304, 307, 399} {
			trace := new(Trace)
			v := a.judge(&reply{status: status, header: http.Header{"Location": locations}}, r, trace)
			if v.Outcome != access.Unknown || v.Cause != access.Unavailable {
				t.Errorf("%d to %q: %s (%s)", status, locations, v.Outcome, v.Cause)
			}
			if text := strings.Join(trace.Steps, " "); !strings.Contains(text, "not where it leads") {
				t.Errorf("%q is explained by: %s", locations, text)
			}
		}
	}
	if text := log.String(); strings.Count(text, "level=WARN") != 1 {
		t.Errorf("the log says:\n%s", text)
	}
}

// A proxy between Sidestream and the app that wants a password of its own says
// nothing of a client's token.
func TestProxyThatWantsALoginIsNoAnswer(t *testing.T) {
	a, err := New(Config{URI: "/room/{channel}.json"}, "", nil, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	r, _ := a.request("1", false, &Client{Credential: Credential{token: "s3cr3t"}})
	if v := a.judge(&reply{status: 407, header: http.Header{}}, r, new(Trace)); v.Outcome != access.Unknown || v.Cause != access.Unavailable {
		t.Errorf("407: %s (%s)", v.Outcome, v.Cause)
	}
}
