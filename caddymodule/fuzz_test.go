package caddymodule

import (
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig"
	"github.com/valyala/fastjson"
)

// FuzzCaddyfile looks for a block that makes the parser panic, or that opens
// streams to everybody without saying so.
func FuzzCaddyfile(f *testing.F) {
	cases, err := filepath.Glob("testdata/adapt/*.caddyfiletest")
	if err != nil {
		f.Fatal(err)
	}
	for _, file := range cases {
		content, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		input, _, _ := strings.Cut(string(content), dashes)
		if _, block, ok := strings.Cut(input, "sidestream"); ok {
			if _, block, ok = strings.Cut(block, "{\n"); ok {
				f.Add(strings.TrimRight(block, "}\n\t "))
			}
		}
	}
	f.Fuzz(func(t *testing.T, block string) {
		if strings.Contains(block, "import") || strings.Contains(block, "{$") {
			return // the lexer's, and they read files and the environment
		}
		config, _, err := caddyconfig.GetAdapter("caddyfile").Adapt(
			[]byte(":80 {\nsidestream localhost:3000 {\n"+block+"\n}\n}\n"), map[string]any{"filename": "Caddyfile"})
		if err != nil {
			return
		}
		v, err := fastjson.ParseBytes(config)
		if err != nil {
			t.Fatal(err)
		}
		for _, route := range v.GetArray("apps", "http", "servers", "srv0", "routes") {
			for _, handler := range route.GetArray("handle") {
				if string(handler.GetStringBytes("handler")) != "sidestream" {
					continue
				}
				if auth := handler.Get("auth"); auth == nil || !(auth.Exists("uri") || auth.Exists("preset") || auth.GetBool("none")) {
					t.Errorf("no auth: %s", handler)
				}
			}
		}
	})
}

func FuzzTemplate(f *testing.F) {
	for _, seed := range []string{"/room/{channel}.json", "/a?b={token}&c={flow}", "{", "}", "{}", "/{channel", "/{x}"} {
		f.Add(seed, "a/b")
	}
	f.Fuzz(func(t *testing.T, text, channel string) {
		parsed, err := parseURI(text, questionVariables)
		if err != nil || !isChannel(channel) {
			return
		}
		q := &question{channel: channel, client: &client{credential: credential{token: "t/../?&#", password: "\x00"}}}
		u, err := url.ParseRequestURI(parsed.expand(q, escapeURI))
		if err == nil && (u.Host != "" || u.Scheme != "" || u.User != nil) {
			t.Errorf("%q leads to %s", text, u)
		}
	})
}

func FuzzMaskedQuery(f *testing.F) {
	for _, seed := range []string{"access_token=s3cr3t", "a=1&acces%73_token=s3cr3t", "%zz&ACCESS_TOKEN=s3cr3t", "access_token"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		shown := maskedQuery(raw)
		values, err := url.ParseQuery(shown)
		if err != nil {
			return
		}
		for _, value := range values["access_token"] {
			if value != masked {
				t.Errorf("%q shows %q", raw, value)
			}
		}
	})
}

func FuzzReadRevocation(f *testing.F) {
	for _, seed := range []string{`{"user":"7","channel":12}`, `{"user":null}`, `[]`, `{"channel":{"a":1}}`} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		user, channel, ok := readRevocation(body)
		if ok && ((user == "" && channel == "") || len(user) > maxName || len(channel) > maxName) {
			t.Errorf("%q: user %q, channel %q", body, user, channel)
		}
	})
}

func FuzzAnswer(f *testing.F) {
	f.Add(200, "c1", []byte(`{"channel_id":"c1","user_id":"u"}`))
	f.Add(200, "c1", []byte(`{"joined_rooms":["c1"]}`))
	f.Add(400, "c1", []byte(`{"error":"not-allowed"}`))
	f.Fuzz(func(t *testing.T, status int, channel string, body []byte) {
		a := &Auth{URI: "/{channel}", UserJSON: "user_id", AllowJSON: []*Condition{{Path: "channel_id", Op: "==", Value: "{channel}"}},
			DenyJSON: []*Condition{{Path: "*.error", Op: "exists"}}}
		if err := a.provision(caddy.NewReplacer()); err != nil {
			t.Fatal(err)
		}
		q := &question{channel: channel, client: &client{}}
		v := a.read(reply{status: status, body: body}, q)
		if v.Outcome.String() == "allowed" && (status < 200 || status > 299 || (v.User != "" && !isUserID(v.User))) {
			t.Errorf("%d %q: %+v", status, body, v)
		}
	})
}
