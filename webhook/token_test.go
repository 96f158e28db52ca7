package webhook

import (
	"net/url"
	"strings"
	"testing"

	"github.com/seed-078801ba/sidestream/webhook/decode"
)

// The token that proves a delivery is in nothing that is stored or streamed,
// however the payload is passed on, and neither is a secret that a preset knows.
func TestNoTokenIsPassedOn(t *testing.T) {
	const token = "the-token-of-the-app"
	for _, c := range []struct {
		name        string
		lines       []string
		contentType string
		body        string
	}{
		{"flowdock", []string{"preset flowdock", "verify token"}, "", `{"token":"` + token + `","event":"message","content":"hi","id":3,"flow":"acme/main","user":"9"}`},
		{"flowdock, escaped", []string{"preset flowdock", "verify token"}, "", `{"event":"message","content":"hi","id":3,"flow":"acme/main","user":"9","t\u006fken":"` + token + `"}`},
		{"flowdock, a batch", []string{"preset flowdock", "verify token field {json.0.token}"}, "",
			`[{"token":"` + token + `","event":"message","content":"hi","id":3,"flow":"a/b"},{"event":"message","content":"ho","id":4,"flow":"a/b","token":"` + token + `"}]`},
		{"campfire_classic", []string{"preset campfire_classic", "verify token"}, "", `{"id":1,"room_id":2,"body":"hi","token":"` + token + `"}`},
		{"campfire_classic, inside", []string{"preset campfire_classic", "verify token field {json.message.auth.token}"}, "", `{"message":{"id":1,"room_id":2,"body":"hi","auth":{"token":"` + token + `","n":1}}}`},
		{"data", []string{"verify token field {json.auth ?? json.token}", "map channel {json.c}", "map id {json.id}", "map data {json}"}, "", `{"c":1,"id":2,"token":"` + token + `","auth":"` + token + `"}`},
		{"data, of items", []string{"verify token", "each {json.events}", "map channel {item.c}", "map id {item.id}", "map data {item}"}, "", `{"token":"` + token + `","events":[{"c":1,"id":2}]}`},
		{"a field that reads it", []string{"verify token", "map channel {json.c}", "map id {json.id}", "map body {json.token ?? json.text}", "map user_name {json.token}"}, "", `{"c":1,"id":2,"token":"` + token + `","text":"hi"}`},
		{"mattermost, verified by the path", []string{"preset mattermost", "verify path", "map data {json}"}, "", `{"token":"` + token + `","channel_id":"c","post_id":"p","text":"hi"}`},
		{"campfire's bot key", []string{"preset campfire", "map data {json}"}, "", `{"room":{"id":1,"path":"/rooms/1/2-` + token + `/messages"},"message":{"id":7,"body":{"plain":"hi"}}}`},
		{"a form", []string{"preset mattermost"}, formType, `token=` + token + `&channel_id=c&post_id=p&text=hi`},
		{"JSON in a form", []string{"verify token field {form.token}", "each {form.payload|json}", "map channel {item.c}", "map id {item.id}", "map data {item}"}, formType,
			"token=" + token + "&payload=" + url.QueryEscape(`{"c":1,"id":2}`)},
	} {
		t.Run(c.name, func(t *testing.T) {
			cfg := Config{Secrets: []string{token}}
			for _, line := range c.lines {
				words := strings.SplitN(line, " ", 3)
				rest := words[1:]
				if words[0] == "verify" {
					rest = strings.SplitN(strings.Join(rest, " "), " ", 3)
				}
				if err := cfg.Option(words[0], rest); err != nil {
					t.Fatal(err)
				}
			}
			vars := map[string]string{"secret": pathSecret}
			if cfg.Preset == "campfire" || (cfg.Verify != nil && cfg.Verify.Scheme == "path") {
				cfg.Secrets = []string{pathSecret}
			}
			pub := new(memory)
			resp, out := serve(mustNew(t, cfg), post(c.body, "Content-Type", orJSON(c.contentType)), vars, pub)
			if resp.StatusCode/100 != 2 || out.Events == 0 {
				t.Fatalf("%d %+v", resp.StatusCode, out)
			}
			for _, e := range pub.events {
				if stored := string(e.AppendBinary(nil)); strings.Contains(stored, token) {
					t.Errorf("the token is in %s", stored)
				}
			}
			wrong, _ := serve(mustNew(t, cfg), post(strings.ReplaceAll(c.body, token, "another-token"), "Content-Type", orJSON(c.contentType)), map[string]string{"secret": "x"}, new(memory))
			if wrong.StatusCode/100 != 4 {
				t.Errorf("a wrong token got %d", wrong.StatusCode)
			}
		})
	}
}

func orJSON(contentType string) string {
	if contentType == "" {
		return "application/json"
	}
	return contentType
}

// Where the token cannot be cut out, the configuration is refused.
func TestTokenThatWouldBePassedOn(t *testing.T) {
	for _, c := range []struct {
		field string
		rule  decode.MapRule
	}{
		{"{json.token}", decode.MapRule{Field: "body", Value: "{body}"}},
		{"{json.inner|json:token}", decode.MapRule{Field: "data", Value: "{json}"}},
		{"{form.payload|json:token}", decode.MapRule{Field: "data", Value: "{form.payload|json}"}},
		{"{form.payload|json:token}", decode.MapRule{Field: "body", Value: "{form.payload}"}},
		{"{form.payload|json:token}", decode.MapRule{Field: "body", Value: "{json.text ?? form.payload|trim}"}},
		{"{form.payload|json:auth.token}", decode.MapRule{Field: "files", Value: "{form.payload|json:auth}"}},
		{"{form.payload|json:auth.token}", decode.MapRule{Field: "body", Value: "{form.payload|json:auth.*}"}},
		{"{json.inner|json:token}", decode.MapRule{Field: "body", Value: "{json.inner}"}},
		{"{json.inner|json:token}", decode.MapRule{Field: "body", Value: "{item.inner}"}},
		{"{json.head|re:^token=(.*)$}", decode.MapRule{Field: "body", Value: "{json.head}"}},
		{"{json}", decode.MapRule{Field: "body", Value: "{json.text}"}},
		{"{json.tokens.*}", decode.MapRule{Field: "body", Value: "{json.text}"}},
		{"{item.token}", decode.MapRule{Field: "body", Value: "{json.text}"}},
		{"{json.inner|json}", decode.MapRule{Field: "body", Value: "{json.text}"}},
	} {
		cfg := Config{
			Verify: &Verify{Scheme: "token", Field: c.field}, Secrets: []string{"a-good-secret"},
			Config: decode.Config{Map: []decode.MapRule{{Field: "channel", Value: "{json.c}"}, c.rule}},
		}
		if _, err := New(cfg); err == nil || !strings.Contains(err.Error(), "verify token") {
			t.Errorf("%s with %s %s: %v", c.field, c.rule.Field, c.rule.Value, err)
		}
	}
}

// A rule that reads where the secret stands is refused, whatever the scheme.
func TestRulesThatReadTheSecret(t *testing.T) {
	for line, value := range map[string]string{
		"bearer":                            "{header.Authorization}",
		"bearer query key":                  "x-{query.key}",
		"path":                              "{path.secret}",
		"path parameter key":                "{json.user ?? path.key}",
		"token field {header.X-Token}":      "{header.x-token|trim}",
		"token field {query.t ?? header.T}": "{header.T}",
	} {
		cfg := own("map user " + strings.ReplaceAll(value, " ", ""))
		cfg.Verify, cfg.Secrets = nil, []string{pathSecret}
		words := strings.SplitN(line, " ", 3)
		if err := cfg.Option("verify", words); err != nil {
			t.Fatal(err)
		}
		if _, err := New(cfg); err == nil || !strings.Contains(err.Error(), "holds the secret") {
			t.Errorf("verify %s with map user %s: %v", line, value, err)
		}
	}
}
