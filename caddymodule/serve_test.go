package caddymodule

import (
	"net/http"
	"strings"
	"testing"

	"github.com/seed-078801ba/sidestream/caddymodule/forwardauth"
)

// basics is a block for most tests: rooms by path, history in memory.
const basics = hooks + `
		auth GET /room/{channel}.json
` + inMemory

const hooks = `
		webhook /hooks/own {
			verify bearer
			secret hook-secret
			map channel {json.room}
			map id {json.id}
			map user {json.user}
			map body {json.text}
		}`

const inMemory = `
		history {
			store memory
		}`

const (
	asBasic  = "Authorization: Basic dG9rOlg=" // tok:X
	asBearer = "Authorization: Bearer tok"
	asSSE    = "Accept: text/event-stream"
)

// post sends a message to a room.
func (s *site) post(room, id, text string) {
	s.t.Helper()
	resp := s.request(http.MethodPost, "/hooks/own", `{"room":"`+room+`","id":`+id+`,"user":5,"text":"`+text+`"}`,
		"Authorization: Bearer hook-secret", "Content-Type: application/json")
	if resp.StatusCode != http.StatusAccepted {
		s.t.Fatalf("the webhook was answered %d", resp.StatusCode)
	}
}

// open opens a stream.
func (s *site) open(target string, header ...string) *http.Response {
	s.t.Helper()
	resp := s.get(target, header...)
	if resp.StatusCode != http.StatusOK {
		s.t.Fatalf("%s: status %d: %s", target, resp.StatusCode, body(s.t, resp))
	}
	return resp
}

func TestStreamFromWebhookToClient(t *testing.T) {
	s := newSite(t)
	s.load(basics)
	s.app.allow("tok", "1", "acme%2Fmain")

	campfire := s.open("//room/1/live.json", asBasic)
	flow := s.open("/flows?filter=acme/main", asBearer, asSSE)
	s.post("1", "11", "hello")
	s.post("acme/main", "12", "there")
	if got := readUntil(t, campfire, "\r"); !strings.Contains(got, `"body":"hello"`) {
		t.Errorf("the Campfire stream said %q", got)
	}
	if got := readUntil(t, flow, "data:"); !strings.Contains(got, "id: ") {
		t.Errorf("the event stream said %q", got)
	}
	for name, want := range map[string]string{
		"Content-Type": "application/json", "Cache-Control": "no-cache, no-store, no-transform", "X-Accel-Buffering": "no",
		"Incremental": "?1", "Content-Encoding": "", "Referrer-Policy": "no-referrer",
	} {
		if got := campfire.Header.Get(name); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	if !campfire.Close || len(campfire.TransferEncoding) != 1 {
		t.Errorf("close %t, transfer encoding %q", campfire.Close, campfire.TransferEncoding)
	}
}

func TestOthersRequestsPassOn(t *testing.T) {
	s := newSite(t)
	s.load(basics)
	for _, c := range []struct{ method, target string }{
		{"GET", "/"}, {"GET", "/flows?users=1"}, {"POST", "/flows"}, {"GET", "/room/1.json"}, {"POST", "/room/1/speak.json"},
		{"GET", "/flows/acme/main/messages"}, {"GET", "/flows/all?users=1"}, {"OPTIONS", "/users/me"}, {"GET", "/hooks/own/more"},
	} {
		resp := s.request(c.method, c.target, "")
		if got, want := body(t, resp), "the app: "+c.method+" "+c.target; resp.StatusCode != http.StatusOK || got != want {
			t.Errorf("%s %s: %d %q", c.method, c.target, resp.StatusCode, got)
		}
	}
}

func TestCrookedLinesAskNobody(t *testing.T) {
	s := newSite(t)
	s.load(basics)
	s.app.allow("tok", "1", "2")
	for _, line := range []string{
		"GET /room/1/../2/live.json HTTP/1.1", "GET /room/%2e%2e/live.json HTTP/1.1", "GET /room/1%2f..%2f2/live.json HTTP/1.1",
		"GET /room/1%252f2/live.json HTTP/1.1", "GET /room/1%00/live.json HTTP/1.1", "GET /room/%zz/live.json HTTP/1.1",
		"GET ///room/1/live.json HTTP/1.1", "GET /room/1;a/live.json HTTP/1.1", `GET /room\1\live.json HTTP/1.1`,
		"GET http://u:p@chat.test/room/1/live.json HTTP/1.1", "GET /room/user:7/live.json HTTP/1.1",
		"GET /flows?filter=a&filter=b HTTP/1.1", "GET /flows HTTP/1.1", "GET /flows?filter= HTTP/1.1",
		"GET /room/1/live.json?access_token=a&access_token=b HTTP/1.1",
		"GET /room/1/live.json?access_token=a HTTP/1.1\r\n" + asBasic,
		"GET /room/1/live.json HTTP/1.1\r\n" + asBasic + "\r\n" + asBasic,
		"GET /room/1/live.json HTTP/1.1\r\nContent-Length: 2",
	} {
		line, header, _ := strings.Cut(line, "\r\n")
		if !strings.Contains(header, "Authorization") && !strings.Contains(line, "access_token") {
			header = strings.TrimPrefix(header+"\r\n"+asBasic, "\r\n")
		}
		resp := s.raw(line + "\r\nHost: chat.test\r\n" + header + "\r\n\r\n{}")
		if resp.StatusCode != http.StatusBadRequest {
			t.Errorf("%s: status %d", line, resp.StatusCode)
		}
	}
	if got := s.app.questions(); len(got) > 0 {
		t.Errorf("the app was asked: %+v", got)
	}
	resp := s.raw("GET http://chat.test/room/1/live.json HTTP/1.1\r\nHost: other.test\r\n" + asBasic + "\r\n\r\n")
	if resp.StatusCode != http.StatusOK || s.app.questions()[0].host != "chat.test" {
		t.Errorf("absolute form: status %d, asked %+v", resp.StatusCode, s.app.questions())
	}
}

func TestRefusalsSpeakTheClientsLanguage(t *testing.T) {
	s := newSite(t)
	s.load(basics)
	for _, c := range []struct {
		target string
		header []string
		status int
		begins string
		kind   string
		names  map[string]string
	}{
		{"/room/1/live.json", nil, 401, "Access Denied", "text/plain; charset=utf-8", map[string]string{"Www-Authenticate": `Basic realm="Sidestream"`}},
		{"/room/1/live.json", []string{"Cookie: a=b"}, 401, "Access Denied", "text/plain; charset=utf-8", map[string]string{"Www-Authenticate": `Bearer realm="Sidestream"`}},
		{"/room/1/live.json", []string{"Authorization: Bearer bad"}, 401, "Access Denied", "text/plain; charset=utf-8", nil},
		{"/room/1/live.json", []string{asBasic}, 403, "Access Denied", "text/plain; charset=utf-8", nil},
		{"/flows?filter=1", nil, 401, `{"message":"`, "application/json", map[string]string{"Www-Authenticate": `Basic realm="Sidestream"`}},
		{"/flows?filter=1", []string{asBasic, asSSE}, 403, `{"message":"`, "application/json", nil},
		{"/flows?filter=1&user=1", []string{asBasic}, 403, `{"message":"`, "application/json", nil},
		{"/flows?filter=1,2", []string{asBasic, "Origin: https://page.test"}, 403, `{"message":"`, "application/json",
			map[string]string{"Access-Control-Allow-Origin": "https://page.test", "Access-Control-Allow-Credentials": "", "Vary": "Origin"}},
		{"/flows", []string{asBasic}, 400, `{"message":"`, "application/json", nil},
		{"/flows/a/b?filter=x&filter=y", []string{asBasic}, 400, `{"message":"`, "application/json", nil},
	} {
		resp := s.get(c.target, c.header...)
		got := body(t, resp)
		if resp.StatusCode != c.status || !strings.HasPrefix(got, c.begins) || resp.Header.Get("Content-Type") != c.kind {
			t.Errorf("%s %q: %d %s %q", c.target, c.header, resp.StatusCode, resp.Header.Get("Content-Type"), got)
		}
		if resp.Header.Get("Cache-Control") != "no-store" {
			t.Errorf("%s: Cache-Control %q", c.target, resp.Header.Get("Cache-Control"))
		}
		for name, want := range c.names {
			if got := resp.Header.Get(name); got != want {
				t.Errorf("%s %q: %s is %q, want %q", c.target, c.header, name, got, want)
			}
		}
	}
}

func TestTroubleThatPasses(t *testing.T) {
	s := newSite(t)
	s.load(basics)
	for _, status := range []int{500, 502, 405, 204 + 300} {
		s.app.respond(status)
		s.app.forget()
		s.load(basics) // forgets answers
		if resp := s.get("/room/1/live.json", asBasic); resp.StatusCode != 503 || resp.Header.Get("Retry-After") == "" {
			t.Errorf("backend %d: status %d, Retry-After %q", status, resp.StatusCode, resp.Header.Get("Retry-After"))
		}
		resp := s.get("/flows?filter=1", asBasic, asSSE)
		if got := body(t, resp); resp.StatusCode != 200 || !strings.HasPrefix(got, "retry: ") || strings.Contains(got, "data") ||
			resp.Header.Get("Content-Type") != "text/event-stream" {
			t.Errorf("backend %d: %d %q", status, resp.StatusCode, got)
		}
	}
	for status, want := range map[int]int{301: 503, 302: 503, 401: 401, 407: 503, 403: 403, 404: 404, 410: 404, 400: 404, 422: 404, 429: 503} {
		s.app.respond(status)
		s.load(basics)
		if resp := s.get("/room/1/live.json", asBasic); resp.StatusCode != want {
			t.Errorf("backend %d: status %d, want %d", status, resp.StatusCode, want)
		}
	}
}

func TestMethods(t *testing.T) {
	s := newSite(t)
	s.load(basics)
	s.app.allow("tok", "1")
	head := s.request("HEAD", "/room/1/live.json", "", asBasic)
	if head.StatusCode != 200 || head.Header.Get("Content-Type") != "application/json" || body(t, head) != "" {
		t.Errorf("HEAD: %d %v", head.StatusCode, head.Header)
	}
	if resp := s.request("HEAD", "/room/2/live.json", "", asBasic); resp.StatusCode != 403 {
		t.Errorf("HEAD of a denied room: %d", resp.StatusCode)
	}
	if resp := s.request("POST", "/room/1/live.json", "x", asBasic); resp.StatusCode != 405 || resp.Header.Get("Allow") == "" {
		t.Errorf("POST: %d", resp.StatusCode)
	}
	preflight := s.request("OPTIONS", "/flows?filter=1", "", "Origin: https://page.test", "Access-Control-Request-Method: GET")
	if h := preflight.Header; preflight.StatusCode != 204 || h.Get("Access-Control-Allow-Origin") != "https://page.test" ||
		!strings.Contains(h.Get("Access-Control-Allow-Headers"), "Authorization") || !strings.Contains(h.Get("Access-Control-Allow-Methods"), "GET") {
		t.Errorf("preflight: %d %v", preflight.StatusCode, h)
	}
	if resp := s.request("OPTIONS", "/flows?filter=1", "", "Origin: null", "Access-Control-Request-Method: GET"); resp.Header.Get("Access-Control-Allow-Origin") != "" {
		t.Error("the origin null was let in")
	}
	if resp := s.get("/room/1/live.json", asBasic, forwardauth.CheckHeader+": 1"); resp.StatusCode != 508 {
		t.Errorf("a question that came back: %d", resp.StatusCode)
	}
}
