//lint:file-ignore SA1019 only the transport of x/net sends the header :protocol, which opens a WebSocket over HTTP/2

package e2e

import (
	"bufio"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/http2"

	"github.com/seed-078801ba/sidestream/stream/conn"
	"github.com/seed-078801ba/sidestream/stream/redisconn/redistest"
)

const tamburOpen = `
	flowdock
	tambur {
		app ` + tamburApp + ` ` + tamburKey + ` ` + tamburSecret + `
		open *
	}`

// A client asks under a prefix, in the clear and under TLS, and is told where to go.
func TestTamburUnderTLSAndAPrefix(t *testing.T) {
	t.Parallel()
	s := &server{t: t, folder: t.TempDir(), port: freePort(t)}
	s.url = "http://127.0.0.1:" + s.port
	s.writeTLS("cors {\norigins *\n}\n" + strings.Replace(tamburOpen, "tambur {", "tambur /real/time {", 1))
	s.begin()
	s.openTLS(t, "http/1.1", "/flows?filter=1").Body.Close() // the certificate is there
	for _, root := range []string{s.url, "https://localhost:" + s.tlsPort} {
		c := tambur(t, root+"/real/time"+tamburPath)
		c.ok("subscribe", "1")
		if status, answer := s.tamburPost("/real/time", "1", "by "+root); status != http.StatusNoContent {
			t.Fatalf("%d %s", status, answer)
		}
		c.gets("1", "", "by "+root)
	}
	// Behind something that ends TLS, the address was signed as https.
	if host := tamburBalance(t, s.url+"/real/time"+tamburPath); host != "127.0.0.1:"+s.port+"/real/time"+tamburPath+"/connect" {
		t.Errorf("the balancer says %s", host)
	}
	for path, want := range map[string]int{
		tamburPath + "?callback=f":                       http.StatusBadGateway, // it is the app's, which is not there
		"/real/time/other/" + tamburApp + "?callback=f":  http.StatusNotFound,
		"/real/time" + tamburPath + "?callback=alert(1)": http.StatusBadRequest, "/real/time" + tamburPath: http.StatusBadRequest,
		"/real/time" + tamburPath + "/connect": http.StatusUpgradeRequired,
	} {
		answer, err := http.Get(s.url + path)
		if err != nil {
			t.Fatal(err)
		}
		answer.Body.Close()
		if answer.StatusCode != want {
			t.Errorf("%s: %s", path, answer.Status)
		}
	}
}

// comet asks a script of the server, and returns what stands in its calls.
func (s *server) comet(path string, query url.Values) (status int, script string) {
	s.t.Helper()
	query.Set("instance", "4")
	query.Set("callback", "cb")
	req, err := http.NewRequest(http.MethodGet, s.url+path+"?"+query.Encode(), nil)
	if err != nil {
		s.t.Fatal(err)
	}
	return do(s.t, req)
}

// A client that polls is told everything, in order, and the last node that it said
// farewell.
func TestTamburPolls(t *testing.T) {
	t.Parallel()
	s := start(t, openSite(strings.Replace(tamburOpen, "tambur {", "tambur /rt {", 1)))
	s.t = t
	// The address has a prefix, of which clients keep the first two parts.
	begin := "/comet/rt/" + tamburKey + "/" + tamburApp + "/connect"
	_, script := s.comet(begin, url.Values{})
	id, ok := strings.CutPrefix(strings.TrimSuffix(script, "\");\n"), `/**/cb(4,"id:`)
	if !ok {
		t.Fatalf("the first script is %q", script)
	}
	poll := "/comet/rt/" + tamburKey + "/" + id
	says := func(command string) string {
		_, script := s.comet(poll, url.Values{"data": {command}})
		return script
	}
	if got := says(`["subscribe",1,"a"]`); got != "/**/cb(4,[\"ack\",1,\"ok\"]);\n" {
		t.Fatalf("subscribing: %q", got)
	}
	if got := says(`["subscribe",2,"a"]`); !strings.Contains(got, "already_subscribed") {
		t.Errorf("once more: %q", got)
	}
	for i := range 3 {
		if status, answer := s.tamburPost("/rt", "a", fmt.Sprint(i)); status != http.StatusNoContent {
			t.Fatalf("%d %s", status, answer)
		}
	}
	var all string
	for !strings.Contains(all, `"2"`) {
		status, script := s.comet(poll, url.Values{})
		if status != http.StatusOK {
			t.Fatalf("polling: %d %s", status, script)
		}
		all += script
	}
	if want := "cb(4,[\"msg\",\"a\",\"\",\"0\"]);\ncb(4,[\"msg\",\"a\",\"\",\"1\"]);\ncb(4,[\"msg\",\"a\",\"\",\"2\"]);\n"; strings.ReplaceAll(all, "/**/", "") != want {
		t.Errorf("got %q", all)
	}
	held := make(chan string, 1)
	go func() {
		_, script := s.comet(poll, url.Values{})
		held <- script
	}()
	direct := tambur(t, s.url+"/rt"+tamburPath)
	direct.ok("subscribe", "a")
	says(`["set_mode",3,"direct","a","ann","` + tamburToken("direct", "a:ann", id) + `"]`)
	direct.ok("set_mode", "direct", "a", "bob", tamburToken("direct", "a:bob", direct.id))
	direct.ok("direct", "a", "ann", "are you there?")
	if got := <-held; !strings.Contains(got, `["msg","a","direct",["bob","are you there?"]]`) {
		t.Errorf("while a poll was held: %q", got)
	}
	go func() {
		_, script := s.comet(poll, url.Values{})
		held <- script
	}()
	says("fin")
	if logged, err := os.ReadFile(filepath.Join(s.folder, "access.log")); err != nil || !strings.Contains(string(logged), "data=REDACTED") ||
		strings.Contains(string(logged), tamburToken("direct", "a:ann", id)) {
		t.Errorf("a token is in the access log, or nothing is: %v\n%s", err, logged)
	}
	if got := <-held; strings.Contains(got, "msg") {
		t.Errorf("at the end: %q", got)
	}
	if status, _ := s.comet(poll, url.Values{}); status != http.StatusNotFound {
		t.Errorf("after the end: %d", status)
	}
}

// Two nodes are one: messages, tokens, direct messages and who is there.
func TestTamburOnTwoNodes(t *testing.T) {
	t.Parallel()
	redis := redistest.Start(t)
	nodes := startNodes(t, 2, sharedSite("redis://"+redis.Addr, tamburOpen))
	ann, bob := tambur(t, nodes[0].url+tamburPath), tambur(t, nodes[1].url+tamburPath)
	for c, user := range map[*tamburClient]string{ann: "ann", bob: "bob"} {
		c.ok("subscribe", "s")
		c.ok("set_mode", "auth", "s", tamburToken("auth", "s", c.id))
		c.ok("set_mode", "direct", "s", user, tamburToken("direct", "s:"+user, c.id))
	}
	for i, node := range nodes {
		node.t = t
		text := fmt.Sprint("by node ", i)
		node.tamburSays("s", text)
		node.tamburSays("auth:s", text)
		node.tamburSays("private:"+ann.id, text)
		for _, c := range []*tamburClient{ann, bob} {
			c.gets("s", "", text)
			c.gets("s", "auth", text)
		}
		ann.gets("private", "", text)
	}
	ann.ok("direct", "s", "bob", "hello")
	bob.gets("s", "direct", []string{"ann", "hello"})
	bob.ok("direct", "s", "ann", "hello yourself")
	ann.gets("s", "direct", []string{"bob", "hello yourself"})
	ann.ok("set_mode", "presence", "s", "ann", tamburToken("presence", "s:ann", ann.id))
	bob.ok("set_mode", "presence", "s", "bob", tamburToken("presence", "s:bob", bob.id))
	ann.gets("s", "presence", []string{"bob", "up"})
	bob.ok("unsubscribe", "s")
	ann.gets("s", "presence", []string{"bob", "down"})
	same := func(v url.Values) { v.Set("oauth_nonce", "once") }
	if status, answer := nodes[0].tamburPost("", "s", "x", same); status != http.StatusNoContent {
		t.Fatal(status, answer)
	}
	if status, _ := nodes[1].tamburPost("", "s", "x", same); status != http.StatusUnauthorized {
		t.Errorf("the nonce of the other node: %d", status)
	}
}

// A secret is replaced while clients are connected: they stay, and both count for as
// long as both are there.
func TestTamburSecretIsReplaced(t *testing.T) {
	t.Parallel()
	site := func(secrets string) string {
		return openSite("history {\nstore memory\n}\n" + strings.Replace(tamburOpen, " "+tamburSecret+"\n", " "+secrets+"\n", 1))
	}
	s := start(t, site(tamburSecret))
	s.t = t
	c := tambur(t, s.url+tamburPath)
	c.ok("subscribe", "s")
	for _, step := range []struct {
		secrets  string
		old, new bool
	}{{tamburSecret + " another", true, true}, {"another", false, true}} {
		s.reload(site(step.secrets))
		for secret, good := range map[string]bool{tamburSecret: step.old, "another": step.new} {
			status, _ := s.tamburPost("", "s", secret, func(v url.Values) { v.Set("secret", secret) })
			if (status == http.StatusNoContent) != good {
				t.Errorf("with %s, %s publishes: %d", step.secrets, secret, status)
			}
			if good {
				c.gets("s", "", secret)
			}
			if answer := c.does("set_mode", "auth", "s", tamburTokenOf(secret, "auth", "s", c.id)); (answer == "ok") != good {
				t.Errorf("with %s, a token of %s: %s", step.secrets, secret, answer)
			}
			c.ok("unset_mode", "auth", "s")
		}
	}
}

// Over HTTP/2, a WebSocket is a stream of the connection (RFC 8441), where the server
// is told to offer it.
func TestWebSocketOverHTTP2(t *testing.T) {
	t.Setenv("GODEBUG", "http2xconnect=1")
	s := &server{t: t, folder: t.TempDir(), port: freePort(t)}
	s.url = "http://127.0.0.1:" + s.port
	s.writeTLS(tamburOpen)
	s.begin()
	s.openTLS(t, "h2", "/flows?filter=1").Body.Close()
	transport := &http2.Transport{
		TLSClientConfig: &tls.Config{InsecureSkipVerify: true, ServerName: "localhost"},
		DialTLSContext: func(ctx context.Context, _, _ string, config *tls.Config) (net.Conn, error) {
			return (&tls.Dialer{Config: config}).DialContext(ctx, "tcp", "127.0.0.1:"+s.tlsPort)
		},
	}
	defer transport.CloseIdleConnections()
	in, out := io.Pipe()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodConnect, "https://localhost:"+s.tlsPort+tamburPath+"/connect", in)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set(":protocol", "websocket")
	req.Header.Set("Sec-WebSocket-Version", "13")
	answer, err := transport.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		t.Fatal(answer.Status)
	}
	r := bufio.NewReader(answer.Body)
	frame := func() string {
		head := make([]byte, 2)
		if _, err := io.ReadFull(r, head); err != nil {
			t.Fatal(err)
		}
		payload := make([]byte, head[1])
		if _, err := io.ReadFull(r, payload); err != nil {
			t.Fatal(err)
		}
		return string(payload)
	}
	says := func(text string) {
		b := conn.AppendWebSocket(nil, conn.TextFrame, []byte(text))
		out.Write(append(append([]byte{b[0], b[1] | 0x80}, 0, 0, 0, 0), text...))
	}
	if id := frame(); !strings.HasPrefix(id, "id:") {
		t.Fatalf("first: %q", id)
	}
	says(`["subscribe",1,"s"]`)
	if got := frame(); got != `["ack",1,"ok"]` {
		t.Fatalf("got %q", got)
	}
	s.tamburSays("s", "hello")
	if got := frame(); got != `["msg","s","","hello"]` {
		t.Fatalf("got %q", got)
	}
	out.Write([]byte{0x88, 0x80, 0, 0, 0, 0})
	if got := frame(); !strings.HasPrefix(got, "\x03\xe8") {
		t.Errorf("at the end: %q", got)
	}
	if _, err := r.ReadByte(); err != io.EOF {
		t.Errorf("behind the end: %v", err)
	}
}

// Whoever floods the server with commands is sent away, and costs the others nothing;
// pages of strangers come in only where they may.
func TestTamburFloodsAndStrangers(t *testing.T) {
	t.Parallel()
	backend := newBackend(t)
	s := start(t, tamburDirectives(backend, "open s")+"\n")
	s.t = t
	good, bad := tambur(t, s.url+tamburPath), tambur(t, s.url+tamburPath)
	good.ok("subscribe", "s")
	bad.ok("subscribe", "s")
	go func() {
		for i := range 2000 {
			if _, err := fmt.Fprintf(bad.ws, `["set_mode",%d,"auth","s","%040d"]`, i, i); err != nil {
				return
			}
		}
	}()
	for deadline := time.Now().Add(patience); ; {
		var text string
		bad.ws.SetReadDeadline(deadline)
		b := make([]byte, 4096)
		n, err := bad.ws.Read(b)
		if text = string(b[:n]); err != nil {
			break
		}
		if strings.Contains(text, `"ok"`) {
			t.Fatalf("a guessed token: %s", text)
		}
	}
	s.tamburSays("s", "still here")
	good.gets("s", "", "still here")
	eventually(t, "somebody is sent away for a flood", func() bool {
		return strings.Contains(s.admin(t, "/metrics"), `sidestream_streams_closed_total{hub="default",reason="flooding"} 1`)
	})

	address := "ws://" + tamburBalance(t, s.url+tamburPath)
	for origin, good := range map[string]bool{s.url: true, "https://evil.example": true, "null": false} {
		c, err := tryTambur(address, "Origin", origin)
		if (err == nil) != good {
			t.Errorf("a page of %s: %v", origin, err)
		}
		if err == nil {
			c.ws.Close()
		}
	}
	s.reload(tamburDirectives(backend, "open s") + "\n" + "")
	s.reload(strings.Replace(tamburDirectives(backend, "open s"), "flowdock", "flowdock\ncors {\norigins https://chat.example.com\n}", 1))
	for origin, good := range map[string]bool{s.url: true, "https://chat.example.com": true, "https://evil.example": false, "https://chat.example.com.evil.example": false} {
		c, err := tryTambur(address, "Origin", origin)
		if (err == nil) != good {
			t.Errorf("with cors, a page of %s: %v", origin, err)
		}
		if err == nil {
			c.ws.Close()
		}
	}
}
