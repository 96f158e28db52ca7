package endpoint

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
	testCampfire = &campfire{realm: "Test"}
	testFlowdock = &flowdock{realm: "Test", maxChannels: 250}
)

func TestClaims(t *testing.T) {
	for uri, want := range map[string]Claim{
		"/room/1/live.json":                   Ours,
		"/room/1/live.xml":                    Ours,
		"//room/1/live.json":                  Ours,
		"/room/a%20b/live.json":               Ours,
		"/room/%C3%A9/live.json":              Ours,
		"/room/!x:example.org/live.json":      Ours,
		"http://example.com/room/1/live.json": Ours,
		"/room/1/live.json?x=1":               Ours,
		"/flows":                              Ours,
		"/flows/":                             Ours,
		"/flows?filter=a/b":                   Ours,
		"/flows/?filter=a%2Fb&user=1":         Ours,
		"//flows?user=1":                      Ours,
		"/flows/acme/main":                    Ours,
		"/flows/acme/main/":                   Ours,
		"/flows/acme/main%2Fsub":              Ours,
		"/room/1%2F2/live.json":               Ours,
		"/room/1%5C2/live.json":               Ours,
		"/room/1%3Fx/live.json":               Ours,
		"/room/1%23x/live.json":               Ours,
		"/room/50%25/live.json":               Ours,
		"/room/19%3Ax%3By%3D1/live.json":      Ours,

		"/":                           NotOurs,
		"/room/1":                     NotOurs,
		"/room/1.json":                NotOurs,
		"/room/1/recent.json":         NotOurs,
		"/room/1/live.json/x":         NotOurs,
		"/ROOM/1/live.json":           NotOurs,
		"/room/1/live":                NotOurs,
		"/x/room/1/live.json":         NotOurs,
		"/flows?users=1":              NotOurs,
		"/flows?users=1&filter=a":     NotOurs,
		"/flows/all?users=1":          NotOurs,
		"/flows/find?id=x":            NotOurs,
		"/flows/acme/main/messages":   NotOurs,
		"/flows/acme/main/messages/1": NotOurs,
		"/flowsx":                     NotOurs,
		"/a%2Fb":                      NotOurs,
		"/assets/%2e%2e/x":            NotOurs,

		"///room/1/live.json":                               Crooked,
		"/room//live.json":                                  Crooked,
		"/room//1/live.json":                                Crooked,
		"/room/1//live.json":                                Crooked,
		"/room/./live.json":                                 Crooked,
		"/room/../live.json":                                Crooked,
		"/room/%2e%2e/live.json":                            Crooked,
		"/room/%2E/live.json":                               Crooked,
		"/room/1/../2/live.json":                            Crooked,
		"/room/1%2F..%2F2/live.json":                        Crooked,
		"/room/1%2flive.json":                               Crooked,
		"/room%2F1%2Flive.json":                             Crooked,
		"/%2e%2e/room/1/live.json":                          Crooked,
		"/x/../room/1/live.json":                            Crooked,
		"/room/1%00/live.json":                              Crooked,
		"/room/1%0d%0a/live.json":                           Crooked,
		"/room/1%7f/live.json":                              Crooked,
		`/room\1\live.json`:                                 Crooked,
		"/room/1/live.json;x":                               Crooked,
		"/room/%c0%af/live.json":                            Crooked,
		"/room/%ff/live.json":                               Crooked,
		"/room/%E2%80%A8/live.json":                         Crooked,
		"/room/" + strings.Repeat("a", 257) + "/live.json":  Crooked,
		"/room/" + strings.Repeat("a", 9999) + "/live.json": Crooked,
		"http://u:p@example.com/room/1/live.json":           Crooked,
		"/flows/acme%2Fmain":                                Crooked,
		"/room/1%252F..%252F2/live.json":                    Crooked,
		"/room/1%252F2/live.json":                           Crooked,
		"/room/1;x=1/live.json":                             Crooked,
		"/room/1/live.json%3Fx":                             Crooked,
		"/room%2F1/live.json":                               Crooked,
		"/flows/../flows":                                   Crooked,
		"/flows/acme/%2e%2e":                                Crooked,
		"/flows%2Facme%2Fmain":                              Crooked,
		"/flows//":                                          Crooked,
	} {
		r := target(t, http.MethodGet, uri)
		line := ReadLine(r)
		if got := max(testCampfire.Claims(line, r), testFlowdock.Claims(line, r)); got != want {
			t.Errorf("%.60q: claim %d, want %d", uri, got, want)
		}
	}
}

func TestClaimsByMethod(t *testing.T) {
	for _, c := range []struct {
		method, uri, preflight string
		want                   Claim
	}{
		{"HEAD", "/room/1/live.json", "", Ours},
		{"OPTIONS", "/room/1/live.json", "", Ours},
		{"POST", "/room/1/live.json", "", Declined},
		{"DELETE", "/room/1/live.xml", "", Declined},
		{"POST", "/room/../live.json", "", Crooked},
		{"HEAD", "/flows?filter=a", "", Ours},
		{"POST", "/flows", "", NotOurs},
		{"PUT", "/flows/a/b", "", NotOurs},
		{"POST", "/flows/../flows", "", NotOurs},
		{"OPTIONS", "/flows?filter=a", "GET", Ours},
		{"OPTIONS", "/flows?filter=a", "POST", NotOurs},
		{"OPTIONS", "/flows?users=1", "GET", NotOurs},
		{"OPTIONS", "/flows/a/b", "PUT", NotOurs},
	} {
		r := target(t, c.method, c.uri)
		if c.preflight != "" {
			r.Header.Set("Access-Control-Request-Method", c.preflight)
		}
		line := ReadLine(r)
		if got := max(testCampfire.Claims(line, r), testFlowdock.Claims(line, r)); got != c.want {
			t.Errorf("%s %s (%s): claim %d, want %d", c.method, c.uri, c.preflight, got, c.want)
		}
	}
}

func TestPrefix(t *testing.T) {
	e := &flowdock{prefix: (&Place{"/stream/v1"}).segments(), maxChannels: 250}
	for uri, want := range map[string]Claim{
		"/stream/v1/flows": Ours, "/stream/v1/flows/a/b": Ours, "//stream/v1/flows": Ours,
		"/flows": NotOurs, "/stream/flows": NotOurs, "/stream/v1": NotOurs, "/stream/v1/../v1/flows": Crooked,
	} {
		r := target(t, http.MethodGet, uri)
		if got := e.Claims(ReadLine(r), r); got != want {
			t.Errorf("%s: claim %d, want %d", uri, got, want)
		}
	}
}

func TestForeignAuthority(t *testing.T) {
	r := target(t, http.MethodGet, "http://a.example/room/1/live.json")
	r.Host = "b.example"
	if got := testCampfire.Claims(ReadLine(r), r); got != Crooked {
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
		line := ReadLine(r)
		for _, e := range []Streaming{testCampfire, testFlowdock} {
			if e.Claims(line, r) != Ours {
				continue
			}
			a, re := e.Ask(line, r)
			if re != nil {
				continue
			}
			for _, channel := range a.Channels {
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
