package caddymodule

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"

	"github.com/seed-078801ba/sidestream/stream/access"
)

func TestWhatTheBackendGets(t *testing.T) {
	s := newSite(t)
	s.load(basics)
	s.app.allow("tok", "1")
	s.open("/room/1/live.json?x=1", asBasic, "Connection: Authorization, X-Forwarded-Uri", "X-Forwarded-For: 10.0.0.1", "X-Forwarded-Uri: /evil",
		"X-Forwarded-Host: evil.test", "X-Real-Ip: 10.0.0.1", "X-User: admin", "Forwarded: for=1.2.3.4", "User-Agent: MSIE 5", "Cookie: session=stale",
		"Range: bytes=0-1", "If-None-Match: x", "Upgrade: websocket")
	asked := s.app.questions()
	if len(asked) != 1 {
		t.Fatalf("%d questions", len(asked))
	}
	q := asked[0]
	if q.method != "GET" || q.uri != "/room/1.json" || q.host != "chat.test" {
		t.Errorf("asked %s %s of %s", q.method, q.uri, q.host)
	}
	var names []string
	for name := range q.header {
		names = append(names, name)
	}
	slices.Sort(names)
	want := []string{"Accept", "Accept-Encoding", "Authorization", checkHeader, "User-Agent", "Via", "X-Forwarded-Method", "X-Forwarded-Uri"}
	if !slices.Equal(names, want) {
		t.Errorf("headers %q, want %q", names, want)
	}
	for name, want := range map[string]string{
		"Authorization": strings.TrimPrefix(asBasic, "Authorization: "), "User-Agent": userAgent, "X-Forwarded-Uri": "/room/1/live.json?x=1", "Accept": "application/json",
	} {
		if got := q.header.Get(name); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
}

func TestTranslatedCredentials(t *testing.T) {
	s := newSite(t)
	s.load(hooks + inMemory + `
		auth GET /room/{channel}.json?t={token} {
			header Authorization "Bearer {token}"
			header X-Auth-Token {token}
			header X-Site {env.SIDESTREAM_TEST_SITE}plain
			cookies session
		}`)
	s.app.allow("tok", "1")
	for _, header := range []string{asBasic, asBearer, "Cookie: session=tok; other=x"} {
		s.app.forget()
		s.open("/room/1/live.json", header)
		q := s.app.questions()[0]
		isCookie := strings.HasPrefix(header, "Cookie")
		wantURI, wantAuth, wantCookie := "/room/1.json?t=tok", "Bearer tok", ""
		if isCookie {
			wantURI, wantAuth, wantCookie = "/room/1.json?t=", "", "session=tok"
		}
		if q.uri != wantURI || q.header.Get("Authorization") != wantAuth || q.header.Get("Cookie") != wantCookie || q.header.Get("X-Site") != "plain" {
			t.Errorf("%s: asked %s with %v", header, q.uri, q.header)
		}
	}
	// never a cookie beside a token
	s.app.forget()
	s.load(hooks + inMemory + `
		auth GET /room/{channel}.json {
			cookies session
		}`)
	s.open("/room/1/live.json", asBasic, "Cookie: session=stale")
	if q := s.app.questions()[0]; q.header.Get("Cookie") != "" {
		t.Errorf("a cookie was sent beside a token: %v", q.header)
	}
	// and none from a foreign page
	if resp := s.get("/room/1/live.json", "Cookie: session=tok", "Origin: https://evil.test"); resp.StatusCode != 403 || resp.Header.Get("Access-Control-Allow-Origin") != "" {
		t.Errorf("a foreign page: %d %v", resp.StatusCode, resp.Header)
	}
}

func TestSeveralChannels(t *testing.T) {
	s := newSite(t)
	s.load(basics)
	s.app.allow("tok", "a%2Fb", "c%2Fd")
	if resp := s.get("/flows?filter=a/b,x/y", asBasic); resp.StatusCode != 403 || strings.Contains(body(t, resp), "x/y") {
		t.Errorf("one of two denied: %d", resp.StatusCode)
	}
	flows := s.open("/flows?filter=a%2Fb,c:d", asBasic)
	s.post("a/b", "1", "one")
	s.post("x/y", "2", "not for you")
	s.post("c/d", "3", "three")
	if got := readUntil(t, flows, "three"); strings.Contains(got, "not for you") || !strings.Contains(got, "one") {
		t.Errorf("the stream said %q", got)
	}
	s.load(strings.Replace(basics, "auth GET /room/{channel}.json", "auth GET /room/{channel}.json {\n filter intersect\n}", 1))
	both := s.open("/flows?filter=a/b,x/y", asBasic)
	if got := both.Header.Get("Stream-Refused"); got != "x%2Fy" {
		t.Errorf("Stream-Refused: %q", got)
	}
	if resp := s.get("/flows?filter=x/y,x/z", asBasic); resp.StatusCode != 403 {
		t.Errorf("all denied: %d", resp.StatusCode)
	}
}

func TestPrivateMessages(t *testing.T) {
	s := newSite(t)
	s.load(strings.Replace(hooks, "map user", "map to {json.to}\n map user", 1) + inMemory + `
		auth GET /room/{channel}.json {
			identity GET /users/me.json
			user json user.id
		}`)
	s.app.allow("tok", "1")
	private := s.open("/flows?filter=&user=1", asBasic)
	resp := s.request("POST", "/hooks/own", `{"to":7,"id":1,"text":"psst"}`, "Authorization: Bearer hook-secret", "Content-Type: application/json")
	if resp.StatusCode != 202 {
		t.Fatalf("webhook: %d", resp.StatusCode)
	}
	s.request("POST", "/hooks/own", `{"to":8,"id":2,"text":"not yours"}`, "Authorization: Bearer hook-secret", "Content-Type: application/json")
	s.request("POST", "/hooks/own", `{"to":7,"id":3,"text":"again"}`, "Authorization: Bearer hook-secret", "Content-Type: application/json")
	if got := readUntil(t, private, "again"); !strings.Contains(got, "psst") || strings.Contains(got, "not yours") {
		t.Errorf("the stream said %q", got)
	}
	if resp := s.get("/flows?filter=&user=1", "Authorization: Bearer bad"); resp.StatusCode != 401 {
		t.Errorf("a bad token: %d", resp.StatusCode)
	}
}

func TestQuestionsAreShared(t *testing.T) {
	s := newSite(t)
	s.load(basics)
	s.app.allow("tok", "1")
	for range 5 {
		s.open("/room/1/live.json", asBasic)
	}
	if n := len(s.app.questions()); n != 1 {
		t.Errorf("%d questions for one client and one room", n)
	}
	if resp := s.get("/room/1/live.json", "Authorization: Basic dG9yOlg="); resp.StatusCode != 403 {
		t.Errorf("another token: %d", resp.StatusCode)
	}
}

func TestOverlongAnswer(t *testing.T) {
	s := newSite(t)
	s.app.answer = func(w http.ResponseWriter, r *http.Request) bool {
		if r.Header.Get(checkHeader) != "" {
			for range 200 {
				w.Write([]byte(strings.Repeat("x", 1024)))
			}
			return true
		}
		return false
	}
	s.load(basics)
	if resp := s.get("/room/1/live.json", asBasic); resp.StatusCode != 503 {
		t.Errorf("status %d", resp.StatusCode)
	}
}

// TestPresets holds every preset's request and condition to the answers that
// were seen of these backends.
func TestPresets(t *testing.T) {
	c := &client{credential: credential{token: "tok", password: "pw", authorization: "Basic x"}}
	for _, x := range []struct {
		preset, channel string
		uri             string
		header          map[string]string
		status          int
		body            string
		outcome         access.Outcome
		cause           access.Cause
		user            string
	}{
		{"mattermost", "c1", "/api/v4/channels/c1/members/me", map[string]string{"Authorization": "Bearer tok"}, 200, `{"channel_id":"c1","user_id":"u1"}`, access.Allowed, 0, "u1"},
		{"mattermost", "c1", "", nil, 200, `{"channel_id":"c2","user_id":"u1"}`, access.Denied, access.Forbidden, ""},
		{"mattermost", "c1", "", nil, 403, `{}`, access.Denied, access.Forbidden, ""},
		{"mattermost", "c1", "", nil, 200, `<html>`, access.Unknown, access.Unavailable, ""},
		{"matrix", "!a:b", "/_matrix/client/v3/joined_rooms", map[string]string{"Authorization": "Bearer tok"}, 200, `{"joined_rooms":["!a:b"]}`, access.Allowed, 0, ""},
		{"rocketchat", "r", "/api/v1/rooms.info?roomId=r", map[string]string{"X-User-Id": "tok", "X-Auth-Token": "pw", "Authorization": ""}, 200, `{"success":true}`, access.Allowed, 0, ""},
		{"rocketchat", "r", "", nil, 200, `{"success":false}`, access.Denied, access.Forbidden, ""},
		{"rocketchat", "r", "", nil, 400, `{"success":false,"error":"not-allowed"}`, access.Denied, access.Forbidden, ""},
		{"zulip", "5", "/api/v1/users/me/5/topics", map[string]string{"Authorization": "Basic x"}, 200, `{"result":"success"}`, access.Allowed, 0, ""},
		{"zulip", "5", "", nil, 400, `{"result":"error"}`, access.Denied, access.NotFound, ""},
		{"discourse", "5", "/chat/api/channels/5/messages?page_size=1", map[string]string{"User-Api-Key": "tok"}, 200, `{}`, access.Allowed, 0, ""},
		{"campfire", "5", "/rooms/5/involvement", nil, 302, ``, access.Denied, access.BadCredential, ""},
		{"campfire_classic", "5", "/room/5.json", map[string]string{"Authorization": "Basic x"}, 200, `{}`, access.Allowed, 0, ""},
		{"flowdock", "a/b", "/flows/a/b", map[string]string{"Authorization": "Basic x"}, 404, `{}`, access.Denied, access.NotFound, ""},
		{"laravel", "5", "/broadcasting/auth", map[string]string{"Authorization": "Basic x"}, 200, `{}`, access.Allowed, 0, ""},
	} {
		a := &Auth{Preset: x.preset}
		if err := a.provision(caddy.NewReplacer()); err != nil {
			t.Fatalf("%s: %v", x.preset, err)
		}
		q := &question{client: c, channel: x.channel, list: a.listPath != nil}
		if x.uri != "" {
			shown, secret := a.secrets(a.uri, a.Method, q)
			if shown != x.uri {
				t.Errorf("%s: asks %s, want %s", x.preset, shown, x.uri)
			}
			for name, want := range x.header {
				if got := secret.header.Get(name); got != want {
					t.Errorf("%s: %s is %q, want %q", x.preset, name, got, want)
				}
			}
		}
		v := a.read(reply{status: x.status, header: http.Header{}, body: []byte(x.body)}, q)
		if v.Outcome != x.outcome || v.Cause != x.cause || v.User != x.user {
			t.Errorf("%s %d %s: %v %v %q", x.preset, x.status, x.body, v.Outcome, v.Cause, v.User)
		}
	}
}

func TestAgeOfAnswers(t *testing.T) {
	for value, want := range map[string]int{
		"": 0, "no-store": -1, "max-age=10": 10, "private, max-age=0, must-revalidate": 0, "no-cache, no-store, max-age=9": -1, "max-age=x": 0,
	} {
		h := http.Header{}
		if value != "" {
			h.Set("Cache-Control", value)
		}
		got := maxAge(h)
		if got > 0 {
			got /= 1e9
		}
		if int(got) != want {
			t.Errorf("%q: %d, want %d", value, got, want)
		}
	}
}
