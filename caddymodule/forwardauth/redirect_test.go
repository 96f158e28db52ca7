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
		"":                                               false,
		"%zz":                                            false,
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
