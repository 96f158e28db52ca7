package chatbackend

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// newServer is a backend behind a real listener, without webhooks.
func newServer(t *testing.T) *httptest.Server {
	t.Helper()
	b, err := New(Config{Now: func() time.Time { return time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC) }})
	if err != nil {
		t.Fatal(err)
	}
	s := httptest.NewServer(b)
	t.Cleanup(func() { s.Close(); b.Close(); http.DefaultClient.CloseIdleConnections() })
	return s
}

type call struct {
	method, path, token, body string
	header                    http.Header
}

func (c call) do(t *testing.T, client *http.Client, base string) (*http.Response, string) {
	t.Helper()
	req, err := http.NewRequest(c.method, base+c.path, strings.NewReader(c.body))
	if err != nil {
		t.Fatal(err)
	}
	for k, v := range c.header {
		req.Header[k] = v
	}
	if c.token != "" {
		req.SetBasicAuth(c.token, "X")
	}
	resp, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp, string(body)
}

func TestAnswers(t *testing.T) {
	s := newServer(t)
	for _, test := range []struct {
		call
		status   int
		contains string
	}{
		{call{"GET", "/users/me.json", "alice-token", "", nil}, 200, `"api_auth_token":"alice-token"`},
		{call{"GET", "/users/me", "bob-token", "", nil}, 200, `"name":"Bob"`},
		{call{"GET", "/users/me", "", "", http.Header{"Authorization": {"Bearer bob-token"}}}, 200, `"name":"Bob"`},
		{call{"GET", "/users/me", "", "", http.Header{"Authorization": {"Bearer mallory"}}}, 401, "Access denied"},
		{call{"GET", "/users/me", "", "", nil}, 401, "Access denied"},
		{call{"GET", "/users/me", "mallory", "", nil}, 401, "Access denied"},
		{call{"GET", "/users/2", "alice-token", "", nil}, 200, `"name":"Bob"`},
		{call{"GET", "/users/2.json", "alice-token", "", nil}, 200, `"name":"Bob"`},
		{call{"GET", "/users/9", "alice-token", "", nil}, 404, ""},
		{call{"GET", "/users/02", "alice-token", "", nil}, 404, ""},
		{call{"GET", "/rooms.json", "bob-token", "", nil}, 200, `"name":"Engineering"`},
		{call{"GET", "/presence.json", "bob-token", "", nil}, 200, `"name":"Lobby"`},
		{call{"GET", "/room/1.json", "bob-token", "", nil}, 200, `"users":[`},
		{call{"GET", "/room/1", "bob-token", "", nil}, 200, `"users":[`},
		{call{"GET", "/room/1/recent.json", "bob-token", "", nil}, 200, `{"messages":[]}`},
		{call{"GET", "/room/1.json", "", "", nil}, 401, ""},
		{call{"GET", "/room/3.json", "bob-token", "", nil}, 403, ""},
		{call{"GET", "/room/9.json", "bob-token", "", nil}, 404, ""},
		{call{"GET", "/room/x.json", "bob-token", "", nil}, 404, ""},
		{call{"GET", "/room/01.json", "bob-token", "", nil}, 404, ""},
		{call{"POST", "/room/1/speak.json", "bob-token", `{"message":{"body":"hi","type":"TextMessage"}}`, nil}, 201, `"body":"hi"`},
		{call{"POST", "/room/1/speak", "bob-token", `{"message":{"body":"a\nb"}}`, nil}, 201, `"type":"PasteMessage"`},
		{call{"POST", "/room/1/speak", "bob-token", `{"message":{"body":"tada","type":"SoundMessage"}}`, nil}, 201, `"type":"SoundMessage"`},
		{call{"POST", "/room/1/speak", "bob-token", `{"message":{"body":"x","type":"EnterMessage"}}`, nil}, 201, `"type":"TextMessage"`},
		{call{"POST", "/room/1/speak", "bob-token", `{"message":{"body":""}}`, nil}, 422, ""},
		{call{"POST", "/room/1/speak", "bob-token", `hi`, nil}, 400, ""},
		{call{"POST", "/room/1/speak", "bob-token", `{"message":{"body":"` + strings.Repeat("x", 9000) + `"}}`, nil}, 422, ""},
		{call{"POST", "/room/1/speak", "bob-token", `{"message":{"body":"` + strings.Repeat("x", maxRequest) + `"}}`, nil}, 413, ""},
		{call{"POST", "/room/3/speak", "bob-token", `{"message":{"body":"hi"}}`, nil}, 403, ""},
		{call{"POST", "/room/1/join.xml", "bob-token", "", nil}, 200, " "},
		{call{"POST", "/room/3/join", "bob-token", "", nil}, 403, ""},
		{call{"POST", "/room/1/speak", "bob-token", `{}`, http.Header{"Origin": {"https://evil.example"}}}, 403, ""},
		{call{"GET", "/", "", "", nil}, 200, "<title>Chat</title>"},
		{call{"GET", "/page/chat.js", "", "", nil}, 200, "EventSource"},
		{call{"GET", "/page/chat.css", "", "", nil}, 200, ""},
		{call{"GET", "/favicon.ico", "", "", nil}, 200, "<svg"},
		{call{"GET", "/page/", "", "", nil}, 404, ""},
		{call{"GET", "/room/1/live.json", "bob-token", "", nil}, 404, ""},
	} {
		resp, body := test.do(t, http.DefaultClient, s.URL)
		if resp.StatusCode != test.status || !strings.Contains(body, test.contains) {
			t.Errorf("%s %s by %q: %d %.200q; want %d with %q", test.method, test.path, test.token, resp.StatusCode, body, test.status, test.contains)
		}
		if challenge := resp.Header.Get("WWW-Authenticate"); (resp.StatusCode == 401) != strings.HasPrefix(challenge, "Basic ") {
			t.Errorf("%s %s: %d with the challenge %q", test.method, test.path, resp.StatusCode, challenge)
		}
	}
}

func TestRecent(t *testing.T) {
	s := newServer(t)
	for range 105 {
		call{"POST", "/room/1/speak", "bob-token", `{"message":{"body":"x"}}`, nil}.do(t, http.DefaultClient, s.URL)
	}
	for _, test := range []struct {
		query       string
		first, last int64
		n           int
	}{
		{"", 6, 105, 100}, {"?limit=2", 104, 105, 2}, {"?since_message_id=", 6, 105, 100},
		{"?since_message_id=3&limit=4", 4, 7, 4}, {"?since_message_id=105", 0, 0, 0}, {"?limit=1000", 6, 105, 100},
	} {
		_, body := call{"GET", "/room/1/recent.json" + test.query, "bob-token", "", nil}.do(t, http.DefaultClient, s.URL)
		var got struct{ Messages []Message }
		if err := json.Unmarshal([]byte(body), &got); err != nil {
			t.Fatal(err)
		}
		n := len(got.Messages)
		if n != test.n || n > 0 && (got.Messages[0].ID != test.first || got.Messages[n-1].ID != test.last) {
			t.Errorf("%q: %d messages, %.80s", test.query, n, body)
		}
	}
}

// The schema is what Campfire's clients read.
func TestMessageSchema(t *testing.T) {
	s := newServer(t)
	_, body := call{"POST", "/room/1/speak", "bob-token", `{"message":{"body":"hé"}}`, nil}.do(t, http.DefaultClient, s.URL)
	want := `{"message":{"room_id":1,"created_at":"2026/03/04 05:06:07 +0000","body":"hé","starred":false,"id":1,"user_id":2,"type":"TextMessage"}}`
	if strings.TrimSpace(body) != want {
		t.Errorf("got %s\nwant %s", body, want)
	}
}

func TestJoinSaysItOnce(t *testing.T) {
	s := newServer(t)
	for _, path := range []string{"join", "join", "leave", "leave", "join"} {
		resp, body := call{"POST", "/room/1/" + path, "bob-token", "", nil}.do(t, http.DefaultClient, s.URL)
		if resp.StatusCode != 200 || body != " " {
			t.Fatalf("%s: %d %q", path, resp.StatusCode, body)
		}
	}
	_, body := call{"GET", "/room/1/recent", "bob-token", "", nil}.do(t, http.DefaultClient, s.URL)
	if e, l := strings.Count(body, "EnterMessage"), strings.Count(body, "LeaveMessage"); e != 2 || l != 1 {
		t.Errorf("%d entered, %d left: %s", e, l, body)
	}
}

func TestSession(t *testing.T) {
	s := newServer(t)
	jar, _ := cookiejar.New(nil) // never fails
	browser := &http.Client{Jar: jar, Transport: http.DefaultTransport}
	form := http.Header{"Content-Type": {"application/x-www-form-urlencoded"}}
	page := http.Header{"Sec-Fetch-Mode": {"cors"}, "Sec-Fetch-Site": {"same-origin"}}

	resp, _ := call{"GET", "/users/me.json", "", "", page}.do(t, browser, s.URL)
	if resp.StatusCode != 401 || resp.Header.Get("WWW-Authenticate") != "" {
		t.Errorf("a page that is not signed in: %d, challenge %q", resp.StatusCode, resp.Header.Get("WWW-Authenticate"))
	}
	resp, body := call{"POST", "/login", "", "user=2", form}.do(t, browser, s.URL)
	cookie := resp.Header.Get("Set-Cookie")
	if resp.StatusCode != 200 || !strings.Contains(cookie, "HttpOnly") || !strings.Contains(cookie, "SameSite=Strict") || strings.Contains(body, "token") {
		t.Errorf("login: %d %s %s", resp.StatusCode, cookie, body)
	}
	if resp, body := (call{"GET", "/room/1.json", "", "", page}).do(t, browser, s.URL); resp.StatusCode != 200 {
		t.Errorf("with the cookie: %d %s", resp.StatusCode, body)
	}
	evil := http.Header{"Sec-Fetch-Site": {"cross-site"}}
	if resp, _ := (call{"POST", "/room/1/speak", "", `{"message":{"body":"x"}}`, evil}).do(t, browser, s.URL); resp.StatusCode != 403 {
		t.Errorf("a foreign page spoke: %d", resp.StatusCode)
	}
	// Basic credentials that are wrong are not made good by a cookie.
	if resp, _ := (call{"GET", "/room/1.json", "wrong", "", nil}).do(t, browser, s.URL); resp.StatusCode != 401 {
		t.Errorf("wrong token beside a cookie: %d", resp.StatusCode)
	}
	u, _ := url.Parse(s.URL)
	old := jar.Cookies(u)
	call{"POST", "/logout", "", "", nil}.do(t, browser, s.URL)
	jar.SetCookies(u, old)
	if resp, _ := (call{"GET", "/users/me", "", "", page}).do(t, browser, s.URL); resp.StatusCode != 401 {
		t.Errorf("the cookie works after the logout: %d", resp.StatusCode)
	}
	if resp, _ := (call{"POST", "/login", "", "user=77", form}).do(t, browser, s.URL); resp.StatusCode != 422 {
		t.Errorf("login as nobody: %d", resp.StatusCode)
	}
}

func TestSessionsAreBounded(t *testing.T) {
	s := newSessions()
	for range maxSessions + 10 {
		s.start(httptest.NewRecorder(), 1)
	}
	if len(s.users) != maxSessions || len(s.order) != maxSessions {
		t.Errorf("%d sessions are kept", len(s.users))
	}
}

// The page needs nothing from elsewhere, and its policy does not let it.
func TestPageStandsAlone(t *testing.T) {
	s := newServer(t)
	for _, path := range []string{"/", "/page/chat.js", "/page/chat.css"} {
		resp, body := call{"GET", path, "", "", nil}.do(t, http.DefaultClient, s.URL)
		if !strings.HasPrefix(resp.Header.Get("Content-Security-Policy"), "default-src 'none'") {
			t.Errorf("%s has no policy", path)
		}
		if strings.Contains(body, "http://") || strings.Contains(body, "https://") || strings.Contains(body, "<style") || strings.Contains(body, "onclick") {
			t.Errorf("%s has something from elsewhere, or inline", path)
		}
	}
}
