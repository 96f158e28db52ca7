package e2e

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/andybalholm/brotli"
	"github.com/klauspost/compress/zstd"
)

// tapApp is an app whose answers to its clients the test scripts.
type tapApp struct {
	*testBackend

	mu     sync.Mutex
	script http.HandlerFunc
}

func newTapApp(t *testing.T) *tapApp {
	t.Helper()
	a := &tapApp{testBackend: &testBackend{verdicts: map[question]verdict{}}}
	a.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		a.mu.Lock()
		script := a.script
		a.mu.Unlock()
		if strings.HasPrefix(r.URL.Path, "/may/") || script == nil {
			a.testBackend.ServeHTTP(w, r)
			return
		}
		script(w, r)
	}))
	t.Cleanup(a.Close)
	return a
}

// answers has the app answer every request in this way from now on.
func (a *tapApp) answers(script http.HandlerFunc) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.script = script
}

// says answers with a status, a type and a body. "name: value" are more headers.
func says(status int, kind, body string, headers ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		if kind != "" {
			w.Header().Set("Content-Type", kind)
		}
		for _, h := range headers {
			name, value, _ := strings.Cut(h, ": ")
			w.Header().Set(name, value)
		}
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}
}

const jsonType = "application/json"

// call makes a request through the site, as a client of the app does.
func (s *server) call(method, path, kind, body string, headers ...string) (status int, answer string, header http.Header) {
	s.t.Helper()
	req, err := http.NewRequest(method, s.url+path, strings.NewReader(body))
	if err != nil {
		s.t.Fatal(err)
	}
	if kind != "" {
		req.Header.Set("Content-Type", kind)
	}
	req.SetBasicAuth(goodToken, "x")
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		req.Header.Set(name, value)
	}
	resp, err := (&http.Transport{DisableCompression: true, DisableKeepAlives: true}).RoundTrip(req)
	if err != nil {
		s.t.Fatalf("%s %s: %v", method, path, err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		s.t.Fatalf("%s %s: %v", method, path, err)
	}
	return resp.StatusCode, string(text), resp.Header
}

// mattermostAnswer is what Mattermost answers to a new post.
func mattermostAnswer(channel, id, text string) string {
	return fmt.Sprintf(`{"id":%q,"create_at":1700000000123,"update_at":1700000000123,"edit_at":0,"delete_at":0,"user_id":"u1","channel_id":%q,"root_id":"","message":%q,"type":"","file_ids":["f1"],"props":{"token":"only-the-author-sees-this"}}`, id, channel, text)
}

func packed(t *testing.T, coding, text string) string {
	t.Helper()
	var b bytes.Buffer
	var w io.WriteCloser
	switch coding {
	case "gzip":
		w = gzip.NewWriter(&b)
	case "br":
		w = brotli.NewWriter(&b)
	case "zstd":
		z, err := zstd.NewWriter(&b)
		if err != nil {
			t.Fatal(err)
		}
		w = z
	default:
		return text
	}
	_, err := io.WriteString(w, text)
	if err == nil {
		err = w.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// TestTapBringsWhatTheAppAnswers: every way in which an app says that something was
// created is an event, and the client gets the answer as it was.
func TestTapBringsWhatTheAppAnswers(t *testing.T) {
	a := newTapApp(t)
	s := start(t, a.directives(`
		tap preset mattermost
		tap preset rocketchat
		tap preset matrix
		tap preset zulip
		tap preset discourse
		tap preset campfire
		tap preset campfire_classic
		tap preset flowdock
		tap preset letschat
		tap preset kandan
		campfire
		flowdock`))
	for _, x := range []struct {
		name, method, path, kind, sent string
		answer                         http.HandlerFunc
		channel                        string
		want                           []string
	}{
		{"Mattermost", "POST", "/api/v4/posts", jsonType, `{}`, says(201, jsonType, mattermostAnswer("town", "p1", "by tap")), "town",
			[]string{`"by tap`, `"p1"`, `"u1"`, "/api/v4/files/f1"}},
		{"Rocket.Chat", "POST", "/api/v1/chat.sendMessage", jsonType, `{}`,
			says(200, jsonType, `{"message":{"_id":"r1","rid":"GENERAL","msg":"rocket","ts":"2026-01-02T03:04:05.678Z","u":{"_id":"ann","username":"Ann"}},"success":true}`), "GENERAL",
			[]string{`"rocket"`, `"r1"`, `"ann"`}},
		{"Rocket.Chat's web client: JSON in a text", "POST", "/api/v1/method.call/sendMessage", jsonType, `{}`,
			says(200, jsonType, `{"message":"{\"msg\":\"result\",\"id\":\"9\",\"result\":{\"_id\":\"r2\",\"rid\":\"GENERAL\",\"msg\":\"in a text\",\"ts\":{\"$date\":1700000000123},\"u\":{\"_id\":\"ann\"}}}","success":true}`), "GENERAL",
			[]string{`"in a text"`, `"r2"`}},
		{"Matrix: text from the request, user from the app", "PUT", "/_matrix/client/v3/rooms/%21room%3Aexample.org/send/m.room.message/txn1", jsonType, `{"msgtype":"m.text","body":"matrix"}`,
			says(200, jsonType, `{"event_id":"$e1"}`), "!room:example.org", []string{`"matrix"`, `"$e1"`, `"7"`}},
		{"Zulip: a form", "POST", "/api/v1/messages", "application/x-www-form-urlencoded", "type=stream&to=9&topic=t&content=zulip+says",
			says(200, jsonType, `{"id":42,"msg":"","result":"success"}`), "9", []string{`"zulip says"`, `42`}},
		{"Discourse", "POST", "/chat/12.json", "application/x-www-form-urlencoded", "message=discourse", says(200, jsonType, `{"success":"OK","message_id":5}`), "12",
			[]string{`"discourse"`, `5`}},
		{"once-campfire: Location only", "POST", "/rooms/3/1-botkey/messages", "text/plain", "a bot speaks",
			says(201, "", "", "Location: http://chat.example.com/rooms/3/messages/77"), "3", []string{`"a bot speaks"`, `77`}},
		{"Campfire", "POST", "/room/4/speak.json", jsonType, `{"message":{"body":"x"}}`,
			says(201, jsonType, `{"message":{"id":8,"room_id":4,"user_id":2,"body":"classic","type":"TextMessage","created_at":"2026/03/04 05:06:07 +0000","starred":true}}`), "4", []string{`"classic"`, `8`}},
		{"Flowdock", "POST", "/flows/acme/main/messages", jsonType, `{}`,
			says(201, jsonType, `{"id":6,"event":"message","flow":"acme/main","content":"flow","user":"3","tags":[],"sent":1700000000000,"unread":{"secret":1}}`), "acme/main", []string{`"flow"`, `6`}},
		{"Let's Chat", "POST", "/rooms/5a/messages", jsonType, `{"text":"x"}`,
			says(201, jsonType, `{"id":"l1","text":"lets chat","posted":"2026-03-04T05:06:07.000Z","owner":"o1","room":"5a"}`), "5a", []string{`"lets chat"`, `"l1"`}},
		{"Kandan", "POST", "/channels/6/activities.json", jsonType, `{}`,
			says(201, jsonType, `{"id":61,"content":"kandan","action":"message","channel_id":6,"user_id":1,"created_at":"2026-03-04T05:06:07Z"}`), "6", []string{`"kandan"`, `61`}},
	} {
		t.Run(x.name, func(t *testing.T) {
			query := strings.NewReplacer("!", "%21", ":", "%3A", "/", "%2F").Replace(x.channel)
			if x.channel == "acme/main" {
				query = "acme/main"
			}
			st := s.open("/flows?filter="+query, basic(goodToken))
			if st.status != 200 {
				t.Fatalf("no stream: %d", st.status)
			}
			a.answers(x.answer)
			recorded := httptest.NewRecorder()
			x.answer(recorded, httptest.NewRequest("POST", "/", strings.NewReader(x.sent)))
			status, answer, _ := s.call(x.method, x.path, x.kind, x.sent)
			if status != recorded.Code || answer != recorded.Body.String() {
				t.Errorf("the client got %d %q, want %d %q", status, answer, recorded.Code, recorded.Body)
			}
			got := st.next()
			for _, want := range x.want {
				if !strings.Contains(got, want) {
					t.Errorf("the stream has %s, without %s", got, want)
				}
			}
			for _, never := range []string{"only-the-author", "starred\":true", "unread"} {
				if strings.Contains(got, never) {
					t.Errorf("the stream shows what is the author's alone: %s", got)
				}
			}
		})
	}
	for _, coding := range []string{"gzip", "zstd", "br"} {
		t.Run(coding, func(t *testing.T) {
			st := s.open("/flows?filter=town", basic(goodToken))
			text := strings.Repeat("packed ", 100) + coding
			body := packed(t, coding, mattermostAnswer("town", "p-"+coding, text))
			a.answers(says(201, jsonType, body, "Content-Encoding: "+coding))
			if _, answer, header := s.call("POST", "/api/v4/posts", jsonType, "{}", "Accept-Encoding: gzip, deflate, br, zstd"); answer != body || header.Get("Content-Encoding") != coding {
				t.Error("the client got another answer")
			}
			if got := st.next(); !strings.Contains(got, "packed "+coding) {
				t.Errorf("the stream has %s", got)
			}
		})
	}
	t.Run("in pieces", func(t *testing.T) {
		st := s.open("/flows?filter=town", basic(goodToken))
		body := mattermostAnswer("town", "pieces", "piece by piece")
		a.answers(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", jsonType)
			w.WriteHeader(201)
			for _, c := range []byte(body) {
				w.Write([]byte{c})
				w.(http.Flusher).Flush()
			}
		})
		if _, answer, _ := s.call("POST", "/api/v4/posts", jsonType, "{}"); answer != body {
			t.Errorf("the client got %q", answer)
		}
		if got := st.next(); !strings.Contains(got, "piece by piece") {
			t.Errorf("the stream has %s", got)
		}
	})
}
