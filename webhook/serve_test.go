package webhook

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/seed-078801ba/sidestream/stream/event"
	"github.com/seed-078801ba/sidestream/webhook/decode"
)

const goodBody = `{"room":"1","id":"5","text":"hi","token":"good-token","n":1}`

// Bad input is refused at the door, with a status and nothing else.
func TestBadInput(t *testing.T) {
	long := strings.Repeat("x", 1<<20)
	token := own("secret good-token", "verify token")
	batch := own("each {json.events}", "max_batch 3", "map channel {item.room}", "map id {item.id}")
	for _, c := range []struct {
		name   string
		cfg    Config
		r      *http.Request
		status int
	}{
		{"a GET", own(), httptest.NewRequest("GET", "/hook", nil), 405},
		{"a HEAD", own(), httptest.NewRequest("HEAD", "/hook", nil), 405},
		{"a PUT", own(), httptest.NewRequest("PUT", "/hook", strings.NewReader(goodBody)), 405},
		{"an OPTIONS", own(), httptest.NewRequest("OPTIONS", "/hook", nil), 405},
		{"no token", token, post(`{"room":"1"}`), 401},
		{"a wrong token", token, post(`{"room":"1","token":"bad"}`), 401},
		{"a token twice", token, post(`{"token":"bad","token":"good-token"}`), 400},
		{"a token twice, escaped", token, post(`{"token":"good-token","\u0074oken":"bad"}`), 400},
		{"a token in another case", token, post(`{"Token":"good-token"}`), 401},
		{"a token that is a number", own("secret 12345678", "verify token"), post(`{"token":12345678}`), 401},
		{"a token twice in a form", token, post("token=good-token&token=bad", "Content-Type", "application/x-www-form-urlencoded"), 400},
		{"an origin", own(), post(goodBody, "Origin", "https://chat.example.com"), 403},
		{"a browser, same origin", own(), post(goodBody, "Sec-Fetch-Site", "same-origin"), 403},
		{"a browser, cross-site", own(), post(goodBody, "Sec-Fetch-Site", "cross-site"), 403},
		{"too long", own(), post(`{"text":"` + long + `"}`), 413},
		{"too long, configured", own("max_body 10B"), post(goodBody), 413},
		{"gzip that is not taken", own(), post(goodBody, "Content-Encoding", "gzip"), 415},
		{"brotli", own("gzip"), post(goodBody, "Content-Encoding", "br"), 415},
		{"twice gzip", own("gzip"), post(goodBody, "Content-Encoding", "gzip, gzip"), 415},
		{"gzip that is none", own("gzip"), post(goodBody, "Content-Encoding", "gzip"), 400},
		{"gzip that grows too much", own("gzip"), post(packed(strings.Repeat(" ", 1<<19)), "Content-Encoding", "gzip"), 413},
		{"gzip that gets too long", own("gzip", "max_body 200B"), post(packed(fmt.Sprintf("%0300d", 0)+goodBody), "Content-Encoding", "gzip"), 413},
		{"plain text", own(), post(goodBody, "Content-Type", "text/plain"), 415},
		{"xml", own(), post("<message/>", "Content-Type", "application/xml"), 415},
		{"multipart", own(), post(goodBody, "Content-Type", "multipart/form-data; boundary=x"), 415},
		{"multipart, format forced", own("format json"), post(goodBody, "Content-Type", "multipart/form-data; boundary=x"), 415},
		{"latin 1", own(), post(goodBody, "Content-Type", "application/json; charset=iso-8859-1"), 415},
		{"a malformed type", own(), post(goodBody, "Content-Type", "application/json; charset"), 415},
		{"an empty body", own(), post(""), 400},
		{"an empty form", own(), post("", "Content-Type", "application/x-www-form-urlencoded"), 400},
		{"no JSON", own(), post("hello"), 400},
		{"trailing data", own(), post(goodBody + goodBody), 400},
		{"two byte order marks", own(), post("\ufeff\ufeff" + goodBody), 400},
		{"a raw control character", own(), post("{\"room\":\"1\",\"text\":\"a\rb\"}"), 400},
		{"too deep", own(), post(strings.Repeat(`{"a":`, 65) + "1" + strings.Repeat("}", 65)), 400},
		{"a mapped key twice", own(), post(`{"room":"1","room":"2","id":"1"}`), 400},
		{"a mapped key twice, escaped", own(), post(`{"room":"1","r\u006fom":"2","id":"1"}`), 400},
		{"invalid UTF-8", own(), post("{\"room\":\"\xff\"}"), 400},
		{"a lone surrogate", own(), post(`{"room":"\ud800"}`), 400},
		{"a form with a semicolon", own(), post("a=1;b=2", "Content-Type", "application/x-www-form-urlencoded"), 400},
		{"a form with a bad percent", own(), post("a=%zz", "Content-Type", "application/x-www-form-urlencoded"), 400},
		{"a form with invalid UTF-8", own(), post("a=%ff", "Content-Type", "application/x-www-form-urlencoded"), 400},
		{"an array without each", own(), post(`[` + goodBody + `]`), 422},
		{"a batch that is too long", batch, post(`{"events":[{},{},{},{}]}`), 413},
		{"too many channels", own("max_batch 2"), post(`{"id":"1","room":["a","b","c"]}`), 413},
		{"unmapped, on_unmapped reject", own("on_unmapped reject"), post(`{"id":"1"}`), 422},
		{"a malformed delivery id", own(), post(goodBody, "Idempotency-Key", "a\x7fb"), 400},
		{"two delivery ids", own(), post(goodBody, "Idempotency-Key", "a", "Idempotency-Key", "b"), 400},
		{"CloudEvents in XML", Config{Config: decode.Config{Preset: "cloudevents"}, Verify: &Verify{Scheme: "none"}}, post(goodBody, "Content-Type", "application/cloudevents+xml"), 415},
	} {
		t.Run(c.name, func(t *testing.T) {
			pub := new(memory)
			resp, out := serve(mustNew(t, c.cfg), c.r, nil, pub)
			if resp.StatusCode != c.status || out.Status != c.status {
				t.Errorf("got %d (%s), want %d", resp.StatusCode, out.Reason, c.status)
			}
			checkBare(t, resp)
			if resp.Header.Get("Content-Length") != "0" {
				t.Errorf("Content-Length %q", resp.Header.Get("Content-Length"))
			}
			if out.Err == nil || out.Reason == "" || len(pub.events) > 0 || len(out.Revoke) > 0 {
				t.Errorf("outcome %+v, stored %v", out, pub.events)
			}
			var refusal *Refusal
			if !errors.As(out.Err, &refusal) || refusal.Reason != out.Reason {
				t.Errorf("%v is no refusal for %q", out.Err, out.Reason)
			}
			if c.status == 405 && resp.Header.Get("Allow") != "POST" {
				t.Errorf("Allow %q", resp.Header.Get("Allow"))
			}
		})
	}
}

// What only looks odd is taken.
func TestOddInput(t *testing.T) {
	for _, c := range []struct {
		name string
		cfg  Config
		r    *http.Request
		want event.Event
	}{
		{"a byte order mark", own(), post("\ufeff" + goodBody), event.Event{Channel: event.String("1"), ID: event.String("5"), Body: "hi"}},
		{"no Content-Type", own(), post(goodBody, "Content-Type", ""), event.Event{Channel: event.String("1"), ID: event.String("5"), Body: "hi"}},
		{"a charset", own(), post(goodBody, "Content-Type", `application/json; charset="UTF-8"`), event.Event{Channel: event.String("1"), ID: event.String("5"), Body: "hi"}},
		{"identity", own(), post(goodBody, "Content-Encoding", "identity"), event.Event{Channel: event.String("1"), ID: event.String("5"), Body: "hi"}},
		{"gzip", own("gzip"), post(packed(goodBody), "Content-Encoding", "gzip"), event.Event{Channel: event.String("1"), ID: event.String("5"), Body: "hi"}},
		{"a browser that may", own("allow_browser"), post(goodBody, "Origin", "https://a.example"), event.Event{Channel: event.String("1"), ID: event.String("5"), Body: "hi"}},
		{"a NUL in the text", own(), post(`{"room":1,"id":2,"text":"a\u0000b"}`), event.Event{Channel: event.Number("1"), ID: event.Number("2"), Body: "a\x00b"}},
		{"a key twice that is not mapped", own(), post(`{"room":1,"id":2,"x":1,"x":2}`), event.Event{Channel: event.Number("1"), ID: event.Number("2")}},
		{"a huge number as id", own(), post(`{"room":1,"id":` + strings.Repeat("9", 200) + `}`), event.Event{Channel: event.Number("1"), ID: event.Number(strings.Repeat("9", 200))}},
		{"a huge number as time", own("map time {json.t}"), post(`{"room":1,"id":2,"t":1e400}`), event.Event{Channel: event.Number("1"), ID: event.Number("2")}},
		{"many digits", own(), post(`{"room":9007199254740993,"id":2}`), event.Event{Channel: event.Number("9007199254740993"), ID: event.Number("2")}},
	} {
		t.Run(c.name, func(t *testing.T) {
			pub := new(memory)
			_, out := serve(mustNew(t, c.cfg), c.r, nil, pub)
			if out.Status != 200 || len(pub.events) != 1 || fmt.Sprint(pub.events[0]) != fmt.Sprint(c.want) {
				t.Errorf("%d %q: got %+v, want %+v", out.Status, out.Reason, pub.events, c.want)
			}
		})
	}
}

// What is verified but names nothing is acknowledged and counted: a failure
// would be posted into the chat room.
func TestUnmapped(t *testing.T) {
	for name, body := range map[string]string{
		"no channel": `{"id":1}`, "an empty channel": `{"id":1,"room":""}`, "a null channel": `{"id":1,"room":null}`, "an object": `{"id":1,"room":{}}`,
		"a boolean": `{"id":1,"room":true}`, "a control character": `{"id":1,"room":"a\nb"}`, "a NUL": `{"id":1,"room":"a\u0000"}`,
		"a C1 control": `{"id":1,"room":"a\u0085"}`, "DEL": `{"id":1,"room":"a\u007f"}`, "a line separator": `{"id":1,"room":"a\u2028"}`,
		"too long": `{"id":1,"room":"` + strings.Repeat("x", 257) + `"}`, "a user's channel": `{"id":1,"room":"user:7"}`, "a dot": `{"id":1,"room":"."}`,
		"dots": `{"id":1,"room":".."}`, "one bad of several": `{"id":1,"room":["a",{}]}`, "no channels": `{"id":1,"room":[]}`, "no id": `{"room":1}`, "a NUL in the id": `{"room":1,"id":"\u0000"}`,
		"an id that is an object": `{"room":1,"id":{}}`, "a body that is an object": `{"room":1,"id":1,"text":{}}`, "an array in an array": `{"id":1,"room":[["a"]]}`,
	} {
		pub := new(memory)
		resp, out := serve(mustNew(t, own()), post(body), nil, pub)
		if resp.StatusCode != 200 || out.Unmapped != 1 || out.Reason == "" || out.Err != nil || pub.batches != 0 {
			t.Errorf("%s: %+v, %v", name, out, pub.events)
		}
	}
}

func TestOwnAnswers(t *testing.T) {
	at := func(seq uint64) string { return event.Cursor{Seq: seq}.String() }
	each := own("each {json.events}", "map channel {item.room}", "map id {item.id}", "map body {item.text}", "drop {item.kind} == typing")
	pub := new(memory)
	for _, c := range []struct {
		name, body string
		cfg        Config
		status     int
		want       string
	}{
		{"new", `{"room":1,"id":1,"text":"a"}`, own(), 200, `{"position":"` + at(1) + `","duplicate":false}`},
		{"again", `{"room":1,"id":1,"text":"a"}`, own(), 200, `{"position":"` + at(1) + `","duplicate":true}`},
		{"batch", `{"events":[{"room":1,"id":1,"text":"a"},{"room":1,"id":2},{"kind":"typing"},{}]}`, each, 200,
			`{"events":[{"position":"` + at(1) + `","duplicate":true},{"position":"` + at(2) + `","duplicate":false}],"dropped":1,"unmapped":1}`},
		{"batch of one", `{"events":[{"room":1,"id":3}]}`, each, 200, `{"events":[{"position":"` + at(3) + `","duplicate":false}]}`},
		{"empty batch", `{"events":[]}`, each, 200, `{"events":[]}`},
		{"fan-out", `{"room":["x","y"],"id":1}`, own(), 200, `{"events":[{"position":"` + at(4) + `","duplicate":false},{"position":"` + at(5) + `","duplicate":false}]}`},
		{"ack", `{"room":1,"id":9}`, own("ack 201"), 201, ""},
		{"ack with body", `{"room":1,"id":9}`, own("ack 200 text ok"), 200, "ok"},
	} {
		resp, out := serve(mustNew(t, c.cfg), post(c.body), nil, pub)
		b, _ := io.ReadAll(resp.Body)
		if resp.StatusCode != c.status || string(b) != c.want {
			t.Errorf("%s: got %d %s, want %d %s (%+v)", c.name, resp.StatusCode, b, c.status, c.want, out)
		}
	}
	resp, out := serve(mustNew(t, own()), post(`{"room":1,"id":1,"text":"other"}`), nil, pub)
	if resp.StatusCode != 409 || out.Conflicts != 1 {
		t.Errorf("another text under the same id: %d", resp.StatusCode)
	}
	checkBare(t, resp)
	resp, _ = serve(mustNew(t, own("ack 200 json {}")), post(`{"room":1,"id":1,"text":"other"}`), nil, pub)
	if resp.StatusCode != 200 {
		t.Errorf("with an ack of its own: %d", resp.StatusCode)
	}
	pub.weak = true
	if resp, _ = serve(mustNew(t, own()), post(`{"room":1,"id":77}`), nil, pub); resp.StatusCode != 202 {
		t.Errorf("a store in memory: %d", resp.StatusCode)
	}
}

func TestPublishErrors(t *testing.T) {
	for err, status := range map[error]int{
		event.ErrStoreFull: 507, event.ErrUnavailable: 503, event.ErrBusy: 503, event.ErrClosed: 503, errors.New("secret detail"): 503,
		context.DeadlineExceeded: 503,
	} {
		resp, out := serve(mustNew(t, own("revoke {json.id}")), post(goodBody), nil, &memory{err: fmt.Errorf("committing: %w", err)})
		if resp.StatusCode != status || !errors.Is(out.Err, err) || strings.Contains(out.Reason, "secret") || len(out.Revoke) > 0 {
			t.Errorf("%v: %d %+v", err, resp.StatusCode, out)
		}
		if resp.Header.Get("Retry-After") == "" {
			t.Errorf("%v: Retry-After %q", err, resp.Header.Get("Retry-After"))
		}
		checkBare(t, resp)
	}
}

// A sender that hangs up while its message is stored changes nothing.
func TestPublishOutlivesTheSender(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	pub := publisherFunc(func(ctx context.Context, b event.Batch) ([]event.Receipt, error) {
		return make([]event.Receipt, len(b.Events)), ctx.Err()
	})
	if _, out := serve(mustNew(t, own()), post(goodBody).WithContext(ctx), nil, pub); out.Err != nil {
		t.Error(out.Err)
	}
}

type publisherFunc func(context.Context, event.Batch) ([]event.Receipt, error)

func (f publisherFunc) Publish(ctx context.Context, b event.Batch) ([]event.Receipt, error) {
	return f(ctx, b)
}

// Over a real connection: what a client sees byte for byte.
func TestOnTheWire(t *testing.T) {
	hook := mustNew(t, own("body_timeout 50ms", "max_body 100B"))
	outcomes := make(chan Outcome, 10)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		outcomes <- hook.Serve(w, r, nil, new(memory))
	}))
	defer server.Close()
	head := "POST / HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
	for _, c := range []struct{ name, request, status string }{
		{"a body that never comes", head + "Content-Length: 50\r\n\r\n{", "408"},
		{"chunks without an end", head + "Transfer-Encoding: chunked\r\n\r\n1\r\n{\r\n", "408"},
		{"too long as announced", head + "Content-Length: 101\r\n\r\n", "413"},
		{"too long in chunks", head + "Transfer-Encoding: chunked\r\n\r\n65\r\n" + strings.Repeat(" ", 101) + "\r\n", "413"},
		{"chunks that are none", head + "Transfer-Encoding: chunked\r\n\r\nxyz\r\n", "400"},
	} {
		conn, err := net.Dial("tcp", server.Listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(conn, c.request); err != nil {
			t.Fatal(err)
		}
		_ = conn.SetReadDeadline(time.Now().Add(time.Minute))
		var seen bytes.Buffer
		resp, err := http.ReadResponse(bufio.NewReader(io.TeeReader(conn, &seen)), nil)
		if err != nil {
			t.Fatalf("%s: %v, %q", c.name, err, seen.String())
		}
		out := <-outcomes
		if !strings.HasPrefix(resp.Status, c.status) || strings.Contains(seen.String(), "Content-Type") || resp.ContentLength != 0 || !resp.Close {
			t.Errorf("%s (%s): %q", c.name, out.Reason, seen.String())
		}
		_ = conn.Close()
	}
}

// The acknowledgement of a preset, on the wire, byte for byte after the date.
func TestAnswersOnTheWire(t *testing.T) {
	for _, c := range []struct {
		cfg                Config
		path, method, body string
		headers, want      string
	}{
		{Config{Config: decode.Config{Preset: "campfire"}, Secrets: []string{pathSecret}}, pathSecret, "POST", `{"room":{"id":1},"message":{"id":1,"body":{"plain":"x"}}}`, "",
			"HTTP/1.1 204 No Content\r\n\r\n"},
		{Config{Config: decode.Config{Preset: "campfire"}, Secrets: []string{pathSecret}}, "wrong", "POST", `{}`, "",
			"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"},
		{Config{Config: decode.Config{Preset: "mattermost"}, Secrets: []string{"t-secret"}}, "", "POST", `{"token":"t-secret","channel_id":"c","post_id":"p"}`, "",
			"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Type: application/json\r\n\r\n{}"},
		{Config{Config: decode.Config{Preset: "mattermost"}, Secrets: []string{"t-secret"}}, "", "POST", `{"token":"x"}`, "",
			"HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n"},
		{Config{Config: decode.Config{Preset: "mattermost"}, Secrets: []string{"t-secret"}}, "", "GET", ``, "",
			"HTTP/1.1 405 Method Not Allowed\r\nAllow: POST\r\nContent-Length: 0\r\n\r\n"},
		{Config{Config: decode.Config{Preset: "rocketchat"}, Secrets: []string{"t-secret"}}, "", "POST", `{"token":"t-secret"}`, "",
			"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Type: application/json\r\n\r\n{}"},
		{Config{Config: decode.Config{Preset: "zulip"}, Secrets: []string{"t-secret"}}, "", "POST", `{"token":"t-secret","message":{"id":1,"stream_id":2}}`, "",
			"HTTP/1.1 200 OK\r\nContent-Length: 30\r\nContent-Type: application/json\r\n\r\n{\"response_not_required\":true}"},
		{Config{Config: decode.Config{Preset: "anycable"}, Secrets: []string{"t-secret"}}, "", "POST", `{"stream":"a","data":"{\"id\":1}"}`, "Authorization: bearer t-secret\r\n",
			"HTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n"},
	} {
		hook := mustNew(t, c.cfg)
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			hook.Serve(w, r, map[string]string{"secret": strings.TrimPrefix(r.URL.Path, "/")}, new(memory))
		}))
		conn, err := net.Dial("tcp", server.Listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(conn, "%s /%s HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Type: application/json\r\n%sContent-Length: %d\r\n\r\n%s",
			c.method, c.path, c.headers, len(c.body), c.body)
		got, _ := io.ReadAll(conn)
		_ = conn.Close()
		server.Close()
		var kept []string
		for line := range strings.SplitSeq(string(got), "\r\n") {
			if !strings.HasPrefix(line, "Date:") && line != "Connection: close" {
				kept = append(kept, line)
			}
		}
		if text := strings.Join(kept, "\r\n"); text != c.want {
			t.Errorf("%s: got %q, want %q", c.cfg.Preset, text, c.want)
		}
	}
}

func packed(s string) string {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	_, _ = io.WriteString(w, s)
	_ = w.Close()
	return b.String()
}

// The connection of an app that never retries ends with each answer, whatever the
// answer is: idle, it could be closed by a reload under the next delivery.
func TestNeverRetriesClosesConnections(t *testing.T) {
	for _, test := range []struct {
		name string
		cfg  Config
		r    *http.Request
		want string
	}{
		{"own form", own(), post(goodBody), ""},
		{"own form that says so", own("never_retries"), post(goodBody), "close"},
		{"refused", own("never_retries", "secret good-token", "verify bearer"), post(goodBody), "close"},
		{"mattermost", own("preset mattermost"), post(`{"channel_id":"1","post_id":"2","text":"x"}`), "close"},
		{"standardwebhooks", own("preset standardwebhooks"), post(goodBody), ""},
	} {
		h, err := New(test.cfg)
		if err != nil {
			t.Fatalf("%s: %v", test.name, err)
		}
		resp, _ := serve(h, test.r, nil, &memory{})
		if got := resp.Header.Get("Connection"); got != test.want {
			t.Errorf("%s: Connection %q, not %q, with %s", test.name, got, test.want, resp.Status)
		}
	}
	h, err := New(own("never_retries"))
	if err != nil {
		t.Fatal(err)
	}
	r := post(goodBody)
	r.ProtoMajor = 2
	if resp, _ := serve(h, r, nil, &memory{}); resp.Header.Get("Connection") != "" {
		t.Error("over HTTP/2, one delivery ends the connection of all")
	}
}
