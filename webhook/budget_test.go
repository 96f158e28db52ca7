package webhook

import (
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/seed-078801ba/sidestream/webhook/decode"
)

// What nobody vouches for is bounded; what comes on top may come again later, and
// everything is given back.
func TestBudgetOfUnverifiedBytes(t *testing.T) {
	large := `{"room":"r","id":1,"text":"` + strings.Repeat("x", 200<<10) + `"}`
	for name, verify := range map[string]string{"signed": "verify github", "token": "verify token", "nobody": "verify none"} {
		cfg := own(verify)
		if cfg.Verify.Scheme != "none" {
			cfg.Secrets = []string{"a-good-secret"}
		}
		h := mustNew(t, cfg)
		h.budget = newBudget(64<<10, 128<<10)
		resp, out := serve(h, post(large), nil, new(memory))
		if resp.StatusCode != 503 || resp.Header.Get("Retry-After") == "" || out.Reason != errBudget.Reason {
			t.Errorf("%s: %d %v %q", name, resp.StatusCode, resp.Header, out.Reason)
		}
		if resp, out = serve(h, post(goodBody), nil, new(memory)); resp.StatusCode == 503 {
			t.Errorf("%s: a small one got %d %s", name, resp.StatusCode, out.Reason)
		}
		if b := h.budget; b.beginnings.Load() != 64<<10 || b.rest.Load() != 128<<10 {
			t.Errorf("%s: %d and %d bytes are left", name, b.beginnings.Load(), b.rest.Load())
		}
	}
	// What the head proves counts for nothing.
	cfg := own("verify bearer", "secret a-good-secret")
	h := mustNew(t, cfg)
	h.budget = newBudget(0, 0)
	if resp, out := serve(h, post(large, "Authorization", "Bearer a-good-secret"), nil, new(memory)); resp.StatusCode != 200 {
		t.Errorf("verified by its head: %d %s", resp.StatusCode, out.Reason)
	}
	// Packed bodies count, and so does what they become.
	h = mustNew(t, own("gzip"))
	h.budget = newBudget(64<<10, 64<<10)
	if resp, out := serve(h, post(packed(large), "Content-Encoding", "gzip"), nil, new(memory)); resp.StatusCode != 503 {
		t.Errorf("packed: %d %s", resp.StatusCode, out.Reason)
	}
	// Many values count for what they become in memory.
	h = mustNew(t, own())
	h.budget = newBudget(1<<20, 4<<20)
	if resp, out := serve(h, post(`{"room":1,"id":1,"x":[`+strings.Repeat("{},", 90_000)+`0]}`), nil, new(memory)); resp.StatusCode != 503 {
		t.Errorf("many values: %d %s", resp.StatusCode, out.Reason)
	}
}

// A body that comes slowly counts while it comes, and no more when it is over.
func TestSlowBodiesCount(t *testing.T) {
	h := mustNew(t, own("verify github", "secret a-good-secret"))
	h.budget = newBudget(2*smallBuffer+100, 0)
	var writers []*io.PipeWriter
	done := make(chan int, 2)
	for range 2 {
		r, w := io.Pipe()
		writers = append(writers, w)
		go func() {
			request := post("")
			request.Body, request.ContentLength = r, -1
			resp, _ := serve(h, request, nil, new(memory))
			done <- resp.StatusCode
		}()
		_, _ = w.Write([]byte("{")) // returns when it was read
	}
	if resp, _ := serve(h, post(goodBody), nil, new(memory)); resp.StatusCode != 503 {
		t.Errorf("beside two slow bodies: %d", resp.StatusCode)
	}
	for _, w := range writers {
		_ = w.Close()
		if status := <-done; status != 401 {
			t.Errorf("a slow body: %d", status)
		}
	}
	if resp, _ := serve(h, post(goodBody), nil, new(memory)); resp.StatusCode != 401 {
		t.Errorf("after the slow bodies: %d", resp.StatusCode)
	}
}

// A token is found without building anything of the body, whatever that is made
// of.
func TestTokenIsFoundWithoutATree(t *testing.T) {
	h := mustNew(t, Config{Config: decode.Config{Preset: "mattermost"}, Secrets: []string{"a-good-secret"}})
	body := []byte(`{"x":[` + strings.Repeat("{},", 90_000) + `{}],"token":"wrong"}`)
	s := decode.NewPayload(decode.Input{Body: body, Header: http.Header{"Content-Type": {"application/json"}}})
	defer s.Release()
	allocated := testing.AllocsPerRun(5, func() {
		if err := h.verifier.verify(s, h.now()); err != errWrongSecret {
			t.Fatal(err)
		}
	})
	if allocated > 20 {
		t.Errorf("%v allocations to find a token among %d bytes", allocated, len(body))
	}
}
