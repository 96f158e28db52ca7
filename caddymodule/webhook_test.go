package caddymodule

import (
	"maps"
	"net/http"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"

	"github.com/seed-078801ba/sidestream/webhook"
	"github.com/seed-078801ba/sidestream/webhook/decode"
)

func TestWebhookRoutes(t *testing.T) {
	for _, c := range []struct {
		path, preset string
		request      string
		match        bool
		vars         map[string]string
		shown        string
	}{
		{"/in", "mattermost", "/in", true, nil, "/in"},
		{"/in", "mattermost", "/in/", false, nil, "/in"},
		{"/in", "mattermost", "/in/x", false, nil, "/in"},
		{"/in", "mattermost", "//in", false, nil, "/in"},
		{"/in/{room}/x", "mattermost", "/in/a%2Fb/x", true, map[string]string{"room": "a/b"}, "/in/{room}/x"},
		{"/in/{room}", "mattermost", "/in", false, nil, "/in/{room}"},
		{"/in", "campfire", "/in/secret", true, map[string]string{"secret": "secret"}, "/in/REDACTED"},
		{"/in", "campfire", "/in", true, nil, "/in/REDACTED"},
		{"/in", "campfire", "/in/secret/more", false, nil, "/in/REDACTED"},
		{"/in/{secret}/x", "campfire", "/in/s%2Ft/x", true, map[string]string{"secret": "s/t"}, "/in/REDACTED/x"},
		{"/_matrix/app/v1", "matrix", "/_matrix/app/v1/transactions/5", true, nil, "/_matrix/app/v1"},
		{"/_matrix/app/v1", "matrix", "/_matrix/app", false, nil, "/_matrix/app/v1"},
	} {
		h := &Webhook{Path: c.path, Config: webhook.Config{Config: decode.Config{Preset: c.preset}, Secrets: []string{"0123456789012345678901234567890123456789"}}}
		if err := h.provision(caddy.NewReplacer()); err != nil {
			t.Fatalf("%s %s: %v", c.path, c.preset, err)
		}
		vars, ok := h.match(c.request)
		if ok != c.match || !maps.Equal(vars, c.vars) || h.shownPath() != c.shown {
			t.Errorf("%s %s: %s is %t with %v, shown as %s", c.path, c.preset, c.request, ok, vars, h.shownPath())
		}
	}
	for _, path := range []string{"", "in", "/", "/in/", "/a//b", "/a/../b", "/{", "/a{b}", "/{}", "/a?b", "/%41"} {
		if _, err := parseRoute("webhook", path); err == nil {
			t.Errorf("the path %q was taken", path)
		}
	}
}

// A path that other programs would read as a pattern is refused with the right
// spelling.
func TestPatternsInThePathOfAWebhook(t *testing.T) {
	for path, hint := range map[string]string{
		"/hooks/*": "/hooks/{name}", "/hooks/*/chat": "/hooks/{name}", "/hooks*": "/hooks/{name}", "*": "/hooks/{name}", "/hooks/:room": "/hooks/{name}", "/hooks/[a-z]": "/hooks/{name}",
		"^/hooks/.*$": "/hooks/{name}", "/hooks/<room>": "/hooks/{name}", "https://chat.example.com/hooks/chat": "/hooks/chat",
	} {
		if _, err := parseRoute("webhook", path); err == nil || !strings.Contains(err.Error(), hint) {
			t.Errorf("%s: %v, want a hint of %q", path, err, hint)
		}
	}
}

func TestFlowdockWebhookToStream(t *testing.T) {
	s := newSite(t)
	s.load(basics + `
		webhook /hooks/flowdock {
			preset flowdock
			verify bearer
			secret fd-secret-1
		}`)
	s.app.allow("tok", "acme%2Fmain")
	stream := s.open("/flows?filter=acme:main", asBearer)
	resp := s.request(http.MethodPost, "/hooks/flowdock", `{"event":"message","flow":"acme:main","id":5,"content":"whole","user":"7","sent":1317715309000,"uuid":"x","tags":[]}`,
		"Authorization: Bearer fd-secret-1", "Content-Type: application/json")
	if resp.StatusCode/100 != 2 {
		t.Fatalf("webhook: %d", resp.StatusCode)
	}
	readUntil(t, stream, `"content":"whole"`)
	for _, c := range []struct {
		method, header string
		status         int
	}{
		{"GET", "Authorization: Bearer fd-secret-1", 405}, {"POST", "Authorization: Bearer no", 401},
		{"POST", "Origin: https://evil.test", 403},
	} {
		resp := s.request(c.method, "/hooks/flowdock", "", c.header)
		if got := body(t, resp); resp.StatusCode != c.status || got != "" || resp.Header.Get("Content-Type") != "" {
			t.Errorf("%s with %s: %d %q %q", c.method, c.header, resp.StatusCode, got, resp.Header.Get("Content-Type"))
		}
	}
}
