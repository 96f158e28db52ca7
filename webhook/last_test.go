package webhook

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// lastHook is a hook that keeps what is refused.
func lastHook(t *testing.T, lines ...string) (*Hook, *Last) {
	t.Helper()
	var cfg Config
	for _, line := range append(lines, "map channel {json.room}", "map id {json.id}") {
		words := strings.Fields(line)
		if err := cfg.Option(words[0], words[1:]); err != nil {
			t.Fatal(err)
		}
	}
	h, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	last := new(Last)
	h.KeepLast(last)
	return h, last
}

func deliver(h *Hook, body string, header ...string) int {
	r := httptest.NewRequest(http.MethodPost, "/", strings.NewReader(body))
	r.Header.Set("Content-Type", "application/json")
	for _, line := range header {
		name, value, _ := strings.Cut(line, ": ")
		r.Header.Set(name, value)
	}
	w := httptest.NewRecorder()
	h.Serve(w, r, nil, new(memory))
	return w.Code
}

const lastSecret = "a-token-of-24-characters"

// What an app sends and cannot be taken is kept, with the reason and without
// secrets.
func TestLastDeliveries(t *testing.T) {
	h, last := lastHook(t, "verify token", "secret "+lastSecret)
	good := `{"token":"` + lastSecret + `","room":1,"id":2}`
	if status := deliver(h, good); status/100 != 2 || len(last.Deliveries()) != 0 {
		t.Fatalf("a good one: %d, kept %v", status, last.Deliveries())
	}
	deliver(h, `{"token":"`+lastSecret+`","room":"user:7","id":3,"note":"say `+lastSecret+`","api_key":"other-secret"}`)
	deliver(h, `{"token":"an-old-token-of-the-app","room":1}`, "X-Secret: in-a-header")
	got := last.Deliveries()
	if len(got) != 2 {
		t.Fatalf("kept %+v", got)
	}
	for i, want := range []struct {
		status   int
		verified bool
		reason   string
	}{{200, true, "kept for private messages"}, {401, false, "wrong"}} {
		if d := got[i]; d.Status != want.status || d.Verified != want.verified || !strings.Contains(d.Reason, want.reason) || !strings.Contains(d.Body, `"room":`) {
			t.Errorf("kept %+v, want %+v", d, want)
		}
	}
	for _, secret := range []string{lastSecret, "other-secret", "an-old-token-of-the-app", "in-a-header"} {
		if strings.Contains(fmt.Sprint(got), secret) {
			t.Errorf("%q is shown: %+v", secret, got)
		}
	}
}

// Strangers push nothing out, and nothing grows.
func TestLastDeliveriesAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, last := lastHook(t, "verify token", "secret "+lastSecret)
		long := strings.Repeat("x", 100<<10)
		for i := range 20 {
			deliver(h, fmt.Sprintf(`{"token":"%s","id":%d,"text":"%s"}`, lastSecret, i, long))
		}
		for range 1000 {
			deliver(h, `{"token":"wrong"}`)
		}
		got := last.Deliveries()
		if len(got) != lastDeliveries+1 {
			t.Errorf("kept %d", len(got))
		}
		for _, d := range got {
			if len(d.Body) > lastBody {
				t.Errorf("kept %d bytes", len(d.Body))
			}
		}
		time.Sleep(lastAge)
		if got := last.Deliveries(); len(got) != 0 {
			t.Errorf("an hour later: %d", len(got))
		}
	})
}

func TestSecretsInKeptBodies(t *testing.T) {
	h, _ := lastHook(t, "verify token", "secret "+lastSecret)
	for body, want := range map[string]string{
		`{"a":"b","Token": "x\"y","c":1}`:  `{"a":"b","Token": "REDACTED","c":1}`,
		`token=abc&text=x&user_secret=1`:   `token=REDACTED&text=x&user_secret=REDACTED`,
		`{"access_token":"x`:               `{"access_token":"REDACTED`,
		"\xff" + lastSecret:                "\uFFFDREDACTED",
		`{"text":"the token is not here"}`: `{"text":"the token is not here"}`,
	} {
		if got := h.masked([]byte(body)); got != want {
			t.Errorf("%s: %s, want %s", body, got, want)
		}
	}
}
