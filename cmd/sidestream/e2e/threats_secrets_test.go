package e2e

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// admin asks Caddy's admin API.
func (s *server) admin(t *testing.T, path string) string {
	t.Helper()
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", filepath.Join(s.folder, "admin.sock"))
	}}}
	resp, err := client.Get("http://admin" + path)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// Whatever way a secret comes in, it is in no log, not at debug level and not
// in the access log, in no metric, in no answer of the admin API and not in the
// history; and what strangers send cannot forge a line of a log.
func TestSecretsStayInside(t *testing.T) {
	secrets := map[string]string{}
	for _, name := range []string{"query", "bearer", "basic", "password", "cookie", "userinfo", "referer", "path", "revoke", "refused", "wrongpath", "escaped"} {
		secrets[name] = name + "0" + strings.Repeat("s3cr3t"+name, 5)
	}
	t.Setenv("TEST_HOOK_SECRET", hookSecret)
	t.Setenv("TEST_PATH_SECRET", secrets["path"])
	t.Setenv("TEST_REVOKE_SECRET", secrets["revoke"])
	b := newBackend(t)
	for _, name := range []string{"query", "bearer", "basic", "escaped"} {
		b.decide(secrets[name], "", verdict{})
	}
	b.decide(secrets["bearer"], "gone", verdict{status: 500})
	b.decide("", "open", verdict{})
	f := &fortress{b: b}
	f.server = &server{t: t, folder: t.TempDir(), port: freePort(t), tlsPort: freePort(t)}
	f.url = "http://127.0.0.1:" + f.port
	directives := strings.ReplaceAll(b.directives(`history {
			store file history.db
		}
		webhook /hooks/bot {
			preset campfire
			secret {env.TEST_PATH_SECRET}
		}
		revoke /hooks/revoke {
			secret {env.TEST_REVOKE_SECRET}
		}`), hookSecret, "{env.TEST_HOOK_SECRET}")
	directives = strings.Replace(directives, "user  json user_id", "user json user_id\n cookies session\n recheck 1s\n header X-Token \"{token}\"\n header Authorization \"Bearer {token}\"", 1)
	f.writeSites(directives, "log {\n output file access.log\n level DEBUG\n }", "debug\n metrics")
	f.begin()

	get := func(target string, lines ...string) {
		r := f.fetch(t, "http/1.1", "GET", target, lines...)
		r.end()
	}
	for _, target := range []string{"/flows?filter=open&", "/room/open/live.json?", "/room/gone/live.json?", "/elsewhere?", "/flows?filter=%zz&", "/room/x%2fy/live.json?"} {
		if !strings.HasPrefix(target, "/elsewhere") { // what is the app's own is the app's to mask
			get(target + "access_token=" + secrets["query"])
			get(target + "a=b&%61ccess_token=" + secrets["escaped"] + "&c=d")
			get(target, "Referer: http://x/?access_token="+secrets["referer"])
			get("http://" + secrets["userinfo"] + "@127.0.0.1" + target)
		}
		get(target, "Authorization: Bearer "+secrets["bearer"])
		get(target, "Authorization: Basic "+base64.StdEncoding.EncodeToString([]byte(secrets["basic"]+":"+secrets["password"])))
		get(target, "Cookie: session="+secrets["cookie"]+"; other="+secrets["cookie"])
		get(target, basic(secrets["refused"]))
	}
	for _, path := range []string{secrets["path"], secrets["wrongpath"]} {
		resp, err := http.Post(f.url+"/hooks/bot/"+path, "application/json", strings.NewReader(`{"user":{"id":1,"name":"A"},"room":{"id":1,"name":"r","path":"/rooms/1/9-`+
			secrets["path"]+`/messages"},"message":{"id":5,"body":{"html":"x","plain":"x"},"path":"/rooms/1/@5"}}`))
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if want := map[bool]int{true: 204, false: 404}[path == secrets["path"]]; resp.StatusCode != want {
			t.Errorf("the webhook: %d, want %d", resp.StatusCode, want)
		}
	}
	req, err := http.NewRequest(http.MethodPost, f.url+"/hooks/revoke", strings.NewReader(`{"user":"7"}`))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+secrets["revoke"])
	if status, _ := do(t, req); status != 204 {
		t.Errorf("the revocation: %d", status)
	}
	get("/room/open/live.json?x=%1b[31m%0d%0aforged", "X-Odd: \xc2\x9b2J\t", "User-Agent: \xff\xc2\x9d0;x", basic(secrets["refused"]))
	f.publish("open", 1, "hello")

	look := map[string]string{"/metrics": f.admin(t, "/metrics"), "/config/": f.admin(t, "/config/")}
	for _, path := range []string{"/debug/vars", "/debug/pprof/goroutine?debug=2", "/debug/pprof/cmdline"} {
		look[path] = f.admin(t, path)
	}
	eventually(t, "the access log is written", func() bool {
		b, err := os.ReadFile(filepath.Join(f.folder, "access.log"))
		return err == nil && strings.Contains(string(b), "/hooks/revoke") && strings.Contains(string(b), "forged")
	})
	if err := f.stop(os.Interrupt); err != nil {
		t.Errorf("the end: %v", err)
	}
	look["standard error"] = f.errOut.tail(100 << 20)
	err = filepath.WalkDir(f.folder, func(path string, d os.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		content, err := os.ReadFile(path)
		look[strings.TrimPrefix(path, f.folder)] = string(content)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"/history.db", "/access.log"} {
		if look[want] == "" {
			t.Errorf("there is no %s: nothing is shown by this test", want)
		}
	}
	secrets["hook"] = strings.TrimPrefix(hookSecret, "whsec_")
	for place, text := range look {
		for name, secret := range secrets {
			for _, form := range []string{secret, url.QueryEscape(secret), base64.StdEncoding.EncodeToString([]byte(secret))[:20]} {
				if i := strings.Index(text, form); i >= 0 {
					t.Errorf("the secret %s is in %s: ...%.300s", name, place, text[max(0, i-200):])
					break
				}
			}
		}
		if strings.Contains(place, "error") || strings.HasSuffix(place, ".log") {
			if strings.ContainsAny(text, "\x1b\x07\r") {
				t.Errorf("%s has what a terminal obeys", place)
			}
			for line := range strings.Lines(text) {
				if !json.Valid([]byte(line)) {
					t.Errorf("%s has a line that is none of its own: %q", place, line)
				}
			}
		}
	}
}

// Nobody publishes who has no secret, and no page that somebody has open does
// it for them; refusals have no body, which apps would post into the chat.
func TestPublishingIsClosed(t *testing.T) {
	f := besiege(t, "history {\n store memory\n}", "", "")
	open := f.fetch(t, "http/1.1", "GET", "/flows?filter=open", basic(mallory))
	forged := []byte(`{"channel":"open","id":666,"text":"forged"}`)
	signed := func(r *http.Request) { sign(r, "msg_x", forged) }
	for _, test := range []struct {
		name, method, path string
		change             func(*http.Request)
		refused            bool // by us; else it is the app's
	}{
		{"unsigned", "POST", "/hooks/own", func(*http.Request) {}, true},
		{"signed for another body", "POST", "/hooks/own", func(r *http.Request) { sign(r, "msg_x", []byte(`{}`)) }, true},
		{"another id", "POST", "/hooks/own", func(r *http.Request) { signed(r); r.Header.Set("webhook-id", "msg_y") }, true},
		{"another time", "POST", "/hooks/own", func(r *http.Request) { signed(r); r.Header.Set("webhook-timestamp", "1") }, true},
		{"two signatures", "POST", "/hooks/own", func(r *http.Request) { signed(r); r.Header.Add("webhook-signature", "v1,AAAA") }, true},
		{"a page", "POST", "/hooks/own", func(r *http.Request) { signed(r); r.Header.Set("Origin", "https://evil.test") }, true},
		{"a page of this site", "POST", "/hooks/own", func(r *http.Request) { signed(r); r.Header.Set("Sec-Fetch-Site", "same-origin") }, true},
		{"GET", "GET", "/hooks/own", signed, true},
		{"PUT", "PUT", "/hooks/own", signed, true},
		{"by another header", "POST", "/own", func(r *http.Request) { signed(r); r.Header.Set("X-Original-URL", "/hooks/own") }, false},
		{"a slash more", "POST", "/hooks/own/", signed, false},
		{"two slashes", "POST", "/hooks//own", signed, false},
		{"upper case", "POST", "/HOOKS/OWN", signed, false},
		{"escaped slash", "POST", "/hooks%2fown", signed, false},
		{"below a stream", "POST", "/room/open/live.json", signed, true},
	} {
		req, err := http.NewRequest(test.method, f.url+test.path, bytes.NewReader(forged))
		if err != nil {
			t.Fatal(err)
		}
		test.change(req)
		resp, err := http.DefaultTransport.RoundTrip(req)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if err != nil {
			t.Fatal(err)
		}
		ours := !strings.HasPrefix(string(body), "the app's own")
		if ours != test.refused || test.refused && resp.StatusCode/100 != 4 || test.refused && strings.HasPrefix(test.path, "/hooks") && len(body) > 0 {
			t.Errorf("%s: %d %q", test.name, resp.StatusCode, body)
		}
	}
	f.publish("open", 1, "the end")
	open.awaits(t, "the end")
	if strings.Contains(open.text(), "forged") {
		t.Errorf("a forgery was published: %q", open.text())
	}
}

// What would leave a site open by mistake does not start.
func TestUnsafeConfigurations(t *testing.T) {
	s := &server{t: t, folder: t.TempDir(), port: freePort(t)}
	for _, test := range []struct{ directives, says string }{
		{"sidestream 127.0.0.1:9", "auth is missing"},
		{"sidestream 127.0.0.1:9 {\n auth GET /{channel}\n webhook /h {\n map channel {json.a}\n map id {json.b}\n }\n }", "verif"},
		{"sidestream 127.0.0.1:9 {\n auth GET /{channel}\n webhook /h {\n preset mattermost\n secret {env.TEST_NO_SUCH_VARIABLE}\n }\n }", "secret"},
		{"sidestream 127.0.0.1:9 {\n auth GET /{channel}\n revoke /h {\n secret {env.TEST_NO_SUCH_VARIABLE}\n }\n }", "secret"},
		{"sidestream 127.0.0.1:9 {\n auth GET /{channel} {\n cookies s\n }\n cors {\n origins *\n }\n }", "origin *"},
		{"sidestream 127.0.0.1:9 {\n auth GET //evil.test/{channel}\n }", "one slash"},
		{"sidestream 127.0.0.1:9 {\n auth GET /{channel}\n autth none\n }", "autth"},
	} {
		s.write(test.directives)
		p := run(t, s.env(), s.folder, command(t), "validate", "--config", s.caddyfile(), "--adapter", "caddyfile")
		<-p.exited
		if text := p.errOut.tail(4000); p.err == nil || !strings.Contains(text, test.says) {
			t.Errorf("%s\nis told %v %s", test.directives, p.err, fmt.Sprintf("%.500s", text))
		}
	}
}
