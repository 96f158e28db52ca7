package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"testing"
)

// sidestream runs a command of an operator beside the server, in its folder.
func (s *server) sidestream(args ...string) (out string, err error) {
	s.t.Helper()
	cmd := exec.Command(command(s.t), args...)
	cmd.Env, cmd.Dir = append(os.Environ(), s.env()...), s.folder
	text, err := cmd.CombinedOutput()
	return string(text), err
}

// says runs a command that must end well, and checks what it says.
func (s *server) says(args []string, want ...string) string {
	s.t.Helper()
	out, err := s.sidestream(args...)
	if err != nil {
		s.t.Errorf("sidestream %q: %v: %s", args, err, out)
	}
	for _, w := range want {
		if !strings.Contains(out, w) {
			s.t.Errorf("sidestream %q does not say %q:\n%s", args, w, out)
		}
	}
	return out
}

// operate asks the admin API.
func (s *server) operate(method, uri string) (status int, body string) {
	s.t.Helper()
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", s.folder+"/admin.sock")
	}}}
	req, err := http.NewRequest(method, "http://127.0.0.1"+uri, nil)
	if err != nil {
		s.t.Fatal(err)
	}
	resp, err := client.Do(req)
	if err != nil {
		s.t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	return resp.StatusCode, string(text)
}

// An operator sees who is connected, from where, to what, ends some of it, and whoever
// is ended comes back to where it was.
func TestOperatorSeesAndEndsStreams(t *testing.T) {
	t.Parallel()
	b := newBackend(t)
	s := start(t, b.directives("history {\n store memory\n}"))
	b.decide("alice", "", verdict{status: 200, body: `{"user_id":"7"}`})
	b.decide("bob", "", verdict{status: 200, body: `{"user_id":"8"}`})
	alice := s.open("/room/1/live.json", basic("alice"))
	bob := s.open("/flows?filter=1,2", basic("bob"), "Accept: application/json")
	s.publish("1", 1, "hello")
	alice.until("hello")
	bob.until("hello")

	s.says([]string{"hubs"}, "hub default", "store: memory", "streams: 2", "health: good", "webhook /hooks/own  open   1")
	s.says([]string{"streams"}, "campfire-json", "flowdock-json", "1,2", "127.0.0.1")
	if out := s.says([]string{"streams", "--user", "7"}, "campfire-json"); strings.Contains(out, "flowdock") {
		t.Errorf("the streams of user 7: %s", out)
	}
	for _, filter := range []string{"channel=2", "format=flowdock-json", "address=127.0.0.0/8&channel=2"} {
		var page struct {
			Streams []struct{ Format string }
			Next    string
		}
		_, body := s.operate(http.MethodGet, "/sidestream/streams?"+filter)
		if err := json.Unmarshal([]byte(body), &page); err != nil || len(page.Streams) != 1 || page.Streams[0].Format != "flowdock-json" {
			t.Errorf("%s: %v: %s", filter, err, body)
		}
	}
	s.says([]string{"channels"}, "1        2", "2        1")
	for _, wrong := range []string{"/sidestream/streams?chanel=1", "/sidestream/streams?address=x", "/sidestream/hubs/none", "/sidestream/streams?limit=0", "/sidestream/streams?after=x", "/sidestream/events?kind=all"} {
		if status, body := s.operate(http.MethodGet, wrong); status/100 != 4 || !strings.Contains(body, `"error"`) {
			t.Errorf("%s: %d %s", wrong, status, body)
		}
	}
	if status, body := s.operate(http.MethodDelete, "/sidestream/streams"); status != http.StatusBadRequest {
		t.Errorf("ending everything by mistake: %d %s", status, body)
	}
	req, err := http.NewRequest(http.MethodGet, s.url+"/sidestream/streams", nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, body := do(t, req); !strings.Contains(body, "the app's own") {
		t.Errorf("strangers reach the operator's API: %s", body)
	}

	s.says([]string{"kick", "--channel", "1", "--dry"}, "would be ended, without --dry: 2")
	s.says([]string{"kick", "--user", "7"}, "ended: 1")
	if _, err := alice.chunk(); err == nil {
		for err == nil {
			_, err = alice.chunk()
		}
	}
	s.publish("1", 2, "while away")
	bob.until("while away")
	again := s.open("/room/1/live.json?since_message_id=1", basic("alice"))
	again.until("while away")
	if out, err := s.sidestream("kick"); err == nil || !strings.Contains(out, "say which streams") {
		t.Errorf("kick alone: %v %s", err, out)
	}
}

// What an operator deletes is gone from every store, its listeners are told, and
// whoever comes back is told of a gap.
func TestOperatorForgets(t *testing.T) {
	for _, store := range []string{"memory", "file"} {
		t.Run(store, func(t *testing.T) {
			t.Parallel()
			b := newBackend(t)
			s := start(t, b.directives("history {\n store "+store+"\n}"))
			b.decide("alice", "", verdict{status: 200, body: `{"user_id":"7"}`})
			live := s.open("/flows?filter=1", basic("alice"), "Accept: text/event-stream")
			for i := 1; i <= 3; i++ {
				s.publish("1", i, fmt.Sprint("secret ", i))
			}
			s.publish("2", 4, "kept")
			live.until("secret 3")
			s.says([]string{"channels", "1"}, "secret 1", "secret 3")
			s.says([]string{"channels", "1", "--delete", "2"}, "message 2 of channel 1 is taken back")
			if out := s.says([]string{"channels", "1"}, "(taken back)", "secret 1"); strings.Contains(out, "secret 2") {
				t.Errorf("a deleted message: %s", out)
			}
			_, text := s.operate(http.MethodGet, "/sidestream/channels/history?channel=1&limit=1")
			var first struct{ Entries []struct{ Position string } }
			if err := json.Unmarshal([]byte(text), &first); err != nil || len(first.Entries) != 1 {
				t.Fatalf("%v: %s", err, text)
			}
			if out, err := s.sidestream("channels", "1", "--delete", "2", "--delete-all"); err == nil || !strings.Contains(out, "exclude each other") {
				t.Errorf("one message or all: %v %s", err, out)
			}
			s.says([]string{"channels", "1", "--delete-all"}, "is gone")
			if out := s.says([]string{"channels", "1"}, "no longer kept"); strings.Contains(out, "secret") {
				t.Errorf("a deleted history: %s", out)
			}
			s.says([]string{"channels", "2"}, "kept")
			back := s.open("/flows?filter=1", basic("alice"), "Accept: text/event-stream", "Last-Event-ID: "+first.Entries[0].Position)
			if said := strings.Join(back.until("gap"), ""); strings.Contains(said, "secret") {
				t.Errorf("whoever comes back is told %q", said)
			}
			_, metrics := s.operate(http.MethodGet, "/metrics")
			for reason, want := range map[string]string{"trimmed": "1", "slow-client": "0"} {
				if line := `caddy_sidestream_gaps_told_total{hub="default",reason="` + reason + `"} ` + want; !strings.Contains(metrics, line) {
					t.Errorf("the metrics lack %s", line)
				}
			}
			if line := `caddy_sidestream_requests_refused_total{hub="default",status="401"} 0`; !strings.Contains(metrics, line) {
				t.Errorf("the metrics lack %s", line)
			}
			s.publish("1", 5, "and on")
			live.until("and on")
			back.until("and on")
		})
	}
}

// What happens is seen as it happens: what came in and what it became, who was let in
// and who was not, and what the app said about it.
func TestOperatorWatches(t *testing.T) {
	t.Parallel()
	b := newBackend(t)
	s := start(t, b.directives("history {\n store memory\n}"))
	b.decideBy(func(q question) (verdict, bool) {
		if strings.HasPrefix(q.token, "alice") {
			return verdict{status: 200, body: `{"user_id":"7"}`}, true
		}
		return verdict{status: 403}, true
	})
	all := run(t, s.env(), s.folder, command(t), "events", "--config", s.caddyfile())
	trace := run(t, s.env(), s.folder, command(t), "events", "--trace", "--channel", "1", "--json", "--config", s.caddyfile())
	seen := func(p *process, want ...string) {
		t.Helper()
		n := 0
		eventually(t, strings.Join(want, ", "), func() bool {
			n++
			s.publish("1", n, "look at me")
			s.post("/hooks/own", []byte(`{"channel":"","id":1,"text":"nowhere"}`))
			s.open("/room/1/live.json", basic(fmt.Sprint("alice", n))).conn.Close()
			s.open("/room/1/live.json", basic("mallory")).conn.Close()
			s.open("/room/2/live.json", basic(fmt.Sprint("alice", n))).conn.Close()
			out, _, _ := p.out.state()
			for _, w := range want {
				if !strings.Contains(out, w) {
					return false
				}
			}
			return true
		})
	}
	seen(all, "webhook /hooks/own", "look at me", "the channel is missing", "opened", "campfire-json of 2", "refused", "403", "asked", "denied")
	seen(trace, `"kind":"refused"`, `"kind":"opened"`, `"kind":"question"`)
	for _, p := range []*process{all, trace} {
		out, _, _ := p.out.state()
		if strings.Contains(out, "mallory") || strings.Contains(out, hookSecret) {
			t.Errorf("a secret is shown: %s", out)
		}
		if p == trace && (strings.Contains(out, "look at me") || strings.Contains(out, `"channels":["2"]`)) {
			t.Errorf("the trace of channel 1 has something else: %s", out)
		}
	}
}

// A test message that an operator sends is signed as the app signs, and the command
// tells who got it.
func TestOperatorSends(t *testing.T) {
	t.Parallel()
	b := newBackend(t)
	s := start(t, b.directives("history {\n store memory\n}\nwebhook /hooks/mm {\n preset mattermost\n secret mm-token-0123456789abcdefgh\n}\n"+
		"webhook /hooks/path {\n preset campfire\n secret 0123456789abcdef0123456789abcdefXX\n}"))
	st := s.open("/room/1/live.json", basic(goodToken))
	send := func(webhook, sample string) (string, error) {
		cmd := exec.Command(command(t), "send", "--webhook", webhook)
		cmd.Env, cmd.Dir, cmd.Stdin = append(os.Environ(), s.env()...), s.folder, strings.NewReader(sample)
		out, err := cmd.CombinedOutput()
		return string(out), err
	}
	for webhook, sample := range map[string]string{
		"/hooks/own":  `{"channel":"1","id":1,"text":"by signature"}`,
		"/hooks/mm":   `{"channel_id":"1","post_id":"p","user_id":"u","text":"by token"}`,
		"/hooks/path": fmt.Sprintf(sampleMessage, 9),
	} {
		out, err := send(webhook, sample)
		if err != nil || !strings.Contains(out, "answered: 20") || !strings.Contains(out, "channel 1: create, streams that listen: 1") {
			t.Errorf("%s: %v: %s", webhook, err, out)
		}
		if strings.Contains(out, "0123456789") {
			t.Errorf("%s: a secret is shown: %s", webhook, out)
		}
	}
	got := map[string]bool{}
	for len(got) < 3 {
		c := st.next()
		for _, text := range []string{"by signature", "by token", "hello docs"} {
			got[text] = got[text] || strings.Contains(c, text)
			if !got[text] {
				delete(got, text)
			}
		}
	}
	if out, err := send("/hooks/own", `not json`); err == nil || !strings.Contains(out, "answered: 4") {
		t.Errorf("what cannot be read: %v: %s", err, out)
	}
	if out, err := send("/hooks/none", `{}`); err == nil {
		t.Errorf("no webhook: %s", out)
	}
}
