package caddymodule

import (
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/seed-078801ba/sidestream/caddymodule/forwardauth"
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
	want := []string{"Accept", "Accept-Encoding", "Authorization", forwardauth.CheckHeader, "User-Agent", "Via", "X-Forwarded-Method", "X-Forwarded-Uri"}
	if !slices.Equal(names, want) {
		t.Errorf("headers %q, want %q", names, want)
	}
	for name, want := range map[string]string{
		"Authorization": strings.TrimPrefix(asBasic, "Authorization: "), "User-Agent": "Sidestream", "X-Forwarded-Uri": "/room/1/live.json?x=1", "Accept": "application/json",
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
	s.app.allow("tok", "1", "2", "3")
	for i, header := range []string{asBasic, asBearer, "Cookie: session=tok; other=x"} {
		s.app.forget()
		room := strconv.Itoa(i + 1) // one token is one client, however it comes
		s.open("/room/"+room+"/live.json", header)
		q := s.app.questions()[0]
		isCookie := strings.HasPrefix(header, "Cookie")
		wantURI, wantAuth, wantCookie := "/room/"+room+".json?t=tok", "Bearer tok", ""
		if isCookie {
			wantURI, wantAuth, wantCookie = "/room/"+room+".json?t=", "", "session=tok"
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
		if r.Header.Get(forwardauth.CheckHeader) != "" {
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

// What a handler in front of us has learnt of a client is part of the question.
func TestPlaceholdersOfCaddyReachTheApp(t *testing.T) {
	s := newSite(t)
	config := strings.Replace(s.caddyfile(hooks+inMemory+`
		auth GET /room/{channel}.json {
			header X-User {vars.user}
			header X-Group {header.Remote-Group}
		}`), "\tencode\n", "\tencode\n\t@known header X-Test-User *\n\tvars @known user {header.X-Test-User}\n", 1)
	if err := s.run(config); err != nil {
		t.Fatal(err)
	}
	s.app.answer = func(w http.ResponseWriter, r *http.Request) bool {
		if r.Header.Get("X-User") == "alice" && r.Header.Get("X-Group") == "staff" {
			w.Write([]byte("{}"))
			return true
		}
		return false
	}
	s.open("/room/1/live.json", "X-Test-User: alice", "Remote-Group: staff")
	if asked := s.app.questions(); len(asked) != 1 || asked[0].header.Get("X-Group") != "staff" {
		t.Fatalf("asked %v", asked)
	}
	s.app.forget()
	for _, header := range [][]string{{"X-Test-User: bob", "Remote-Group: staff"}, {"X-Test-User: alice", "Remote-Group: boss"}} {
		if resp := s.get("/room/1/live.json", header...); resp.StatusCode == 200 {
			t.Errorf("%q has the answer of another client", header)
		}
	}
	if asked := s.app.questions(); len(asked) != 2 {
		t.Errorf("%d questions about two other clients", len(asked))
	}
	s.app.forget()
	if resp := s.get("/room/1/live.json", asBasic, "Remote-Group: staff"); resp.StatusCode != 401 || len(s.app.questions()) != 0 {
		t.Errorf("without a user: %d, %d questions", resp.StatusCode, len(s.app.questions()))
	}
	eventually(t, "the log says why", func() bool { return strings.Contains(s.logs(), "{http.vars.user}") })
	// A page of another site may not use what the browser is known by.
	if resp := s.get("/room/1/live.json", "X-Test-User: alice", "Remote-Group: staff", "Origin: https://evil.test"); resp.StatusCode != 403 {
		t.Errorf("a foreign page: %d", resp.StatusCode)
	}
}
