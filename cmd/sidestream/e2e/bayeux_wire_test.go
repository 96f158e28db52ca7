package e2e

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"
)

// bayeuxSession is a client made by hand: each test says what goes over the wire.
type bayeuxSession struct {
	t      *testing.T
	server *server
	header http.Header
	id     string // of the session
	sent   int
}

// reply is one message of the server's.
type bayeuxReply map[string]any

func (r bayeuxReply) is(channel string) bool { return r["channel"] == channel }
func (r bayeuxReply) ok() bool               { return r["successful"] == true }
func (r bayeuxReply) text(name string) string {
	s, _ := r[name].(string)
	return s
}
func (r bayeuxReply) object(name string) bayeuxReply {
	o, _ := r[name].(map[string]any)
	return o
}

// said are the bodies of the events among replies.
func said(replies []bayeuxReply) (bodies []string) {
	for _, r := range replies {
		if data, ok := r["data"].(map[string]any); ok {
			bodies = append(bodies, fmt.Sprint(data["content"]))
		}
	}
	return bodies
}

func newSession(t *testing.T, s *server, token string) *bayeuxSession {
	t.Helper()
	c := &bayeuxSession{t: t, server: s, header: http.Header{"Content-Type": {"application/json"}}}
	if token != "" {
		c.header.Set("Authorization", "Bearer "+token)
	}
	c.handshake("")
	return c
}

func (c *bayeuxSession) handshake(ext string) bayeuxReply {
	c.t.Helper()
	if ext != "" {
		ext = `,"ext":` + ext
	}
	r := c.send(`{"channel":"/meta/handshake","version":"1.0","supportedConnectionTypes":["long-polling"]` + ext + `}`)[0]
	if c.id = r.text("clientId"); !r.ok() || len(c.id) < 32 {
		c.t.Fatalf("handshake: %v", r)
	}
	return r
}

// request is a POST of messages, %s in them being the session's id.
func (c *bayeuxSession) request(messages string) *http.Request {
	req, err := http.NewRequest(http.MethodPost, c.server.url+"/faye", strings.NewReader(strings.ReplaceAll(messages, "%s", c.id)))
	if err != nil {
		c.t.Fatal(err)
	}
	req.Header = c.header.Clone()
	return req
}

func (c *bayeuxSession) send(messages string) []bayeuxReply {
	c.t.Helper()
	if !strings.HasPrefix(messages, "[") {
		messages = "[" + messages + "]"
	}
	status, answer := do(c.t, c.request(messages))
	if status != http.StatusOK {
		c.t.Fatalf("%s: %d %s", messages, status, answer)
	}
	return parseReplies(c.t, answer)
}

func parseReplies(t *testing.T, answer string) (replies []bayeuxReply) {
	t.Helper()
	if err := json.Unmarshal([]byte(answer), &replies); err != nil {
		t.Fatalf("%q: %v", answer, err)
	}
	return replies
}

// subscribe returns the error, empty if there is none.
func (c *bayeuxSession) subscribe(names ...string) string {
	c.t.Helper()
	list, _ := json.Marshal(names) // strings always can be
	c.sent++
	r := c.send(fmt.Sprintf(`{"channel":"/meta/subscribe","clientId":"%%s","subscription":%s,"id":"s%d"}`, list, c.sent))[0]
	if r.ok() == (r.text("error") != "") || r.text("id") != fmt.Sprint("s", c.sent) {
		c.t.Fatalf("subscribe: %v", r)
	}
	return r.text("error")
}

// connect is one poll, with a new id. more goes into the message.
func (c *bayeuxSession) connect(more string) []bayeuxReply {
	c.t.Helper()
	c.sent++
	return c.connectAs(fmt.Sprint("c", c.sent), more)
}

func (c *bayeuxSession) connectAs(id, more string) []bayeuxReply {
	c.t.Helper()
	return c.send(fmt.Sprintf(`{"channel":"/meta/connect","clientId":"%%s","connectionType":"long-polling","id":%q%s}`, id, more))
}

const atOnce = `,"advice":{"timeout":0}`

// gets polls until it has been told so many events.
func (c *bayeuxSession) gets(want ...string) {
	c.t.Helper()
	var got []string
	eventually(c.t, "getting what was said", func() bool {
		got = append(got, said(c.connect(atOnce))...)
		return len(got) >= len(want)
	})
	if got = append(got, said(c.connect(atOnce))...); fmt.Sprint(got) != fmt.Sprint(want) {
		c.t.Fatalf("got %q, want %q", got, want)
	}
}

// Every mistake is answered as Faye answers it.
func TestBayeuxBadInput(t *testing.T) {
	b := newBackend(t)
	s := start(t, b.directives("bayeux\nhistory {\n store memory\n}"))
	c := newSession(t, s, goodToken)
	if e := c.subscribe("/rooms/1"); e != "" {
		t.Fatal(e)
	}
	for _, test := range []struct{ message, err, reconnect string }{
		{`{"channel":"/meta/handshake","supportedConnectionTypes":["long-polling"]}`, "402:version:", "none"},
		{`{"channel":"/meta/handshake","version":"2.0","supportedConnectionTypes":["long-polling"]}`, "300:2.0:", "none"},
		{`{"channel":"/meta/handshake","version":"1.0"}`, "402:supportedConnectionTypes:", "none"},
		{`{"channel":"/meta/handshake","version":"1.0","supportedConnectionTypes":["flash","iframe"]}`, "301:flash,iframe:", "none"},
		{`{"channel":"/meta/connect","connectionType":"long-polling"}`, "402:clientId:", ""},
		{`{"channel":"/meta/connect","clientId":"nobody","connectionType":"long-polling"}`, "401:nobody:", "handshake"},
		{`{"channel":"/meta/connect","clientId":"%s"}`, "402:connectionType:", ""},
		{`{"channel":"/meta/connect","clientId":"%s","connectionType":"flash"}`, "301:flash:", ""},
		{`{"channel":"/meta/subscribe","subscription":"/rooms/1"}`, "402:clientId:", ""},
		{`{"channel":"/meta/subscribe","clientId":"nobody","subscription":"/rooms/1"}`, "401:nobody:", "handshake"},
		{`{"channel":"/meta/subscribe","clientId":"%s"}`, "402:subscription:", ""},
		{`{"channel":"/meta/subscribe","clientId":"%s","subscription":[]}`, "402:subscription:", ""},
		{`{"channel":"/meta/subscribe","clientId":"%s","subscription":[1]}`, "402:subscription:", ""},
		{`{"channel":"/meta/subscribe","clientId":"%s","subscription":"rooms"}`, "405:rooms:", ""},
		{`{"channel":"/meta/subscribe","clientId":"%s","subscription":"/rooms/a.b"}`, "405:/rooms/a.b:", ""},
		{`{"channel":"/meta/subscribe","clientId":"%s","subscription":"/rooms/*/x"}`, "405:/rooms/*/x:", ""},
		{`{"channel":"/meta/subscribe","clientId":"%s","subscription":"/**"}`, "403:/**:", ""},
		{`{"channel":"/meta/subscribe","clientId":"%s","subscription":"/*"}`, "403:/*:", ""},
		{`{"channel":"/meta/subscribe","clientId":"%s","subscription":"/rooms/*"}`, "403:/rooms/*:", ""},
		{`{"channel":"/meta/subscribe","clientId":"%s","subscription":"/rooms/**"}`, "403:/rooms/**:", ""},
		{`{"channel":"/meta/subscribe","clientId":"%s","subscription":"/elsewhere/1"}`, "403:/elsewhere/1:", ""},
		{`{"channel":"/meta/subscribe","clientId":"%s","subscription":"/meta/connect"}`, "403:/meta/connect:", ""},
		{`{"channel":"/meta/subscribe","clientId":"%s","subscription":"/meta/**"}`, "403:/meta/**:", ""},
		{`{"channel":"/meta/subscribe","clientId":"%s","subscription":"/service/x"}`, "403:/service/x:", ""},
		{`{"channel":"/meta/unsubscribe","clientId":"nobody","subscription":"/rooms/1"}`, "401:nobody:", "handshake"},
		{`{"channel":"/meta/unsubscribe","clientId":"%s"}`, "402:subscription:", ""},
		{`{"channel":"/meta/disconnect"}`, "402:clientId:", ""},
		{`{"channel":"/meta/disconnect","clientId":"nobody"}`, "401:nobody:", "handshake"},
		{`{"channel":"/meta/other","clientId":"%s"}`, "403:/meta/other:", ""},
		{`{"channel":"/rooms/1","clientId":"%s"}`, "402:data:", ""},
		{`{"channel":"/rooms/1","clientId":"%s","data":null}`, "403:/rooms/1:", ""},
		{`{"channel":"/rooms/1","data":{}}`, "403:/rooms/1:", ""},
		{`{"channel":"/rooms/*","data":{}}`, "405:/rooms/*:", ""},
		{`{"channel":"","data":{}}`, "400::", ""},
		{`{"data":{}}`, "400::", ""},
		{`7`, "400::", ""},
		{`null`, "400::", ""},
	} {
		var id any = "x1"
		message := test.message
		if strings.HasPrefix(message, "{") {
			message = `{"id":"x1",` + message[1:]
		} else {
			id = nil
		}
		replies := c.send("[" + message + "]")
		if len(replies) != 1 {
			t.Fatalf("%s: %v", message, replies)
		}
		r := replies[0]
		if r.ok() || !strings.HasPrefix(r.text("error"), test.err) || r["id"] != id || r.object("advice").text("reconnect") != test.reconnect {
			t.Errorf("%s: %v", message, r)
		}
		if interval, _ := r.object("advice")["interval"].(float64); test.reconnect == "handshake" && interval <= 0 {
			t.Errorf("%s: a client would come back at once: %v", message, r)
		}
	}
	for body, want := range map[string]int{
		"": 400, "7": 400, `"x"`: 400, "[": 400, "null": 400, "message=": 400, "message=7": 400, "other=1": 400, "[]": 200,
		"[" + strings.Repeat(`{"channel":"/x"},`, 300) + "{}]": 400, `["` + strings.Repeat("x", 600<<10) + `"]`: 413,
	} {
		if status, answer := do(t, c.request(body)); status != want || status == 400 && answer != "Bad request" {
			t.Errorf("%.50q: %d %.100s", body, status, answer)
		}
	}
	for _, method := range []string{http.MethodGet, http.MethodPut, http.MethodDelete} {
		req := c.request("")
		req.Method = method
		if status, _ := do(t, req); status != 400 {
			t.Errorf("%s: %d", method, status)
		}
	}
	s.publish("1", 1, "well")
	c.gets("well") // nothing of that has harmed the session
}

// The messages come in all the ways in which clients send them.
func TestBayeuxBodies(t *testing.T) {
	b := newBackend(t)
	s := start(t, b.directives("bayeux /faye /cometd/58.0\nhistory {\n store memory\n}"))
	const hello = `{"channel":"/meta/handshake","version":"1.0","supportedConnectionTypes":["long-polling"],"id":%s}`
	one := fmt.Sprintf(hello, `"a"`)
	for _, test := range []struct{ path, contentType, body, id string }{
		{"/faye", "application/json", "[" + one + "]", `"a"`},
		{"/faye", "application/json;charset=UTF-8", one, `"a"`},
		{"/faye/", "application/json", fmt.Sprintf(hello, "17"), "17"},
		{"/faye/handshake", "application/json", fmt.Sprintf(hello, "1.50"), "1.50"},
		{"/cometd/58.0/handshake", "application/json", " \n" + fmt.Sprintf(hello, `"\u2028é"`), `"\u2028\u00e9"`},
		{"/faye", "application/x-www-form-urlencoded", "message=" + url.QueryEscape(one), `"a"`},
		{"/faye", "text/plain;charset=UTF-8", "message=" + url.QueryEscape("["+one+"]"), `"a"`},
		{"/faye", "", "message=" + url.QueryEscape(one) + "&message=" + url.QueryEscape("[]"), `"a"`},
		{"/faye", "text/plain", one, `"a"`},
	} {
		req, err := http.NewRequest(http.MethodPost, s.url+test.path, strings.NewReader(test.body))
		if err != nil {
			t.Fatal(err)
		}
		if test.contentType != "" {
			req.Header.Set("Content-Type", test.contentType)
		}
		resp, err := http.DefaultTransport.RoundTrip(req)
		if err != nil {
			t.Fatal(err)
		}
		answer, _ := io.ReadAll(resp.Body)
		resp.Body.Close()
		if resp.StatusCode != 200 || resp.Header.Get("Content-Type") != "application/json; charset=utf-8" ||
			!strings.Contains(resp.Header.Get("Cache-Control"), "no-store") || !bytes.Contains(answer, []byte(`"id":`+test.id+`,`)) ||
			!parseReplies(t, string(answer))[0].ok() {
			t.Errorf("%+v: %s %s %v", test, resp.Status, answer, resp.Header)
		}
	}
}

// What JSONP brings is a script that can do nothing but call one function.
func TestBayeuxJSONP(t *testing.T) {
	b := newBackend(t)
	s := start(t, b.directives("bayeux\nhistory {\n store memory\n}"))
	get := func(callback, message string) (*http.Response, string) {
		query := url.Values{"message": {message}}
		if callback != "" {
			query.Set("jsonp", callback)
		}
		resp, err := http.Get(s.url + "/faye?" + query.Encode())
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		body, _ := io.ReadAll(resp.Body)
		return resp, string(body)
	}
	hello := `{"channel":"/meta/handshake","version":"1.0","supportedConnectionTypes":["callback-polling"],"id":"</script>"}`
	for _, callback := range []string{"", "a", "__jsonp1__", "A.b$.c_1"} {
		resp, body := get(callback, hello)
		if callback == "" {
			callback = "jsonpcallback"
		}
		h := resp.Header
		if resp.StatusCode != 200 || !strings.HasPrefix(body, "/**/"+callback+"([") || !strings.HasSuffix(body, "]);") || strings.Contains(body, "</") ||
			h.Get("Content-Type") != "text/javascript; charset=utf-8" || h.Get("X-Content-Type-Options") != "nosniff" ||
			h.Get("Content-Disposition") != "attachment; filename=f.txt" || !strings.Contains(h.Get("Cache-Control"), "no-store") {
			t.Errorf("%q: %s %s %v", callback, resp.Status, body, h)
		}
	}
	for _, callback := range []string{"1a", "a.", ".a", "a..b", "a(b)", "a;b", "a b", "alert(1)//", "a\u2028", "é", strings.Repeat("a", 65), "a[0]"} {
		if resp, body := get(callback, hello); resp.StatusCode != 400 || body != "Bad request" {
			t.Errorf("%q: %s %s", callback, resp.Status, body)
		}
	}
}

// What a client was sent and did not get is sent again: whoever vanishes in the
// middle of a poll loses nothing, and gets nothing twice.
func TestBayeuxLostReplies(t *testing.T) {
	b := newBackend(t)
	s := start(t, b.directives("bayeux {\n timeout 20s\n}\nhistory {\n store memory\n}"))
	t.Run("the client is cut off while it is held", func(t *testing.T) {
		c := newSession(t, s.forTest(t), goodToken)
		c.subscribe("/rooms/cut")
		c.connect(atOnce)
		conn, err := net.Dial("tcp", "127.0.0.1:"+s.port)
		if err != nil {
			t.Fatal(err)
		}
		c.request(`[{"channel":"/meta/connect","clientId":"%s","connectionType":"long-polling","id":"held"}]`).Write(conn)
		s.publish("cut", 1, "one")
		conn.Close() // whatever it was sent, it has not read
		s.publish("cut", 2, "two")
		// Faye's clients send what was not answered again.
		var got []string
		eventually(t, "getting what was said", func() bool {
			got = said(c.connectAs("held", atOnce))
			return len(got) == 2
		})
		if fmt.Sprint(got) != "[one two]" {
			t.Errorf("got %q", got)
		}
	})
	t.Run("a connect is sent again", func(t *testing.T) {
		c := newSession(t, s.forTest(t), goodToken)
		c.subscribe("/rooms/again")
		s.publish("again", 1, "one")
		for range 3 {
			if got := said(c.connectAs("k1", "")); fmt.Sprint(got) != "[one]" {
				t.Fatalf("got %q", got)
			}
		}
		s.publish("again", 2, "two")
		c.gets("two")
	})
	t.Run("a client whose ids are all the same", func(t *testing.T) {
		c := newSession(t, s.forTest(t), goodToken)
		c.send(`{"channel":"/meta/subscribe","clientId":"%s","subscription":"/rooms/same","id":"1"}`)
		for i, text := range []string{"one", "two", "three"} {
			s.publish("same", i+1, text)
			if got := said(c.connectAs("1", "")); fmt.Sprint(got) != "["+text+"]" {
				t.Fatalf("got %q, want %q", got, text)
			}
		}
	})
	t.Run("the second connect releases the first", func(t *testing.T) {
		c := newSession(t, s.forTest(t), goodToken)
		c.subscribe("/rooms/second")
		first := make(chan []bayeuxReply, 1)
		go func() {
			status, answer, err := try(c.request(`[{"channel":"/meta/connect","clientId":"%s","connectionType":"long-polling","id":"first"}]`))
			if err != nil || status != 200 {
				first <- nil
				return
			}
			var replies []bayeuxReply
			json.Unmarshal([]byte(answer), &replies)
			first <- replies
		}()
		var released []bayeuxReply
		eventually(t, "the first is answered", func() bool {
			c.connect(`,"advice":{"timeout":50}`)
			select {
			case released = <-first:
				return true
			default:
				return false
			}
		})
		if len(released) != 1 || !released[0].ok() || released[0].text("id") != "first" {
			t.Errorf("the first: %v", released)
		}
		s.publish("second", 1, "one")
		c.gets("one")
	})
	t.Run("acknowledgements", func(t *testing.T) {
		c := newSession(t, s.forTest(t), goodToken)
		if r := c.handshake(`{"ack":true}`); r.object("ext")["ack"] != true {
			t.Fatal(r)
		}
		c.subscribe("/rooms/acks")
		ack := func(n int) (got []string, next float64) {
			replies := c.connect(fmt.Sprintf(`,"ext":{"ack":%d},"advice":{"timeout":100}`, n))
			next, _ = replies[0].object("ext")["ack"].(float64)
			return said(replies), next
		}
		_, at := ack(-1)
		s.publish("acks", 1, "one")
		got, next := ack(int(at))
		if fmt.Sprint(got) != "[one]" || next <= at {
			t.Fatalf("got %q with %v", got, next)
		}
		s.publish("acks", 2, "two")
		if got, next = ack(int(at)); fmt.Sprint(got) != "[one two]" {
			t.Fatalf("without an acknowledgement: %q", got)
		}
		if got, _ = ack(int(next)); len(got) > 0 {
			t.Fatalf("after it was acknowledged: %q", got)
		}
	})
}

// The backend decides, about each channel and while it lasts.
func TestBayeuxAccess(t *testing.T) {
	b := newBackend(t)
	b.decide(goodToken, "secret", verdict{status: 403})
	s := start(t, strings.Replace(b.directives("bayeux\nhistory {\n store memory\n}"), "user  json user_id", "user  json user_id\n recheck 500ms\n cache 100ms", 1))
	c := newSession(t, s, goodToken)
	for names, want := range map[string]string{
		"/rooms/1": "", "/rooms/secret": "403:/rooms/secret:", "/rooms/2 /rooms/secret": "403::", "/rooms/1/*": "", "/rooms/secret/**": "403:/rooms/secret/**:",
	} {
		if e := c.subscribe(strings.Fields(names)...); !strings.HasPrefix(e, want) || (e == "") != (want == "") {
			t.Errorf("%s: %q, want %q", names, e, want)
		}
	}
	s.publish("2", 1, "not joined")
	s.publish("secret", 2, "not allowed")
	s.publish("1", 3, "one")
	s.publish("1/all", 4, "below")
	c.gets("one", "below")

	stranger := newSession(t, s, "")
	if e := stranger.subscribe("/rooms/1"); !strings.HasPrefix(e, "403:/rooms/1:") {
		t.Errorf("without a token: %q", e)
	}
	other := newSession(t, s, goodToken)
	other.id, other.header = c.id, http.Header{"Content-Type": {"application/json"}, "Authorization": {"Bearer other"}}
	if r := other.connect(atOnce)[0]; !strings.HasPrefix(r.text("error"), "401:") || r.object("advice").text("reconnect") != "handshake" {
		t.Errorf("somebody else's session: %v", r)
	}
	other.header = http.Header{"Content-Type": {"application/json"}, "Authorization": {"Bearer " + goodToken}, "Origin": {"https://evil.example"}}
	if status, _ := do(t, other.request(`[]`)); status == 200 {
		other.header.Set("Origin", "null")
	} else if status != 403 {
		t.Errorf("a page of another origin: %d", status)
	}

	b.decide(goodToken, "1", verdict{status: 403})
	var told bayeuxReply
	eventually(t, "the client is told that its right has ended", func() bool {
		for _, r := range c.connect(atOnce) {
			if r.is("/meta/subscribe") {
				told = r
			}
		}
		return told != nil
	})
	if told.ok() || !strings.HasPrefix(told.text("error"), "403:/rooms/1") {
		t.Errorf("told %v", told)
	}
	s.publish("1", 5, "too late")
	if e := c.subscribe("/rooms/3"); e != "" {
		t.Errorf("the session has ended: %s", e)
	}
	s.publish("3", 6, "still here")
	c.gets("still here")
}

// What a client says is the app's to accept.
func TestBayeuxPublish(t *testing.T) {
	b := newBackend(t)
	said := make(chan string, 10)
	b.app = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		said <- r.URL.Path + " " + r.Header.Get("Authorization") + " " + string(body)
		if strings.Contains(string(body), "no") {
			w.WriteHeader(http.StatusUnprocessableEntity)
			return
		}
		w.WriteHeader(http.StatusCreated)
	})
	s := start(t, b.directives("bayeux {\n publish /rooms/{channel} forward /app/say/{channel}\n}\nhistory {\n store memory\n}"))
	c := newSession(t, s, goodToken)
	for data, want := range map[string]string{
		`{"text":"</script>\u2028é","n":1.50}`: "", `null`: "", `false`: "", `"no"`: "407:/rooms/a:",
	} {
		r := c.send(`{"channel":"/rooms/a","clientId":"%s","id":"p","data":` + data + `}`)[0]
		if r.ok() != (want == "") || !strings.HasPrefix(r.text("error"), want) || r["data"] != nil {
			t.Errorf("%s: %v", data, r)
		}
		var sent, got any
		var text string
		select {
		case text = <-said:
		case <-time.After(20 * time.Second):
			t.Fatalf("%s: the app was not asked: %v", data, r)
		}
		rest, ok := strings.CutPrefix(text, "/app/say/a Bearer "+goodToken+" ")
		if err := json.Unmarshal([]byte(rest), &got); err != nil || !ok {
			t.Errorf("the app got %q", text)
		}
		json.Unmarshal([]byte(data), &sent)
		if fmt.Sprint(sent) != fmt.Sprint(got) {
			t.Errorf("the app got %v, not %v", got, sent)
		}
	}
	for _, message := range []string{`{"channel":"/elsewhere/a","data":1,"clientId":"%s"}`, `{"channel":"/rooms/a","data":1,"clientId":"nobody"}`} {
		if r := c.send(message)[0]; r.ok() {
			t.Errorf("%s: %v", message, r)
		}
	}
	if r := newSession(t, s, "").send(`{"channel":"/rooms/a","clientId":"%s","data":1}`)[0]; r.ok() {
		t.Errorf("without a token: %v", r)
	}
	select {
	case text := <-said:
		t.Errorf("the app was told %s", text)
	default:
	}
}

// A reload answers what is held, and keeps the sessions.
func TestBayeuxReload(t *testing.T) {
	b := newBackend(t)
	directives := b.directives("bayeux {\n timeout 10m\n}\nhistory {\n store memory\n}")
	s := start(t, directives)
	c := newSession(t, s, goodToken)
	c.subscribe("/rooms/1")
	held := make(chan int, 1)
	go func() {
		status, _, _ := try(c.request(`[{"channel":"/meta/connect","clientId":"%s","connectionType":"long-polling","id":"held"}]`))
		held <- status
	}()
	start := time.Now()
	s.reload(strings.Replace(directives, "10m", "11m", 1)) // Caddy ignores one without a change
	if status := <-held; status != 200 || time.Since(start) > time.Minute {
		t.Errorf("what was held: %d after %s", status, time.Since(start))
	}
	s.publish("1", 1, "after the reload")
	c.gets("after the reload")
}
