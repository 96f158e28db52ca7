package e2e

import (
	"bytes"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// testBackend is an app whose answers the test decides. It is asked
// GET /may/<channel>.
type testBackend struct {
	*httptest.Server

	mu        sync.Mutex
	verdicts  map[question]verdict
	rule      func(q question) (verdict, bool) // before the verdicts, if set
	questions []question
	// app, if set, answers what is below /app/. It is set before the first request.
	app http.Handler
}

// question is what Sidestream wanted to know: may the token listen to the
// channel? Cookie is the whole header, if there was one.
type question struct{ token, channel, cookie string }

// verdict is an answer. The zero value is 200 with the user's id.
type verdict struct {
	status int
	header map[string]string
	body   string
	// until holds the answer back until it is closed, or Sidestream has given
	// up.
	until <-chan struct{}
}

// goodToken is let in everywhere, unless the test decides otherwise.
const goodToken = "good-token"

func newBackend(t *testing.T) *testBackend {
	t.Helper()
	b := &testBackend{verdicts: map[question]verdict{}}
	b.Server = httptest.NewServer(b)
	t.Cleanup(b.Close)
	return b
}

// address is what a Caddyfile calls the backend.
func (b *testBackend) address() string { return strings.TrimPrefix(b.URL, "http://") }

// decide sets the answer for a token and a channel; "" stands for all.
func (b *testBackend) decide(token, channel string, v verdict) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.verdicts[question{token: token, channel: channel}] = v
}

// decideBy has a rule answer whatever it has an answer for.
func (b *testBackend) decideBy(rule func(q question) (verdict, bool)) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.rule = rule
}

// asked lists the questions so far.
func (b *testBackend) asked() []question {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Clone(b.questions)
}

func (b *testBackend) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if b.app != nil && strings.HasPrefix(r.URL.Path, "/app/") {
		b.app.ServeHTTP(w, r)
		return
	}
	raw, ours := strings.CutPrefix(r.URL.EscapedPath(), "/may/")
	channel, err := url.PathUnescape(raw)
	if !ours || err != nil || strings.Contains(raw, "/") {
		fmt.Fprintf(w, "the app's own %s %s", r.Method, r.URL.RequestURI())
		return
	}
	q := question{channel: channel, cookie: r.Header.Get("Cookie")}
	if user, _, ok := r.BasicAuth(); ok {
		q.token = user
	} else {
		q.token = strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")
	}
	v := b.record(q)
	if v.until != nil {
		select {
		case <-v.until:
		case <-r.Context().Done():
			return
		}
	}
	if v.status == 0 {
		v.status, v.body = http.StatusOK, `{"user_id":"7"}`
	}
	for name, value := range v.header {
		w.Header().Set(name, value)
	}
	w.WriteHeader(v.status)
	_, _ = io.WriteString(w, v.body) // an error here is a question given up
}

func (b *testBackend) record(q question) verdict {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.questions = append(b.questions, q)
	if b.rule != nil {
		if v, ok := b.rule(q); ok {
			return v
		}
	}
	for _, key := range []question{{token: q.token, channel: q.channel}, {token: q.token}, {channel: q.channel}} {
		if v, ok := b.verdicts[key]; ok {
			return v
		}
	}
	if q.token == goodToken {
		return verdict{}
	}
	return verdict{status: http.StatusUnauthorized}
}

// directives is a site in front of the backend, with a webhook of our own form
// and no history on disk; more goes into the block.
func (b *testBackend) directives(more string) string {
	return fmt.Sprintf(`sidestream %[1]s {
		webhook /hooks/own {
			verify standardwebhooks %[2]s
			map channel {json.channel}
			map id      {json.id}
			map user    {json.user}
			map time    {json.sent_at}
			map type    TextMessage
			map body    {json.text}
		}
		auth GET /may/{channel} {
			allow json user_id exists
			user  json user_id
		}
		%[3]s
	}
	reverse_proxy %[1]s`, b.address(), hookSecret, more)
}

// hookSecret signs the webhooks of the tests.
var hookSecret = "whsec_" + base64.StdEncoding.EncodeToString([]byte(rand.Text() + rand.Text())[:32])

// publish posts a message as an app would, and returns when it was taken.
func (s *server) publish(channel string, id int, text string) {
	s.t.Helper()
	body := fmt.Sprintf(`{"channel":%q,"id":%d,"user":7,"sent_at":"2026-03-04T05:06:07Z","text":%q}`, channel, id, text)
	if status, answer := s.post("/hooks/own", []byte(body)); status/100 != 2 {
		s.t.Fatalf("publishing %s: %d %s", body, status, answer)
	}
}

// post sends a signed webhook. As every sender does, it sends it again under the
// same id when the connection is cut, which Caddy does to some in a reload.
func (s *server) post(path string, body []byte) (status int, answer string) {
	s.t.Helper()
	id := "msg_" + rand.Text()
	eventually(s.t, "posting to "+path, func() bool {
		req, err := http.NewRequest(http.MethodPost, s.url+path, bytes.NewReader(body))
		if err != nil {
			s.t.Fatal(err)
		}
		sign(req, id, body)
		status, answer, err = try(req)
		return err == nil
	})
	return status, answer
}

// sign makes a webhook of a request, as Standard Webhooks has it.
func sign(req *http.Request, id string, body []byte) {
	key, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(hookSecret, "whsec_"))
	if err != nil {
		panic(err) // it is made here
	}
	at := time.Now().Unix()
	mac := hmac.New(sha256.New, key)
	fmt.Fprintf(mac, "%s.%d.%s", id, at, body)
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("webhook-id", id)
	req.Header.Set("webhook-timestamp", fmt.Sprint(at))
	req.Header.Set("webhook-signature", "v1,"+base64.StdEncoding.EncodeToString(mac.Sum(nil)))
}

// do makes a request without following redirects.
func do(t *testing.T, req *http.Request) (status int, answer string) {
	t.Helper()
	status, answer, err := try(req)
	if err != nil {
		t.Fatal(err)
	}
	return status, answer
}

func try(req *http.Request) (status int, answer string, err error) {
	resp, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		return 0, "", err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	return resp.StatusCode, string(body), err
}
