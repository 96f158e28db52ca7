package e2e

import (
	"crypto/hmac"
	"crypto/sha1"
	"crypto/tls"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/websocket"
)

// The app is that of the public clients' test suites.
const (
	tamburKey    = "30af96de47e3c58329045ff136a4a3ea"
	tamburApp    = "ws-bot-1"
	tamburSecret = "wsbot"
)

// tamburPath is where the balancer of the app is.
const tamburPath = "/" + tamburKey + "/" + tamburApp

// tamburToken is the token of a mode, as the app's own server makes it.
func tamburToken(mode, property, subscriber string) string {
	return tamburTokenOf(tamburSecret, mode, property, subscriber)
}

func tamburTokenOf(secret, mode, property, subscriber string) string {
	h := hmac.New(sha1.New, []byte(secret))
	fmt.Fprintf(h, "%s:%s:%s:%s:%s", tamburKey, tamburApp, mode, property, subscriber)
	return hex.EncodeToString(h.Sum(nil))
}

// tamburClient is a client of Tambur, by its own protocol.
type tamburClient struct {
	t      *testing.T
	ws     *websocket.Conn
	id     string
	handle int
	told   []string // frames that came before the answer to a command
}

// tamburBalance asks the balancer for the address to connect to.
func tamburBalance(t *testing.T, from string) string {
	t.Helper()
	answer, err := insecure.Get(from + "?instance=3&callback=tambur.Utils.connect_callback")
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	body, _ := io.ReadAll(answer.Body)
	m := regexp.MustCompile(`^/\*\*/tambur\.Utils\.connect_callback\(3,"([^"]+)"\);\n$`).FindStringSubmatch(string(body))
	if m == nil || !strings.HasPrefix(answer.Header.Get("Content-Type"), "text/javascript") {
		t.Fatalf("the balancer said %s %q (%s)", answer.Status, body, answer.Header.Get("Content-Type"))
	}
	return m[1]
}

// insecure takes certificates of tests.
var insecure = &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}}

// tambur connects a client at the balancer's address.
func tambur(t *testing.T, balancer string, header ...string) *tamburClient {
	t.Helper()
	scheme := "ws://"
	if strings.HasPrefix(balancer, "https:") {
		scheme = "wss://"
	}
	c, err := tryTambur(scheme+tamburBalance(t, balancer), header...)
	if err != nil {
		t.Fatal(err)
	}
	c.t = t
	t.Cleanup(func() { c.ws.Close() })
	first := c.frame()
	id, ok := strings.CutPrefix(first, "id:")
	if !ok || len(id) != 36 {
		t.Fatalf("the first frame is %q", first)
	}
	c.id = id
	return c
}

func tryTambur(address string, header ...string) (*tamburClient, error) {
	host, _, _ := strings.Cut(strings.TrimPrefix(strings.TrimPrefix(address, "wss://"), "ws://"), "/")
	scheme := "http://"
	if strings.HasPrefix(address, "wss:") {
		scheme = "https://"
	}
	config, err := websocket.NewConfig(address, scheme+host)
	if err != nil {
		return nil, err
	}
	config.TlsConfig = &tls.Config{InsecureSkipVerify: true}
	for i := 0; i < len(header); i += 2 {
		if header[i] == "Origin" {
			config.Origin, _ = url.Parse(header[i+1])
			continue
		}
		config.Header.Set(header[i], header[i+1])
	}
	ws, err := websocket.DialConfig(config)
	if err != nil {
		return nil, err
	}
	return &tamburClient{ws: ws}, nil
}

// frame is the next text that the client gets.
func (c *tamburClient) frame() string {
	c.t.Helper()
	if len(c.told) > 0 {
		first := c.told[0]
		c.told = c.told[1:]
		return first
	}
	return c.read()
}

func (c *tamburClient) read() string {
	c.t.Helper()
	c.ws.SetReadDeadline(time.Now().Add(30 * time.Second))
	var text string
	if err := websocket.Message.Receive(c.ws, &text); err != nil {
		c.t.Fatalf("waiting for a frame: %v", err)
	}
	return text
}

// does sends a command and returns its answer. What comes before that is kept.
func (c *tamburClient) does(name string, args ...string) string {
	c.t.Helper()
	c.handle++
	c.sends(name, c.handle, args...)
	for {
		var ack []any
		text := c.read()
		if err := json.Unmarshal([]byte(text), &ack); err == nil && len(ack) == 3 && ack[0] == "ack" {
			if ack[1] != float64(c.handle) {
				c.t.Fatalf("answer to %v, not to %d", ack[1], c.handle)
			}
			return ack[2].(string)
		}
		c.told = append(c.told, text)
	}
}

func (c *tamburClient) sends(name string, handle int, args ...string) {
	c.t.Helper()
	command := []any{name, handle}
	for _, arg := range args {
		command = append(command, arg)
	}
	b, _ := json.Marshal(command)
	if err := websocket.Message.Send(c.ws, string(b)); err != nil {
		c.t.Fatal(err)
	}
}

// ok does a command that has to work.
func (c *tamburClient) ok(name string, args ...string) {
	c.t.Helper()
	if answer := c.does(name, args...); answer != "ok" {
		c.t.Fatalf("%s %q: %s", name, args, answer)
	}
}

// gets wants a message next.
func (c *tamburClient) gets(stream, mode string, data any) {
	c.t.Helper()
	want, _ := json.Marshal([]any{"msg", stream, mode, data})
	got := c.frame()
	var a, b any
	json.Unmarshal(want, &a)
	if err := json.Unmarshal([]byte(got), &b); err != nil || fmt.Sprint(a) != fmt.Sprint(b) {
		c.t.Fatalf("got %s, want %s", got, want)
	}
}

// gotNothing tells that nothing came before what is asked now.
func (c *tamburClient) gotNothing() {
	c.t.Helper()
	c.does("unsubscribe", "never subscribed to")
	if len(c.told) > 0 {
		c.t.Fatalf("got %q", c.told)
	}
}

// tamburPost publishes as a client that signs by the book.
func (s *server) tamburPost(prefix, stream, message string, change ...func(url.Values)) (status int, answer string) {
	s.t.Helper()
	address := s.url + prefix + "/app/" + tamburApp + "/stream/" + url.PathEscape(stream)
	f := url.Values{
		"api_version": {"1.0"}, "message": {message}, "oauth_consumer_key": {tamburKey}, "oauth_nonce": {fmt.Sprint(time.Now().UnixNano())},
		"oauth_signature_method": {"HMAC-SHA1"}, "oauth_timestamp": {fmt.Sprint(time.Now().Unix())}, "oauth_version": {"1.0"},
	}
	for _, c := range change {
		c(f)
	}
	secret := tamburSecret
	if other := f.Get("secret"); other != "" {
		secret = other
		f.Del("secret")
	}
	escape := func(text string) string { return strings.ReplaceAll(url.QueryEscape(text), "+", "%20") }
	var pairs []string
	for _, name := range slices.Sorted(maps.Keys(f)) {
		pairs = append(pairs, escape(name)+"="+escape(f.Get(name)))
	}
	h := hmac.New(sha1.New, []byte(escape(secret)+"&"))
	io.WriteString(h, "POST&"+escape(address)+"&"+escape(strings.Join(pairs, "&")))
	f.Set("oauth_signature", base64.StdEncoding.EncodeToString(h.Sum(nil)))
	req, err := http.NewRequest(http.MethodPost, address, strings.NewReader(f.Encode()))
	if err != nil {
		s.t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	return do(s.t, req)
}

// tamburSays publishes what has to be stored.
func (s *server) tamburSays(stream, message string) {
	s.t.Helper()
	if status, answer := s.tamburPost("", stream, message); status != http.StatusNoContent || answer != "" {
		s.t.Fatalf("publishing to %s: %d %s", stream, status, answer)
	}
}
