package e2e

import (
	"net/http"
	"os"
	"os/exec"
	"strings"
	"testing"
)

// What an app sends and cannot be mapped can be looked at, also after a reload and
// without secrets.
func TestLastDeliveriesAreShown(t *testing.T) {
	b := newBackend(t)
	site := b.directives("history {\n store memory\n}\nwebhook /hooks/mm {\n preset mattermost\n secret mm-token-0123456789abcdefgh\n}")
	s := start(t, site)
	explain := func(args ...string) string {
		t.Helper()
		cmd := exec.Command(command(t), append([]string{"explain", "--config", s.caddyfile()}, args...)...)
		cmd.Env, cmd.Dir = append(os.Environ(), s.env()...), s.folder
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		return string(out)
	}
	if text := explain("--webhook", "--last"); !strings.Contains(text, "no delivery of the last hour") {
		t.Errorf("at first: %s", text)
	}
	if status, answer := s.post("/hooks/own", []byte(`{"room_of_another_name":"1","id":1,"text":"hello","password":"hunter2"}`)); status/100 != 2 {
		t.Fatalf("posting: %d %s", status, answer)
	}
	req, err := http.NewRequest(http.MethodPost, s.url+"/hooks/mm", strings.NewReader(`{"token":"an-old-token-of-this-hook","channel_id":"c","text":"with the old token"}`))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	if status, _ := do(t, req); status != http.StatusUnauthorized {
		t.Fatalf("an old token: %d", status)
	}
	s.reload(site)
	text := explain("--webhook", "--last")
	for _, want := range []string{`"room_of_another_name":"1"`, "the channel is missing", "verified: it is from the app", "with the old token", "401", "not verified"} {
		if !strings.Contains(text, want) {
			t.Errorf("it does not say %q: %s", want, text)
		}
	}
	for _, secret := range []string{"hunter2", "an-old-token-of-this-hook", hookSecret} {
		if strings.Contains(text, secret) {
			t.Errorf("%q is shown: %s", secret, text)
		}
	}
	if text := explain("--webhook", "/hooks/own", "--last"); strings.Contains(text, "with the old token") || !strings.Contains(text, "room_of_another_name") {
		t.Errorf("of one webhook: %s", text)
	}
}
