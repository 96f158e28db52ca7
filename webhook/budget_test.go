package webhook

import (
	"io"
	"net/http"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/seed-078801ba/sidestream/webhook/decode"
)

// What nobody vouches for is bounded; what comes on top may come again later, and
// everything is given back.
func TestBudgetOfUnverifiedBytes(t *testing.T) {
	const small, rest = 64 << 10, 128 << 10
	large := `{"room":"r","id":1,"text":"` + strings.Repeat("x", 200<<10) + `"}`
	for name, verify := range map[string]string{"signed": "verify github", "token": "verify token", "nobody": "verify none"} {
		cfg := own(verify)
		if cfg.Verify.Scheme != "none" {
			cfg.Secrets = []string{"a-good-secret"}
		}
		h := mustNew(t, cfg)
		h.unverified = newBuffers(newBudget(small, rest))
		resp, out := serve(h, post(large), nil, new(memory))
		if resp.StatusCode != 503 || resp.Header.Get("Retry-After") == "" || out.Reason != errBudget.Reason {
			t.Errorf("%s: %d %v %q", name, resp.StatusCode, resp.Header, out.Reason)
		}
		if resp, out = serve(h, post(goodBody), nil, new(memory)); resp.StatusCode == 503 {
			t.Errorf("%s: a small one got %d %s", name, resp.StatusCode, out.Reason)
		}
		b := h.unverified.of
		h.unverified = nil
		givesBack(t, b, small, rest)
	}
	// What the head proves counts for nothing.
	h := mustNew(t, own("verify bearer", "secret a-good-secret"))
	h.unverified = newBuffers(newBudget(0, 0))
	if resp, out := serve(h, post(large, "Authorization", "Bearer a-good-secret"), nil, new(memory)); resp.StatusCode != 200 {
		t.Errorf("verified by its head: %d %s", resp.StatusCode, out.Reason)
	}
	// Packed bodies count, and so does what they become.
	h = mustNew(t, own("gzip"))
	h.unverified = newBuffers(newBudget(64<<10, 64<<10))
	if resp, out := serve(h, post(packed(large), "Content-Encoding", "gzip"), nil, new(memory)); resp.StatusCode != 503 {
		t.Errorf("packed: %d %s", resp.StatusCode, out.Reason)
	}
	// Many values count for what they become in memory.
	h = mustNew(t, own())
	h.unverified = newBuffers(newBudget(1<<20, 4<<20))
	if resp, out := serve(h, post(`{"room":1,"id":1,"x":[`+strings.Repeat("{},", 90_000)+`0]}`), nil, new(memory)); resp.StatusCode != 503 {
		t.Errorf("many values: %d %s", resp.StatusCode, out.Reason)
	}
}

// givesBack waits until a budget is whole, when the garbage was collected.
func givesBack(t *testing.T, b *budget, small, rest int64) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); b.small.Load() != small || b.rest.Load() != rest; runtime.Gosched() {
		if runtime.GC(); time.Now().After(deadline) {
			t.Fatalf("%d and %d bytes are left of %d and %d", b.small.Load(), b.rest.Load(), small, rest)
		}
	}
}

// What is in memory counts, also when it is needed no more: however many strangers
// post large bodies one after the other, what they leave behind stays within the
// budget, and what the garbage collector has taken can be used again.
func TestGarbageOfUnverifiedBodiesCounts(t *testing.T) {
	const small, rest = 1 << 20, 4 << 20
	h := mustNew(t, own("verify github", "secret a-good-secret"))
	b := newBudget(small, rest)
	h.unverified = newBuffers(b)
	body := `{"text":"` + strings.Repeat("x", 900<<10) + `"}`
	statuses := map[int]int{}
	for range 50 {
		resp, _ := serve(h, post(body), nil, new(memory))
		statuses[resp.StatusCode]++
		if b.small.Load() < 0 || b.rest.Load() < 0 {
			t.Fatalf("%d and %d bytes are left", b.small.Load(), b.rest.Load())
		}
	}
	// One after the other needs one buffer of each size.
	if taken := rest - b.rest.Load(); statuses[401] == 0 || taken < 1<<20 {
		t.Errorf("answers %v, with %d bytes in buffers", statuses, taken)
	}
	// Buffers of another size have the budget; they are given up for what is needed.
	for b.try(0, 64<<10) {
		share{of: b, rest: 64 << 10}.garbage()
	}
	b.collected = time.Time{}
	if resp, out := serve(h, post(body), nil, new(memory)); resp.StatusCode != 401 {
		t.Errorf("where only garbage had the budget: %d %s", resp.StatusCode, out.Reason)
	}
	h.unverified = nil
	givesBack(t, b, small, rest)
}

// A body of just the allowed size needs no larger buffer than that.
func TestBufferOfTheLargestBody(t *testing.T) {
	s := newBuffers(newBudget(1<<20, 1<<20+256<<10+64<<10))
	b, err := s.get(firstBuffer)
	if err != nil {
		t.Fatal(err)
	}
	if b, err = b.readFrom(strings.NewReader(strings.Repeat("x", 1<<20)), 1<<20); err != nil {
		t.Fatal(err)
	}
	if len(b.bytes) != 1<<20 || cap(b.bytes) != 1<<20 {
		t.Errorf("%d bytes in a buffer of %d", len(b.bytes), cap(b.bytes))
	}
	b.release()
	if b, err = s.get(firstBuffer); err == nil {
		b, err = b.readFrom(strings.NewReader(strings.Repeat("x", 1<<20+1)), 1<<20)
	}
	if err != errTooLarge || b != nil {
		t.Errorf("a byte more: %v", err)
	}
}

// A body that comes slowly counts while it comes, and no more when it is over.
func TestSlowBodiesCount(t *testing.T) {
	h := mustNew(t, own("verify github", "secret a-good-secret"))
	h.unverified = newBuffers(newBudget(2*firstBuffer+100, 0))
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
	h.unverified.of.collected = time.Time{} // as if that was long ago
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
