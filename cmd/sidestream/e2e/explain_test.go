package e2e

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// explainSite has a condition that can fail, a user, and two webhooks. Its
// history is in a file that no run of "explain" may touch.
func explainSite(b *testBackend, secret string) string {
	return `sidestream ` + b.address() + ` {
		webhook /hooks/mm {
			preset mattermost
			secret ` + secret + `
		}
		webhook /hooks/own {
			verify standardwebhooks ` + hookSecret + `
			each {json.events}
			map channel {item.room}
			map id      {item.id}
			map body    {item.text}
			map time    {item.at}
			drop {item.kind} in typing presence
			revoke {item.gone} {item.room} when {item.kind} == leave
		}
		auth GET /may/{channel} {
			header Authorization "Bearer {token}"
			allow json user_id == 7
			user  json user_id
		}
		history {
			store file history.db
		}
	}
	reverse_proxy ` + b.address()
}

// What "explain" says is what it said before; nothing is started, no file is
// made, and no secret is shown.
func TestExplain(t *testing.T) {
	b := newBackend(t)
	const token, hookToken = "secret-token-of-alice", "secret-token-of-the-hook"
	b.decide(token, "", verdict{})
	b.decide(token, "stranger", verdict{status: 200, body: `{"user_id":8,"token":"` + token + `"}`})
	b.decide(token, "page", verdict{status: 200, header: map[string]string{"Content-Type": "text/html"}, body: "<h1>log in</h1>"})
	b.decide(token, "login", verdict{status: 302, header: map[string]string{"Location": "/login"}})
	b.decide(token, "closed", verdict{status: 403})
	s := &server{t: t, folder: t.TempDir(), port: freePort(t)}
	s.write(explainSite(b, hookToken))
	client := []string{"--token", token}
	for _, test := range []struct {
		name, in string
		args     []string
	}{
		{"allowed", "", append(client, "/room/1/live.json")},
		{"flows", "", append(client, "/flows?filter=acme/main,acme/dev&user=1", "-H", "Accept: text/event-stream")},
		{"condition", "", append(client, "/room/stranger/live.json")},
		{"page", "", append(client, "/flows?filter=page")},
		{"login", "", append(client, "/room/login/live.xml")},
		{"closed", "", append(client, "/room/closed/live.json")},
		{"no-token", "", []string{"/room/1/live.json"}},
		{"crooked", "", append(client, "/room/1%252f/live.json")},
		{"not-ours", "", append(client, "/users/me")},
		{"webhook", `{"token":"` + hookToken + `","channel_id":"c","post_id":"p","user_id":"u","text":"hello","timestamp":1700000000000}`,
			[]string{"--webhook", "/hooks/mm"}},
		{"webhook-unsigned", `{"events":[
			{"room":"1","id":5,"text":"bye","at":1700000000,"kind":"leave","gone":"7"},
			{"room":"1","kind":"typing"},
			{"room":"1","text":"without id"}]}`, []string{"--webhook", "/hooks/own"}},
		{"webhook-broken", `{"events":`, []string{"--webhook", "/hooks/own"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			in, err := os.CreateTemp(t.TempDir(), "")
			if err != nil {
				t.Fatal(err)
			}
			defer in.Close()
			if _, err := in.WriteString(test.in); err != nil {
				t.Fatal(err)
			}
			if _, err := in.Seek(0, 0); err != nil {
				t.Fatal(err)
			}
			p := runWithInput(t, in, s.env(), s.folder, command(t), append([]string{"explain", "--config", s.caddyfile()}, test.args...)...)
			<-p.exited
			text, _, _ := p.out.state()
			text += p.errOut.tail(4000)
			for _, secret := range []string{token, hookToken, hookSecret} {
				if strings.Contains(text, secret) {
					t.Errorf("%q is shown", secret)
				}
			}
			text = strings.NewReplacer(b.address(), "APP", "127.0.0.1:"+s.port, "SITE", "localhost:"+s.port, "SITE").Replace(text)
			golden := filepath.Join("testdata", "explain", test.name+".txt")
			if *update {
				if err := os.WriteFile(golden, []byte(text), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if text != string(want) {
				t.Errorf("got\n%s\nwant\n%s", text, want)
			}
		})
	}
	entries, err := os.ReadDir(s.folder)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if e.Name() != filepath.Base(s.caddyfile()) {
			t.Errorf("it made %s", e.Name())
		}
	}
}

// A mistake in how it is called, or in the configuration, is said in words.
func TestExplainMistakes(t *testing.T) {
	s := &server{t: t, folder: t.TempDir(), port: freePort(t)}
	s.write("respond hello")
	for _, test := range []struct {
		args []string
		says string
	}{
		{[]string{"explain", "--config", s.caddyfile()}, "say what to explain"},
		{[]string{"explain", "--config", s.caddyfile(), "--webhook", "/a", "/b"}, "say what to explain"},
		{[]string{"explain", "--config", s.folder + "/none", "/a"}, "no such file"},
		{[]string{"explain", "--config", s.caddyfile(), "/a"}, "Sidestream in 0 sites"},
		{[]string{"explain", "--config", s.caddyfile(), "ftp://a"}, "must be a URL"},
		{[]string{"explain", "--config", s.caddyfile(), "--token", "a", "--bearer", "b", "/a"}, "not both"},
	} {
		p := run(t, s.env(), s.folder, command(t), test.args...)
		<-p.exited
		if text := p.errOut.tail(4000); p.err == nil || !strings.Contains(text, test.says) {
			t.Errorf("%v: %v %s", test.args, p.err, text)
		}
	}
}
