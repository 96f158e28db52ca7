package e2e

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// Chromium on pages of other origins: a listed one listens, with the visitor's
// cookie; any other gets nothing, and the app is not even asked.
func TestForeignPages(t *testing.T) {
	page := func() *httptest.Server {
		srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/html")
			fmt.Fprint(w, "<!DOCTYPE html><title>a page</title>")
		}))
		t.Cleanup(srv.Close)
		return srv
	}
	listed, foreign := page(), page()
	f := besiege(t, "history {\n store memory\n}", "", "")
	site := strings.Replace(f.b.directives("history {\n store memory\n}\n cors {\n origins "+listed.URL+"\n }"), "user  json user_id", "user json user_id\n cookies session", 1)
	f.reconfigure(site)
	f.b.decide("", "secret", verdict{}) // who comes with a cookie may
	stream := f.url + "/flows?filter=secret&accept=text/event-stream"
	asked := func(what string, want bool, step func()) {
		t.Helper()
		before := 0
		for _, q := range f.b.asked() {
			if q.cookie != "" || q.token == mallory {
				before++
			}
		}
		step()
		after := 0
		for _, q := range f.b.asked() {
			if q.cookie != "" || q.token == mallory {
				after++
			}
		}
		if (after > before) != want {
			t.Errorf("%s: %d questions", what, after-before)
		}
	}
	b := newBrowser(t)
	// Pages of one host on different ports are of one site, so that the browser
	// sends cookies along: nothing but the Origin tells them apart.
	got := func(command ...string) string {
		t.Helper()
		text, _ := b.do(command...)["got"].(string)
		return text
	}
	b.do("visit", "foreign", foreign.URL, "session=abc")
	asked("a foreign page", false, func() {
		for _, command := range [][]string{{"listen", "foreign", stream, "with cookies"}, {"listen", "foreign", stream, "without"},
			{"fetch", "foreign", stream}, {"fetch", "foreign", f.url + "/room/secret/live.json"}, {"fetch", "foreign", f.url + "/flows?filter=secret", mallory}} {
			if text := got(command...); text != "failed" {
				t.Errorf("%v: %q", command, text)
			}
		}
	})
	b.do("visit", "own", f.url+"/own", "session=own")
	asked("a page of the site", true, func() {
		if text := got("listen", "own", stream, "with cookies"); !strings.Contains(text, f.canary) {
			t.Errorf("a page of the site: %q", text)
		}
	})
	b.do("visit", "listed", listed.URL, "session=listed")
	asked("a listed page", true, func() {
		if text := got("listen", "listed", stream, "with cookies"); !strings.Contains(text, f.canary) {
			t.Errorf("a listed page: %q", text)
		}
	})
	if text := got("fetch", "listed", f.url+"/room/secret/live.json", goodToken); !strings.HasPrefix(text, "200 ") || !strings.Contains(text, f.canary) {
		t.Errorf("a listed page with a token: %q", text)
	}
	if text := got("fetch", "listed", f.url+"/room/secret/live.json", mallory); !strings.HasPrefix(text, "200") && !strings.HasPrefix(text, "401") && !strings.HasPrefix(text, "403") {
		t.Errorf("a refusal that the page may read: %q", text)
	}
}

// What no browser of today sends, but an attacker's could.
func TestOrigins(t *testing.T) {
	f := besiege(t, "history {\n store memory\n}", "", "")
	f.reconfigure(strings.Replace(f.b.directives("history {\n store memory\n}\n cors {\n origins https://chat.example.com\n }"), "user  json user_id", "user json user_id\n cookies session", 1))
	f.b.decide("", "secret", verdict{})
	for _, protocol := range protocols {
		for _, origin := range []string{
			"null", "https://chat.example.com.evil.test", "https://evilchat.example.com", "https://chat.example.com:8443", "http://chat.example.com",
			"https://CHAT.example.com", "https://chat.example.com/", "https://chat.example.com@evil.test", "chat.example.com", "*", "https://chat.example.com, https://evil.test",
			"https://a\tb", "file://", "https://xn--chat.example.com", "https://chat_example.com",
		} {
			for _, target := range []string{"/room/secret/live.json", "/flows?filter=secret", "/flows?filter=secret&accept=text/event-stream"} {
				r := f.fetch(t, protocol, "GET", target, "Cookie: session=abc", "Origin: "+origin)
				if r.status != 403 || r.header.Get("Access-Control-Allow-Origin") != "" {
					t.Errorf("%s from %q: %d %v", r.name, origin, r.status, r.header)
				}
			}
		}
		for _, from := range []string{"cross-site", "same-site"} {
			if r := f.fetch(t, protocol, "GET", "/flows?filter=secret", "Cookie: session=abc", "Sec-Fetch-Site: "+from); r.status != 403 {
				t.Errorf("%s: %d", from, r.status)
			}
		}
		r := f.fetch(t, protocol, "GET", "/flows?filter=secret", "Cookie: session=abc", "Origin: https://chat.example.com")
		h := r.header
		if r.status != 200 || h.Get("Access-Control-Allow-Origin") != "https://chat.example.com" || h.Get("Access-Control-Allow-Credentials") != "true" ||
			!strings.Contains(h.Get("Vary"), "Origin") || !strings.Contains(h.Get("Cache-Control"), "no-store") {
			t.Errorf("the listed origin: %d %v", r.status, h)
		}
		preflight := f.fetch(t, protocol, "OPTIONS", "/flows?filter=secret", "Origin: https://evil.test", "Access-Control-Request-Method: GET")
		if h := preflight.header; h.Get("Access-Control-Allow-Origin") != "" || h.Get("Access-Control-Allow-Headers") != "" {
			t.Errorf("a foreign preflight: %d %v", preflight.status, h)
		}
	}
}
