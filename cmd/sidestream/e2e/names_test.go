package e2e

import (
	"encoding/json"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/seed-078801ba/sidestream/stream/redisconn/redistest"
)

// nameSource is a Redis that brings in the same messages as the webhook.
func nameSource(address string) string {
	return fmt.Sprintf(`history {
		store memory
	}
	redis redis://%s {
		subscribe said
		map channel {json.channel}
		map id      {json.id}
		map body    {json.text}
		probe 1s
	}
	webhook /hooks/flows {
		preset flowdock
		verify none
	}
	redis redis://%[1]s {
		name flows
		subscribe flows
		preset flowdock
		probe 1s
	}`, address)
}

// A channel has the name that the app gives it, whichever way its messages come
// and whichever kind of client asks for it.
func TestChannelsOfAnyName(t *testing.T) {
	redis := redistest.Start(t)
	app := redisClient(t, redis.Addr)
	b := newBackend(t)
	s := start(t, b.directives(nameSource(redis.Addr)))
	names := []string{
		"#general", "a/b/c", "50%", "what?", "19:x;y=1", `a\b`, "a,b", "!room:example.org", "/chat/room", " a ", "a+b&c=d", "Büro", `"<'>`, "*", "%zz",
	}
	for i, name := range names {
		segment, value := url.PathEscape(name), url.QueryEscape(name)
		if strings.Contains(name, ",") || strings.TrimSpace(name) != name {
			value += ","
		}
		asked := len(b.asked())
		streams := map[string]*rawStream{}
		for _, target := range []string{
			"/room/" + segment + "/live.json", "/room/" + segment + "/live.xml", "/flows?filter=" + value, "/flows?filter=" + value + "&accept=text/event-stream",
			"/flows?filter=other-" + fmt.Sprint(i) + "," + value,
		} {
			st := s.open(target, basic(goodToken))
			if st.status != 200 {
				t.Errorf("%q: GET %s: %d %s", name, target, st.status, st.refusal())
				continue
			}
			streams[target] = st
		}
		for _, q := range b.asked()[asked:] {
			if q.channel != name && q.channel != fmt.Sprint("other-", i) {
				t.Errorf("%q: the app was asked about %q", name, q.channel)
			}
		}
		s.publish(name, 2*i+1, fmt.Sprintf("by webhook %d.", i))
		message, err := json.Marshal(map[string]any{"channel": name, "id": 2*i + 2, "text": fmt.Sprintf("by Redis %d.", i)})
		if err != nil {
			t.Fatal(err)
		}
		tell(t, app, "PUBLISH", "said", string(message))
		for target, st := range streams {
			if c := st.next(); !strings.Contains(c, fmt.Sprintf("by webhook %d.", i)) {
				t.Errorf("%q: GET %s: %q", name, target, c)
			}
			if c := st.next(); !strings.Contains(c, fmt.Sprintf("by Redis %d.", i)) {
				t.Errorf("%q: GET %s: %q", name, target, c)
			}
			st.conn.Close()
		}
	}
}

// org:flow is org/flow, for all clients and by every way in.
func TestFlowsByTheirOldIDs(t *testing.T) {
	redis := redistest.Start(t)
	app := redisClient(t, redis.Addr)
	b := newBackend(t)
	s := start(t, b.directives(nameSource(redis.Addr)))
	targets := []string{"/flows?filter=acme:main", "/flows?filter=acme%3Amain", "/flows?filter=acme/main", "/flows/acme/main", "/room/acme%2Fmain/live.json", "/room/acme:main/live.json"}
	var streams []*rawStream
	for _, target := range targets {
		streams = append(streams, s.open(target, basic(goodToken)))
	}
	flow := func(text string, id int) string {
		return fmt.Sprintf(`{"event":"message","flow":"acme:main","id":%d,"content":%q,"user":"7","sent":1317715309000,"tags":[]}`, id, text)
	}
	s.publish("acme:main", 1, "mapped")
	s.publish("acme/main", 2, "with a slash")
	if status, answer := s.post("/hooks/flows", []byte(flow("flow by webhook", 3))); status/100 != 2 {
		t.Fatalf("a flow's message: %d %s", status, answer)
	}
	tell(t, app, "PUBLISH", "said", `{"channel":"acme:main","id":4,"text":"by Redis"}`)
	streams[0].until("by Redis")
	tell(t, app, "PUBLISH", "flows", flow("flow of Redis", 5))
	for i, st := range streams {
		got := strings.Join(st.until("flow of Redis"), "")
		for _, text := range []string{"mapped", "with a slash", "flow by webhook", "by Redis"} {
			if i > 0 && !strings.Contains(got, text) {
				t.Errorf("GET %s misses %q: %q", targets[i], text, got)
			}
		}
	}
	for _, q := range b.asked() {
		if q.channel != "acme/main" {
			t.Errorf("the app was asked about %q", q.channel)
		}
	}
}

// What cannot be the name of a channel is refused on both sides: no client may
// ask for it, and no message goes there.
func TestWhatIsNoNameIsRefusedOnBothSides(t *testing.T) {
	b := newBackend(t)
	s := start(t, b.directives("history {\n store memory\n}"))
	wrong := []string{"user:7", ".", "..", "a/../b", `a\..\b`, "a\nb", "a\x7f", "\u2028", strings.Repeat("a", 257), "a%2Fb", "%2e%2e", "\uFFFD"}
	for _, name := range wrong {
		for _, target := range []string{"/room/" + url.PathEscape(name) + "/live.json", "/flows?filter=" + url.QueryEscape(name)} {
			if st := s.open(target, basic(goodToken)); st.status != 400 {
				t.Errorf("GET %s: %d", target, st.status)
			}
		}
		body, err := json.Marshal(map[string]any{"channel": name, "id": 1, "text": "x"})
		if err != nil {
			t.Fatal(err)
		}
		if status, answer := s.post("/hooks/own", body); status != 200 && status != 202 || answer != `{"events":[],"unmapped":1}` {
			t.Errorf("a message to %q: %d %s", name, status, answer)
		}
	}
	if asked := b.asked(); len(asked) > 0 {
		t.Errorf("the app was asked %v", asked)
	}
	log := s.errOut.tail(1 << 20)
	if n := strings.Count(log, "could not be mapped"); n != 1 {
		t.Errorf("%d lines of the log say so", n)
	}
	if !strings.Contains(log, "kept for private messages") || slices.ContainsFunc(wrong[5:], func(name string) bool { return strings.Contains(log, name) }) {
		t.Errorf("the log: %s", log)
	}
}
