package caddymodule

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/seed-078801ba/sidestream/stream/event"
)

// target makes a request as net/http's server does.
func target(t testing.TB, method, uri string) *http.Request {
	t.Helper()
	u, err := url.ParseRequestURI(uri)
	if err != nil {
		t.Fatalf("%q: %v", uri, err)
	}
	r := httptest.NewRequest(method, "/", nil)
	r.URL, r.RequestURI = u, uri
	if u.Host != "" {
		r.Host = u.Host
	}
	return r
}

var (
	testCampfire = &campfireEndpoint{title: "Test"}
	testFlowdock = &flowdockEndpoint{title: "Test", maxChannels: 250}
)

func TestClaims(t *testing.T) {
	for uri, want := range map[string]claim{
		"/room/1/live.json":                   ours,
		"/room/1/live.xml":                    ours,
		"//room/1/live.json":                  ours,
		"/room/a%20b/live.json":               ours,
		"/room/%C3%A9/live.json":              ours,
		"/room/!x:example.org/live.json":      ours,
		"http://example.com/room/1/live.json": ours,
		"/room/1/live.json?x=1":               ours,
		"/flows":                              ours,
		"/flows/":                             ours,
		"/flows?filter=a/b":                   ours,
		"/flows/?filter=a%2Fb&user=1":         ours,
		"//flows?user=1":                      ours,
		"/flows/acme/main":                    ours,
		"/flows/acme/main/":                   ours,
		"/flows/acme/main%2Fsub":              ours,
		"/room/1%2F2/live.json":               ours,
		"/room/1%5C2/live.json":               ours,
		"/room/1%3Fx/live.json":               ours,
		"/room/1%23x/live.json":               ours,
		"/room/50%25/live.json":               ours,
		"/room/19%3Ax%3By%3D1/live.json":      ours,

		"/":                           notOurs,
		"/room/1":                     notOurs,
		"/room/1.json":                notOurs,
		"/room/1/recent.json":         notOurs,
		"/room/1/live.json/x":         notOurs,
		"/ROOM/1/live.json":           notOurs,
		"/room/1/live":                notOurs,
		"/x/room/1/live.json":         notOurs,
		"/flows?users=1":              notOurs,
		"/flows?users=1&filter=a":     notOurs,
		"/flows/all?users=1":          notOurs,
		"/flows/find?id=x":            notOurs,
		"/flows/acme/main/messages":   notOurs,
		"/flows/acme/main/messages/1": notOurs,
		"/flowsx":                     notOurs,
		"/a%2Fb":                      notOurs,
		"/assets/%2e%2e/x":            notOurs,

		"///room/1/live.json":                               crooked,
		"/room//live.json":                                  crooked,
		"/room//1/live.json":                                crooked,
		"/room/1//live.json":                                crooked,
		"/room/./live.json":                                 crooked,
		"/room/../live.json":                                crooked,
		"/room/%2e%2e/live.json":                            crooked,
		"/room/%2E/live.json":                               crooked,
		"/room/1/../2/live.json":                            crooked,
		"/room/1%2F..%2F2/live.json":                        crooked,
		"/room/1%2flive.json":                               crooked,
		"/room%2F1%2Flive.json":                             crooked,
		"/%2e%2e/room/1/live.json":                          crooked,
		"/x/../room/1/live.json":                            crooked,
		"/room/1%00/live.json":                              crooked,
		"/room/1%0d%0a/live.json":                           crooked,
		"/room/1%7f/live.json":                              crooked,
		`/room\1\live.json`:                                 crooked,
		"/room/1/live.json;x":                               crooked,
		"/room/%c0%af/live.json":                            crooked,
		"/room/%ff/live.json":                               crooked,
		"/room/%E2%80%A8/live.json":                         crooked,
		"/room/" + strings.Repeat("a", 257) + "/live.json":  crooked,
		"/room/" + strings.Repeat("a", 9999) + "/live.json": crooked,
		"http://u:p@example.com/room/1/live.json":           crooked,
		"/flows/acme%2Fmain":                                crooked,
		"/room/1%252F..%252F2/live.json":                    crooked,
		"/room/1%252F2/live.json":                           crooked,
		"/room/1;x=1/live.json":                             crooked,
		"/room/1/live.json%3Fx":                             crooked,
		"/room%2F1/live.json":                               crooked,
		"/flows/../flows":                                   crooked,
		"/flows/acme/%2e%2e":                                crooked,
		"/flows%2Facme%2Fmain":                              crooked,
		"/flows//":                                          crooked,
	} {
		r := target(t, http.MethodGet, uri)
		line := readLine(r)
		if got := max(testCampfire.claims(line, r), testFlowdock.claims(line, r)); got != want {
			t.Errorf("%.60q: claim %d, want %d", uri, got, want)
		}
	}
}

func TestClaimsByMethod(t *testing.T) {
	for _, c := range []struct {
		method, uri, preflight string
		want                   claim
	}{
		{"HEAD", "/room/1/live.json", "", ours},
		{"OPTIONS", "/room/1/live.json", "", ours},
		{"POST", "/room/1/live.json", "", declined},
		{"DELETE", "/room/1/live.xml", "", declined},
		{"POST", "/room/../live.json", "", crooked},
		{"HEAD", "/flows?filter=a", "", ours},
		{"POST", "/flows", "", notOurs},
		{"PUT", "/flows/a/b", "", notOurs},
		{"POST", "/flows/../flows", "", notOurs},
		{"OPTIONS", "/flows?filter=a", "GET", ours},
		{"OPTIONS", "/flows?filter=a", "POST", notOurs},
		{"OPTIONS", "/flows?users=1", "GET", notOurs},
		{"OPTIONS", "/flows/a/b", "PUT", notOurs},
	} {
		r := target(t, c.method, c.uri)
		if c.preflight != "" {
			r.Header.Set("Access-Control-Request-Method", c.preflight)
		}
		line := readLine(r)
		if got := max(testCampfire.claims(line, r), testFlowdock.claims(line, r)); got != c.want {
			t.Errorf("%s %s (%s): claim %d, want %d", c.method, c.uri, c.preflight, got, c.want)
		}
	}
}

func TestPrefix(t *testing.T) {
	e := &flowdockEndpoint{prefix: prefixSegments("/stream/v1"), maxChannels: 250}
	for uri, want := range map[string]claim{
		"/stream/v1/flows": ours, "/stream/v1/flows/a/b": ours, "//stream/v1/flows": ours,
		"/flows": notOurs, "/stream/flows": notOurs, "/stream/v1": notOurs, "/stream/v1/../v1/flows": crooked,
	} {
		r := target(t, http.MethodGet, uri)
		if got := e.claims(readLine(r), r); got != want {
			t.Errorf("%s: claim %d, want %d", uri, got, want)
		}
	}
}

func TestForeignAuthority(t *testing.T) {
	r := target(t, http.MethodGet, "http://a.example/room/1/live.json")
	r.Host = "b.example"
	if got := testCampfire.claims(readLine(r), r); got != crooked {
		t.Errorf("a request line for another host: claim %d", got)
	}
}

func TestReadQuery(t *testing.T) {
	for raw, ok := range map[string]bool{
		"": true, "a=1": true, "a=": true, "a=1&b=2": true, "x=1&x=2&a=1": true,
		"a=1&a=1": false, "a=1&%61=2": false, "a=1;b=2": false, "a=%zz": false, "%zz=1": false,
	} {
		if _, err := readQuery(raw, "a", "b"); (err == nil) != ok {
			t.Errorf("%q: %v", raw, err)
		}
	}
}

// FuzzClaims looks for a path that opens a stream of a channel that a second
// reader would find another name in.
func FuzzClaims(f *testing.F) {
	for _, seed := range []string{
		"/room/1/live.json", "//room/1/live.xml", "/room/%2e%2e/live.json", "/room/1%252F2/live.json", "/flows/a/b",
		"/flows?filter=a%2Fb,c:d&user=1", "/flows?filter=user:7", "/room/user:7/live.json", "/room/%ff/live.json",
		"http://h/room/1/live.json", "/flows?filter=a&filter=b", `/room\1/live.json`,
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, uri string) {
		u, err := url.ParseRequestURI(uri)
		if err != nil {
			return
		}
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.URL, r.RequestURI = u, uri
		line := readLine(r)
		for _, e := range []endpoint{testCampfire, testFlowdock} {
			if e.claims(line, r) != ours {
				continue
			}
			a, re := e.ask(line, r)
			if re != nil {
				continue
			}
			for _, channel := range a.channels {
				if !event.ValidChannel(channel) {
					t.Errorf("%q listens to %q", uri, channel)
				}
				// What the backend is asked leads back to the same name.
				asked, err := url.ParseRequestURI("/room/" + url.PathEscape(channel) + ".json")
				if err != nil || asked.Path != "/room/"+channel+".json" || asked.RawQuery != "" || asked.Host != "" ||
					strings.Count(asked.EscapedPath(), "/") != 2 || slices.Contains(strings.Split(asked.Path, "/"), "..") {
					t.Errorf("%q: channel %q is asked about as %v, %v", uri, channel, asked, err)
				}
			}
		}
	})
}
