package e2e

import (
	"bufio"
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/textproto"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

const uncertain = "gap;reason=ingest-uncertain"

// cursorNow is where an event stream of the channel stands.
func (s *server) cursorNow(channel string) string {
	s.t.Helper()
	st := s.open("/flows?filter="+channel, "Accept: text/event-stream", basic(goodToken))
	defer st.conn.Close()
	for {
		chunk, err := st.chunk()
		if err != nil {
			s.t.Fatal(err)
		}
		if _, cursor, ok := strings.Cut(chunk, "id: "); ok {
			cursor, _, _ = strings.Cut(cursor, "\n")
			return cursor
		}
	}
}

// resume is what an event stream of the channel says that goes on from a cursor.
func (s *server) resume(channel, cursor string) (head string, st *rawStream) {
	s.t.Helper()
	st = s.open("/flows?filter="+channel, "Accept: text/event-stream", basic(goodToken), "Last-Event-ID: "+cursor)
	return st.header.Get("Stream-Resume"), st
}

const roomTap = `tap POST /rooms/{room}/messages 201 {
		map channel {path.room}
		map id {res.id}
		map body {res.text}
	}
	tap DELETE /messages/{id} 200 {
		map id {path.id}
		map op delete
	}`

// say posts a message through the site, which the app takes.
func (a *tapApp) say(s *server, room, id, text string) {
	s.t.Helper()
	a.answers(says(201, jsonType, fmt.Sprintf(`{"id":%q,"text":%q}`, id, text)))
	if status, _, _ := s.call("POST", "/rooms/"+room+"/messages", jsonType, "{}"); status != 201 {
		s.t.Fatalf("the app answers %d", status)
	}
}

// TestTapReadsOnWhenTheClientHangsUp: the app has taken a message, and its author has
// hung up before the answer came. It is read on; and where it does not come, whoever
// listens is told that something may be missing.
func TestTapReadsOnWhenTheClientHangsUp(t *testing.T) {
	t.Parallel()
	a := newTapApp(t)
	s := start(t, a.directives(roomTap))
	hangUp := func(room string, answer http.HandlerFunc) {
		t.Helper()
		arrived := make(chan struct{})
		a.answers(func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body)
			close(arrived)
			answer(w, r)
		})
		conn, err := net.Dial("tcp", "127.0.0.1:"+s.port)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(conn, "POST /rooms/%s/messages HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}", room)
		select {
		case <-arrived:
		case <-time.After(patience):
			t.Fatal("the app was not asked")
		}
		conn.Close()
	}
	t.Run("the answer comes later", func(t *testing.T) {
		st := s.open("/flows?filter=late", basic(goodToken))
		goOn := make(chan struct{})
		hangUp("late", func(w http.ResponseWriter, r *http.Request) {
			<-goOn
			w.Header().Set("Content-Type", jsonType)
			w.WriteHeader(201)
			_, _ = io.WriteString(w, `{"id":"m1",`)
			w.(http.Flusher).Flush()
			_, _ = io.WriteString(w, `"text":"said before hanging up"}`)
		})
		time.AfterFunc(500*time.Millisecond, func() { close(goOn) }) // the server has seen the end by then, or not
		if got := st.next(); !strings.Contains(got, "said before hanging up") {
			t.Errorf("the stream has %s", got)
		}
	})
	t.Run("it never comes", func(t *testing.T) {
		st := s.open("/flows?filter=never", "Accept: text/event-stream", basic(goodToken))
		never := make(chan struct{})
		t.Cleanup(func() { close(never) })
		hangUp("never", func(w http.ResponseWriter, r *http.Request) {
			select {
			case <-never:
			case <-r.Context().Done():
			}
		})
		if got := st.next(); !strings.Contains(got, "event: gap") {
			t.Errorf("the stream has %s", got)
		}
	})
}

// TestTapAndWebhookAreOneEvent: whichever is first, a message is one event; other
// content of the second changes nothing and is counted.
func TestTapAndWebhookAreOneEvent(t *testing.T) {
	t.Parallel()
	a := newTapApp(t)
	s := start(t, a.directives(`tap preset mattermost
		webhook /hooks/mattermost {
			preset mattermost
			secret mattermost-token
		}`))
	st := s.open("/flows?filter=town", basic(goodToken))
	byTap := func(id int) {
		a.answers(says(201, jsonType, mattermostAnswer("town", fmt.Sprintf("p%d", id), fmt.Sprintf("message %d", id))))
		s.call("POST", "/api/v4/posts", jsonType, "{}")
	}
	for id := 1; id <= 4; id++ {
		if id%2 == 0 {
			byTap(id)
			if got := st.next(); !strings.Contains(got, fmt.Sprintf("message %d", id)) {
				t.Errorf("by tap: %s", got)
			}
			s.mattermost("town", id)
			continue
		}
		s.mattermost("town", id)
		if got := st.next(); !strings.Contains(got, fmt.Sprintf("message %d", id)) {
			t.Errorf("by webhook: %s", got)
		}
		byTap(id)
	}
	byTap(5)
	for _, c := range st.until("message 5") {
		if !strings.Contains(c, "message 5") {
			t.Errorf("a message came twice: %s", c)
		}
	}
	var text string
	eventually(t, "the coverage says that both brought everything but one", func() bool {
		p := run(t, s.env(), s.folder, command(t), "explain", "--config", s.caddyfile(), "--adapter", "caddyfile", "--coverage")
		<-p.exited
		text, _, _ = p.out.state()
		return strings.Contains(text, "tap: brought 100.0 %, was first with 60.0 %, alone with 20.0 %") &&
			strings.Contains(text, "webhook /hooks/mattermost: brought 80.0 %, was first with 40.0 %, alone with 0.0 %")
	})
	s.call("POST", "/hooks/abcdefghijklmnopqrstuvwxyz", jsonType, "{}")
	p := run(t, s.env(), s.folder, command(t), "explain", "--config", s.caddyfile(), "--adapter", "caddyfile", "--coverage")
	<-p.exited
	if text, _, _ = p.out.state(); !strings.Contains(text, "1 POST /hooks/*") || strings.Contains(text, "abcdefgh") {
		t.Errorf("what no tap is for: %s", text)
	}
}

// TestTapAfterAKill: between the app's answer and the commit the process may be killed.
// Who resumes across that is told; not across an orderly end or a reload, and not in
// channels that no tap feeds, or that a webhook feeds as well, whose sender repeats what
// it got no answer to.
func TestTapAfterAKill(t *testing.T) {
	t.Parallel()
	a := newTapApp(t)
	site := a.directives(roomTap)
	s := start(t, site)
	a.say(s, "town", "m0", "zero")
	s.publish("other", 1, "hello")
	s.publish("both", 1, "by the webhook")
	a.say(s, "both", "b1", "by the tap")
	for i, x := range []struct {
		how, want string
		do        func()
	}{
		{"SIGTERM", "complete", func() { s.restart(syscall.SIGTERM) }},
		{"reload", "complete", func() { s.reload(site + "\n\theader X-Again 1") }},
		{"kill", uncertain, func() { s.restart(syscall.SIGKILL) }},
		{"SIGTERM again", "complete", func() { s.restart(syscall.SIGTERM) }},
	} {
		town, other, both := s.cursorNow("town"), s.cursorNow("other"), s.cursorNow("both")
		x.do()
		a.say(s, "town", fmt.Sprintf("m%d", i+1), fmt.Sprintf("after %s", x.how))
		eventually(t, x.how+": what is said in the head", func() bool {
			head, st := s.resume("town", town)
			defer st.conn.Close()
			st.until("after " + x.how)
			return head == x.want
		})
		s.publish("other", 10+i, "for other")
		s.publish("both", 10+i, "for both")
		for channel, cursor := range map[string]string{"other": other, "both": both} {
			head, st := s.resume(channel, cursor)
			if head != "complete" {
				t.Errorf("%s: channel %s: %s", x.how, channel, head)
			}
			st.conn.Close()
		}
	}
}

// TestTapFindsTheChannelOfADeletion: the answer says only that the message is gone. It
// is taken back where it was said, before and after a restart; and what was said is
// nowhere any more.
func TestTapFindsTheChannelOfADeletion(t *testing.T) {
	t.Parallel()
	a := newTapApp(t)
	s := start(t, a.directives(roomTap))
	from := s.cursorNow("town")
	a.say(s, "town", "m1", "regretted one")
	a.say(s, "hall", "m2", "regretted two")
	a.say(s, "town", "m3", "stays")
	a.answers(says(200, jsonType, `{"status":"OK"}`))
	s.call("DELETE", "/messages/m1", "", "")
	s.restart(syscall.SIGTERM)
	hall := s.open("/flows?filter=hall", basic(goodToken))
	s.call("DELETE", "/messages/m2", "", "")
	if got := hall.next(); !strings.Contains(got, "message-delete") || !strings.Contains(got, "m2") {
		t.Errorf("the deletion is %s", got)
	}
	a.say(s, "town", "m4", "last")
	_, st := s.resume("town", from)
	all := strings.Join(st.until("last"), "")
	if strings.Contains(all, "regretted") || !strings.Contains(all, "message-delete") || !strings.Contains(all, "stays") {
		t.Errorf("replayed: %s", all)
	}
}

// TestTapBelievesNoLookAlikes: what a user can make the app answer, and what a path
// can be read as, is no message.
func TestTapBelievesNoLookAlikes(t *testing.T) {
	t.Parallel()
	a := newTapApp(t)
	s := start(t, a.directives(`tap preset mattermost
		`+roomTap))
	post := mattermostAnswer("town", "evil", "forged")
	room := `{"id":"evil","text":"forged"}`
	a.answers(func(w http.ResponseWriter, r *http.Request) {
		sent, _ := io.ReadAll(r.Body)
		w.Header().Set("Content-Type", jsonType)
		switch r.Header.Get("X-Want") {
		case "echo":
			w.WriteHeader(201)
			_, _ = w.Write(sent)
		case "download":
			w.Header().Set("Content-Disposition", `attachment; filename="x.json"`)
			w.WriteHeader(201)
			_, _ = w.Write(sent)
		case "redirect":
			w.Header().Set("Location", "/elsewhere")
			w.WriteHeader(307)
			_, _ = w.Write(sent)
		case "cached":
			w.Header().Set("Age", "30")
			w.WriteHeader(201)
			_, _ = w.Write(sent)
		case "html":
			w.Header().Set("Content-Type", "text/html")
			w.WriteHeader(201)
			_, _ = w.Write(sent)
		case "accepted":
			w.WriteHeader(202)
			_, _ = w.Write(sent)
		}
	})
	st := s.open("/flows?filter=town,1,2", basic(goodToken))
	if st.status != 200 {
		t.Fatal(st.status)
	}
	for _, x := range []struct{ method, path, want, body string }{
		{"POST", "/api/v4/posts/ephemeral", "echo", post},
		{"POST", "/files/upload.json", "echo", post},
		{"POST", "/api/v4/posts/", "echo", post},
		{"POST", "/api/v4//posts", "echo", post},
		{"POST", "/api/v4/%70osts", "echo", post},
		{"GET", "/api/v4/posts", "echo", post},
		{"HEAD", "/api/v4/posts", "echo", post},
		{"POST", "/api/v4/posts", "download", post},
		{"POST", "/api/v4/posts", "redirect", post},
		{"POST", "/api/v4/posts", "cached", post},
		{"POST", "/api/v4/posts", "html", post},
		{"POST", "/api/v4/posts", "accepted", post},
		{"POST", "/api/v4/posts?_method=put", "echo", post},
		{"POST", "/rooms/1%2F..%2F2/messages", "echo", room},
		{"POST", "/rooms/2;x/messages", "echo", room},
		{"POST", "/rooms/2%3Fx/messages", "echo", room},
	} {
		s.call(x.method, x.path, jsonType, x.body, "X-Want: "+x.want)
	}
	a.answers(says(201, jsonType, mattermostAnswer("town", "p1", "the marker")))
	s.call("POST", "/api/v4/posts", jsonType, "{}")
	for _, c := range st.until("the marker") {
		if strings.Contains(c, "forged") {
			t.Errorf("a look-alike became a message: %s", c)
		}
	}
}

// TestTapRevokes: somebody signs out, or is kicked, through the site: the stream ends
// without a webhook, long before the next regular re-check.
func TestTapRevokes(t *testing.T) {
	t.Parallel()
	a := newTapApp(t)
	site := strings.Replace(a.directives(`revoke tap POST /logout 204 302
		revoke tap DELETE /rooms/{room}/members/{user} 200 {
			user {path.user}
			channel {path.room}
		}`), "user  json user_id", "user  json user_id\n\t\t\trecheck 1h\n\t\t\tcache 30m", 1)
	s := start(t, site)
	out, kicked, stays := "out-token", "kicked-token", goodToken
	for token, user := range map[string]string{out: "1", kicked: "2"} {
		a.decide(token, "", verdict{status: 200, body: `{"user_id":"` + user + `"}`})
	}
	open := map[string]*rawStream{}
	for _, token := range []string{out, kicked, stays} {
		if open[token] = s.open("/flows?filter=1", basic(token)); open[token].status != 200 {
			t.Fatalf("%s: %d", token, open[token].status)
		}
	}
	ends := func(token string) {
		t.Helper()
		for {
			if _, err := open[token].chunk(); err != nil {
				return
			}
		}
	}
	a.answers(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/logout" {
			a.decide(out, "", verdict{status: 401})
			w.Header().Set("Location", "/")
			w.WriteHeader(302)
			return
		}
		a.decide(kicked, "", verdict{status: 403})
		w.WriteHeader(200)
	})
	s.call("POST", "/logout", "", "", basic(out))
	ends(out)
	s.call("DELETE", "/rooms/1/members/2", "", "")
	ends(kicked)
	if again := s.open("/flows?filter=1", basic(out)); again.status == 200 {
		t.Error("who has signed out is let in from memory")
	}
	s.publish("1", 1, "still here")
	if got := open[stays].next(); !strings.Contains(got, "still here") {
		t.Errorf("the others have %s", got)
	}
}

// tapSiteH2 serves HTTP/1.1 and HTTP/2 without TLS.
func tapSiteH2(t *testing.T, directives string) *server {
	t.Helper()
	s := &server{t: t, folder: t.TempDir(), port: freePort(t)}
	s.url = "http://127.0.0.1:" + s.port
	text := fmt.Sprintf("{\n\tadmin unix/%s/admin.sock\n\tpersist_config off\n\tgrace_period 5s\n\tskip_install_trust\n\tservers {\n\t\tprotocols h1 h2c\n\t}\n}\nhttp://:%s {\n\tbind 127.0.0.1\n\t%s\n}\n",
		s.folder, s.port, directives)
	if err := os.WriteFile(s.caddyfile(), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	s.begin()
	return s
}

// TestTapTouchesNothing: with and without a tap, a client gets the same, byte by byte and
// piece by piece: informational answers, what is flushed at once, trailers, an answer that
// breaks off, a WebSocket. What is large takes no memory.
func TestTapTouchesNothing(t *testing.T) {
	t.Parallel()
	a := newTapApp(t)
	s := tapSiteH2(t, a.directives(`tap POST /tapped 200 201 {
			map channel {res.room}
			map id {res.id}
			map body {req.text}
		}`))
	h2 := &http.Transport{Protocols: new(http.Protocols)}
	h2.Protocols.SetUnencryptedHTTP2(true)
	t.Cleanup(h2.CloseIdleConnections)
	h1 := &http.Transport{DisableCompression: true}
	t.Cleanup(h1.CloseIdleConnections)
	for protocol, transport := range map[string]*http.Transport{"HTTP/1.1": h1, "HTTP/2": h2} {
		for _, path := range []string{"/tapped", "/untapped"} {
			t.Run(protocol+path, func(t *testing.T) {
				t.Run("pieces, 103 and trailers", func(t *testing.T) { passesPieces(t, a, s, transport, path) })
				t.Run("a broken answer", func(t *testing.T) {
					a.answers(func(w http.ResponseWriter, r *http.Request) {
						w.Header().Set("Content-Type", jsonType)
						w.Header().Set("Content-Length", "100")
						w.WriteHeader(201)
						_, _ = io.WriteString(w, `{"id":1,`)
						w.(http.Flusher).Flush()
						panic(http.ErrAbortHandler)
					})
					req, _ := http.NewRequest("POST", s.url+path, strings.NewReader("{}"))
					resp, err := transport.RoundTrip(req)
					if err != nil {
						return
					}
					defer resp.Body.Close()
					if text, err := io.ReadAll(resp.Body); err == nil {
						t.Errorf("a broken answer ends well: %q", text)
					}
				})
				t.Run("large", func(t *testing.T) { passesLarge(t, a, s, transport, path) })
			})
		}
	}
	for _, path := range []string{"/tapped", "/untapped"} {
		t.Run("WebSocket"+path, func(t *testing.T) { passesWebSocket(t, a, s, path) })
	}
}

// passesPieces: the client has each piece before the app sends the next.
func passesPieces(t *testing.T, a *tapApp, s *server, transport *http.Transport, path string) {
	next := make(chan struct{})
	a.answers(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Link", "</x>; rel=preload")
		w.WriteHeader(103)
		w.Header().Del("Link")
		w.Header().Set("Content-Type", jsonType)
		w.Header().Set("Trailer", "X-Sum")
		w.WriteHeader(201)
		for _, piece := range []string{`{"id":1,`, `"room":"r",`, `"x":2}`} {
			_, _ = io.WriteString(w, piece)
			w.(http.Flusher).Flush()
			select {
			case <-next:
			case <-time.After(patience):
				return
			}
		}
		w.Header().Set("X-Sum", "42")
	})
	req, err := http.NewRequest("POST", s.url+path, strings.NewReader(`{"text":"x"}`))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", jsonType)
	early := make(chan int, 8)
	req = req.WithContext(httptrace.WithClientTrace(t.Context(), &httptrace.ClientTrace{
		Got1xxResponse: func(code int, _ textproto.MIMEHeader) error { early <- code; return nil },
	}))
	resp, err := transport.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	select {
	case code := <-early:
		if code != 103 {
			t.Errorf("an early answer of %d", code)
		}
	default:
		t.Error("no early answer")
	}
	for _, piece := range []string{`{"id":1,`, `"room":"r",`, `"x":2}`} {
		b := make([]byte, len(piece))
		if _, err := io.ReadFull(resp.Body, b); err != nil || string(b) != piece {
			t.Fatalf("%q, %v; want %q", b, err, piece)
		}
		next <- struct{}{}
	}
	if rest, err := io.ReadAll(resp.Body); err != nil || len(rest) > 0 || resp.Trailer.Get("X-Sum") != "42" {
		t.Errorf("the end: %q, %v, trailers %v", rest, err, resp.Trailer)
	}
}

// passesLarge sends and gets 64 MiB.
func passesLarge(t *testing.T, a *tapApp, s *server, transport *http.Transport, path string) {
	const size = 192 << 20
	block := make([]byte, 1<<20)
	_, _ = rand.Read(block)
	sum := sha256.New()
	for range size / len(block) {
		sum.Write(block)
	}
	want := hex.EncodeToString(sum.Sum(nil))
	var mu sync.Mutex
	var uploaded string
	a.answers(func(w http.ResponseWriter, r *http.Request) {
		got := sha256.New()
		_, _ = io.Copy(got, r.Body)
		mu.Lock()
		uploaded = hex.EncodeToString(got.Sum(nil))
		mu.Unlock()
		w.Header().Set("Content-Type", jsonType)
		w.WriteHeader(200)
		for range size / len(block) {
			if _, err := w.Write(block); err != nil {
				return
			}
		}
	})
	before := s.memory(t)
	blocks := make([]io.Reader, size/len(block))
	for i := range blocks {
		blocks[i] = bytes.NewReader(block)
	}
	req, err := http.NewRequest("POST", s.url+path, io.MultiReader(blocks...))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", jsonType)
	req.ContentLength = size
	resp, err := transport.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	got := sha256.New()
	if _, err := io.Copy(got, resp.Body); err != nil {
		t.Fatal(err)
	}
	mu.Lock()
	defer mu.Unlock()
	if downloaded := hex.EncodeToString(got.Sum(nil)); downloaded != want || uploaded != want {
		t.Error("what is large is not what it was")
	}
	most := size / 4
	if raceDetector { // which keeps several bytes for each that was written
		most = size
	}
	if grown := s.memory(t) - before; grown > most {
		t.Errorf("the process has grown by %d MiB", grown>>20)
	}
}

// memory is what the process takes, in bytes.
func (s *server) memory(t *testing.T) int {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", s.cmd.Process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	var all, resident int
	if _, err := fmt.Sscan(string(text), &all, &resident); err != nil {
		t.Fatal(err)
	}
	return resident * os.Getpagesize()
}

// passesWebSocket: a connection that is no HTTP any more is the app's.
func passesWebSocket(t *testing.T, a *tapApp, s *server, path string) {
	a.answers(func(w http.ResponseWriter, r *http.Request) {
		conn, buffers, err := http.NewResponseController(w).Hijack()
		if err != nil {
			return
		}
		defer conn.Close()
		_, _ = io.WriteString(conn, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
		_, _ = io.Copy(conn, buffers)
	})
	conn, err := net.Dial("tcp", "127.0.0.1:"+s.port)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(patience))
	fmt.Fprintf(conn, "GET %s HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n", path)
	r := bufio.NewReader(conn)
	line, err := r.ReadString('\n')
	if err != nil || !strings.Contains(line, "101") {
		t.Fatalf("%q, %v", line, err)
	}
	for line != "\r\n" {
		if line, err = r.ReadString('\n'); err != nil {
			t.Fatal(err)
		}
	}
	sent := make([]byte, 1<<20)
	_, _ = rand.Read(sent)
	go func() { _, _ = conn.Write(sent) }() // ends with the connection
	got := make([]byte, len(sent))
	if _, err := io.ReadFull(r, got); err != nil || !bytes.Equal(got, sent) {
		t.Errorf("an echo of %d bytes is another one: %v", len(sent), err)
	}
}

// Faults of an answer that the app has committed to are told where nobody reads the app.
func TestTapTellsWhatItCannotRead(t *testing.T) {
	t.Parallel()
	a := newTapApp(t)
	s := start(t, a.directives(roomTap))
	for name, answer := range map[string]http.HandlerFunc{
		"large":  says(201, jsonType, `{"id":"x","text":"`+strings.Repeat("x", 2<<20)+`"}`),
		"coding": says(201, jsonType, "garbage", "Content-Encoding: compress"),
		"broken": func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", jsonType)
			w.WriteHeader(201)
			_, _ = io.WriteString(w, `{"id":"x"`)
			w.(http.Flusher).Flush()
			panic(http.ErrAbortHandler)
		},
	} {
		st := s.open("/flows?filter="+name, "Accept: text/event-stream", basic(goodToken))
		a.answers(answer)
		req, err := http.NewRequestWithContext(context.Background(), "POST", s.url+"/rooms/"+name+"/messages", strings.NewReader("{}"))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Content-Type", jsonType)
		if resp, err := http.DefaultTransport.RoundTrip(req); err == nil {
			_, _ = io.Copy(io.Discard, resp.Body) // it may break off
			resp.Body.Close()
		}
		if got := st.next(); !strings.Contains(got, "event: gap") {
			t.Errorf("%s: the stream has %s", name, got)
		}
	}
}
