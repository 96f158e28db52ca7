package endpoint

import (
	"bufio"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/seed-078801ba/sidestream/stream/event"
)

// awkwardNames are names of channels that real apps have, and others that are
// hard to ask for.
var awkwardNames = []string{
	"1", "#general", "a/b/c", "50%", "what?", "19:x;y=1", `a\b`, "a,b", ",", " a ", "/chat/room", "a//b", "a/", "a b", "a+b", "a&b=c", "%zz", "%2C", "%C3%A9",
	"live.json", "room", "flows", "!room:example.org", "acme:main", "acme/main", "*", "a/**", "B\u00fcro", "\"'<>", "..a", "a..", "...", "users=1",
}

// requestFor is a request as it comes over the wire.
func requestFor(t *testing.T, target string) *http.Request {
	t.Helper()
	r, err := http.ReadRequest(bufio.NewReader(strings.NewReader("GET " + target + " HTTP/1.1\r\nHost: example.com\r\n\r\n")))
	if err != nil {
		t.Fatalf("%q: %v", target, err)
	}
	return r
}

// checkReachable asks for a name in all ways that a client has.
func checkReachable(t *testing.T, name string) {
	t.Helper()
	type way struct {
		e      Streaming
		target string
	}
	ways := []way{
		{testCampfire, "/room/" + url.PathEscape(name) + "/live.json"}, {testCampfire, "/room/" + strings.ReplaceAll(url.QueryEscape(name), "+", "%20") + "/live.xml"},
		{testFlowdock, "/flows?filter=" + url.QueryEscape(name) + ","}, {testFlowdock, "/flows/?filter=x," + url.QueryEscape(name)},
	}
	if !strings.Contains(name, ",") && strings.TrimSpace(name) == name {
		ways = append(ways, way{testFlowdock, "/flows?filter=" + url.QueryEscape(name)}, way{testFlowdock, "/flows?filter=x%2C" + url.QueryEscape(name)})
	}
	if org, flow, ok := strings.Cut(name, "/"); ok && org != "" && flow != "" {
		ways = append(ways, way{testFlowdock, "/flows/" + url.PathEscape(org) + "/" + url.PathEscape(flow)})
	}
	for _, w := range ways {
		r := requestFor(t, w.target)
		line := ReadLine(r)
		if c := w.e.Claims(line, r); c != Ours {
			t.Errorf("%q: GET %s: claim %d", name, w.target, c)
			continue
		}
		a, re := w.e.Ask(line, r)
		if re != nil || !slices.Contains(a.Channels, name) || len(a.Channels) > 2 {
			t.Errorf("%q: GET %s: channels %q, %v", name, w.target, a.Channels, re)
		}
	}
}

// There is no name that an event may go to and that no client can ask for.
func TestEveryNameCanBeAskedFor(t *testing.T) {
	for _, name := range awkwardNames {
		if err := event.CheckChannel(name); err != nil {
			t.Errorf("%q: %v", name, err)
		}
		checkReachable(t, name)
	}
}

func FuzzEveryNameCanBeAskedFor(f *testing.F) {
	for _, name := range awkwardNames {
		f.Add(name)
	}
	f.Fuzz(func(t *testing.T, name string) {
		if event.ValidChannel(name) {
			checkReachable(t, name)
			return
		}
		r := requestFor(t, "/flows?filter="+url.QueryEscape(name)+",")
		if a, re := testFlowdock.Ask(ReadLine(r), r); re == nil {
			t.Errorf("%q is no name, and listens to %q", name, a.Channels)
		}
	})
}
