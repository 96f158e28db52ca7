package webhook

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/seed-078801ba/sidestream/stream/event"
	"github.com/seed-078801ba/sidestream/webhook/decode"
)

// checkEvent holds an event to what the rest of Sidestream relies on. What its
// names may be is tested where they are made.
func checkEvent(t *testing.T, e *event.Event) {
	t.Helper()
	if !decode.ValidName(e.Channel.Text) || !utf8.ValidString(e.Body) || !utf8.ValidString(e.UserName) || e.Op == event.Gap {
		t.Errorf("%+v", e)
	}
	if e.Payload != nil && (!json.Valid(e.Payload) || strings.ContainsAny(string(e.Payload), "\r\n")) {
		t.Errorf("payload %q", e.Payload)
	}
}

// Whatever is posted to whatever preset, an answer comes, a refusal is bare, and
// an event is one.
func FuzzServe(f *testing.F) {
	var hooks []*Hook
	for _, name := range decode.Presets() {
		h, err := New(presetConfig(name))
		if err != nil {
			f.Fatal(err)
		}
		hooks = append(hooks, h)
	}
	for _, lines := range [][]string{
		{"each {json.events}", "map channel {item.room}", "map data {item}", "map id hash"},
		{"map to {json.to|split:,}", "map body {json.text|html_text}", "map version {json.v|json:a}", "map user {json.u|base64url|last:/}"},
		{"format msgpack", "map data {json}"},
		{"gzip"},
	} {
		h, err := New(own(lines...))
		if err != nil {
			f.Fatal(err)
		}
		hooks = append(hooks, h)
	}
	for i, s := range samples {
		contentType := "application/json"
		if len(s.headers) > 1 && s.headers[0] == "Content-Type" {
			contentType = s.headers[1]
		}
		f.Add(byte(i), contentType, "x", []byte(s.body))
	}
	f.Add(byte(18), "application/json", "", []byte(`{"events":[{"room":["a","b"],"\u0001":"\u2028"}]}`))
	f.Add(byte(20), "application/msgpack", "\xff", []byte("\x81\xa1a\x93\x01\xc0\xc0"))
	f.Fuzz(func(t *testing.T, which byte, contentType, header string, body []byte) {
		h := hooks[int(which)%len(hooks)]
		r := httptest.NewRequest(h.method, "/transactions/1", strings.NewReader(string(body)))
		r.Header = http.Header{"Content-Type": {contentType}}
		for _, name := range []string{"X-Discourse-Event", "Ce-Subject", "Idempotency-Key", "Content-Encoding"} {
			if header != "" {
				r.Header.Set(name, header)
			}
		}
		if strings.HasPrefix(contentType, "ce") {
			for _, name := range []string{"Ce-Specversion", "Ce-Id", "Ce-Source", "Ce-Type"} {
				r.Header.Set(name, "1.0")
			}
		}
		pub := new(memory)
		resp, out := serve(h, r, nil, pub)
		if out.Err != nil {
			checkBare(t, resp)
			if resp.StatusCode < 400 || resp.StatusCode >= 500 {
				t.Errorf("status %d for %v", resp.StatusCode, out.Err)
			}
		}
		for i := range pub.events {
			checkEvent(t, &pub.events[i])
		}
	})
}

// Options that were taken make a webhook or an error, never a panic.
func FuzzOption(f *testing.F) {
	for _, s := range []string{
		"map|channel|{json.a}|when|{json.b}|==|c d", "verify|hmac_sha1|header|X|signed|{body}|key", "ack|200|json|{}", "max_body|1MiB", "drop|{json.a}|in|b|c", "revoke|{json.u}|{json.c}",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		words := strings.Split(s, "|")
		cfg := own()
		cfg.Verify = nil
		if err := cfg.Option(words[0], words[1:]); err == nil {
			_, _ = New(cfg)
		}
	})
}
