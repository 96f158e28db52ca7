package e2e

import (
	"net/http"
	"slices"
	"strings"
	"testing"
)

// Whatever the app answers to the question who may listen: only a clear yes
// opens a stream, and each kind of client is refused in its own words.
func TestVerdicts(t *testing.T) {
	never := make(chan struct{})
	t.Cleanup(func() { close(never) })
	b := newBackend(t)
	verdicts := map[string]verdict{
		"unknown":  {status: 401},
		"login":    {status: 302, header: map[string]string{"Location": "/login", "Set-Cookie": "a=b"}},
		"denied":   {status: 403, body: "<h1>no</h1>"},
		"absent":   {status: 404},
		"broken":   {status: 500, body: "a trace of the app"},
		"page":     {status: 200, header: map[string]string{"Content-Type": "text/html"}, body: "<h1>please log in</h1>"},
		"mistyped": {status: 200, body: `{"user_id":`},
		"huge":     {status: 200, body: `{"user_id":"7","x":"` + strings.Repeat("x", 1<<20) + `"}`},
		"busy":     {status: 429, header: map[string]string{"Retry-After": "7"}},
		"hanging":  {until: never},
	}
	for token, v := range verdicts {
		b.decide(token+"-token", "", v)
	}
	s := start(t, b.directives("history {\n store memory\n}"))
	for _, test := range []struct {
		token  string
		status int
	}{
		{"unknown", 401}, {"login", 401}, {"denied", 403}, {"absent", 404}, {"broken", 503}, {"page", 503},
		{"mistyped", 503}, {"huge", 503}, {"busy", 503}, {"hanging", 503},
	} {
		// After trouble the app is left alone for a moment, and everybody is
		// told so: come back until it has really been asked.
		eventually(t, "the app is asked about "+test.token, func() bool {
			s.open("/room/1/live.json", basic(test.token+"-token")).refusal()
			return slices.ContainsFunc(b.asked(), func(q question) bool { return q.token == test.token+"-token" })
		})
		t.Run(test.token+" to Campfire", func(t *testing.T) {
			st := s.forTest(t).open("/room/1/live.json", basic(test.token+"-token"))
			body := st.refusal()
			if st.status != test.status || !strings.HasPrefix(body, "Access Denied") {
				t.Errorf("%d %q, want %d", st.status, body, test.status)
			}
			checkRefusal(t, st, body)
		})
		t.Run(test.token+" to Flowdock", func(t *testing.T) {
			st := s.forTest(t).open("/flows?filter=acme/main", basic(test.token+"-token"))
			body := st.refusal()
			if st.status != test.status || !strings.HasPrefix(body, `{"message":`) {
				t.Errorf("%d %q, want %d", st.status, body, test.status)
			}
			checkRefusal(t, st, body)
		})
		t.Run(test.token+" to EventSource", func(t *testing.T) {
			st := s.forTest(t).open("/flows?filter=acme/main", basic(test.token+"-token"), "Accept: text/event-stream")
			if test.status == 503 { // which would make browsers give up for good
				body := st.body()
				if st.status != 200 || !strings.HasPrefix(body, "retry: ") {
					t.Errorf("%d %q, want a retry", st.status, body)
				}
				return
			}
			if body := st.refusal(); st.status != test.status {
				t.Errorf("%d %q, want %d", st.status, body, test.status)
			}
		})
	}
	for _, q := range b.asked() {
		if q.channel != "1" && q.channel != "acme/main" {
			t.Errorf("the app was asked about %q", q.channel)
		}
	}
}

// checkRefusal: a refusal says when to come back or how to log in, and nothing
// of what the app said.
func checkRefusal(t *testing.T, st *rawStream, body string) {
	t.Helper()
	if (st.status == 401) != strings.HasPrefix(st.header.Get("WWW-Authenticate"), "Basic realm=") {
		t.Errorf("%d with the challenge %q", st.status, st.header.Get("WWW-Authenticate"))
	}
	if (st.status == 503) != (st.header.Get("Retry-After") != "") {
		t.Errorf("%d with Retry-After %q", st.status, st.header.Get("Retry-After"))
	}
	if st.header.Get("Set-Cookie") != "" || st.header.Get("Location") != "" || strings.ContainsAny(body, "<>") || strings.Contains(body, "trace") {
		t.Errorf("the app's answer shines through: %v %q", st.header, body)
	}
}

// A message is only seen by those who may listen to its channel, and what is
// none of ours is the app's.
func TestChannelsAreApart(t *testing.T) {
	b := newBackend(t)
	b.decide("half-token", "1", verdict{})
	b.decide("half-token", "2", verdict{status: 403})
	s := start(t, b.directives("history {\n store memory\n}"))
	one := s.open("/flows?filter=1", basic("half-token"))
	both := s.open("/flows?filter=1,2", basic(goodToken))
	if st := s.open("/flows?filter=1,2", basic("half-token")); st.status != 403 {
		t.Errorf("half of the channels: %d", st.status)
	}
	s.publish("2", 1, "secret")
	s.publish("1", 2, "open")
	if got := one.until("open"); len(got) != 1 {
		t.Errorf("a stream of channel 1 got %q", got)
	}
	if got := both.until("open"); len(got) != 2 || !strings.Contains(got[0], "secret") {
		t.Errorf("a stream of both got %q", got)
	}
	req, err := http.NewRequest(http.MethodGet, s.url+"/flows?users=1", nil)
	if err != nil {
		t.Fatal(err)
	}
	if status, body := do(t, req); status != 200 || body != "the app's own GET /flows?users=1" {
		t.Errorf("the REST neighbour: %d %q", status, body)
	}
}

// A reload keeps streams, and one with a mistake changes nothing.
func TestReload(t *testing.T) {
	b := newBackend(t)
	s := start(t, b.directives(""))
	streams := []*rawStream{
		s.open("/room/1/live.json", basic(goodToken)),
		s.open("/flows?filter=1", basic(goodToken)),
		s.open("/flows?filter=1", basic(goodToken), "Accept: text/event-stream"),
	}
	var want []string
	say := func(id int, text string) {
		s.publish("1", id, text)
		want = append(want, text)
	}
	say(1, "before")
	s.reload(b.directives("heartbeat flowdock 1s"))
	say(2, "behind a reload")
	if err := s.tryReload(b.directives("heartbeet flowdock 1s")); err == nil {
		t.Error("a Caddyfile with a mistake was taken")
	}
	say(3, "behind a mistake")
	s.reload(b.directives("heartbeat flowdock 2s"))
	say(4, "the end")
	for i, st := range streams {
		var got []string
		for _, chunk := range st.until("the end") {
			got = append(got, want[slices.IndexFunc(want, func(text string) bool { return strings.Contains(chunk, `"`+text+`"`) })])
		}
		if !slices.Equal(got, want) {
			t.Errorf("stream %d got %q", i, got)
		}
	}
}
