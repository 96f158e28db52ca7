package webhook

import (
	"bytes"
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/seed-078801ba/sidestream/stream/event"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// memory is a Publisher that keeps events as a log does: one for each key.
type memory struct {
	mu      sync.Mutex
	events  []event.Event
	seen    map[string]uint64
	batches int
	weak    bool  // not durable
	err     error // of the next Publish
}

func (m *memory) Publish(_ context.Context, b event.Batch) ([]event.Receipt, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.err != nil {
		return nil, m.err
	}
	m.batches++
	receipts := make([]event.Receipt, len(b.Events))
	for i, e := range b.Events {
		key := e.Key()
		if m.seen == nil {
			m.seen = map[string]uint64{}
		}
		if seq, ok := m.seen[key]; ok && key != "" {
			first := m.events[seq-1]
			conflict := first.Body != e.Body || !bytes.Equal(first.Payload, e.Payload)
			receipts[i] = event.Receipt{Position: event.Cursor{Seq: seq}, Duplicate: true, Conflict: conflict, Durable: !m.weak}
			continue
		}
		m.events = append(m.events, e)
		m.seen[key] = uint64(len(m.events))
		receipts[i] = event.Receipt{Position: event.Cursor{Seq: uint64(len(m.events))}, Durable: !m.weak}
	}
	return receipts, nil
}

const (
	pathSecret = "0123456789abcdef0123456789abcdef"
	signKey    = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
)

func mustNew(t testing.TB, cfg Config) *Hook {
	t.Helper()
	h, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// own is a configuration without a preset and without secrets. Lines are those
// of a Caddyfile; what they do not map is mapped from {json.room}, {json.id} and
// {json.text}.
func own(lines ...string) Config {
	var cfg Config
	given := strings.Join(lines, "\n")
	for _, line := range []string{"map channel {json.room}", "map id {json.id}", "map body {json.text}"} {
		if !strings.Contains(given, line[:strings.Index(line, "{")]) {
			lines = append(lines, line)
		}
	}
	for _, line := range lines {
		words := strings.Split(line, " ")
		if err := cfg.Option(words[0], words[1:]); err != nil {
			panic(line + ": " + err.Error())
		}
	}
	if cfg.Verify == nil {
		cfg.Verify = &Verify{Scheme: "none"}
	}
	return cfg
}

// post is a request with a body, and headers in pairs.
func post(body string, headers ...string) *http.Request {
	r := httptest.NewRequest(http.MethodPost, "/hook", strings.NewReader(body))
	r.Header.Set("Content-Type", "application/json")
	for i := 0; i+1 < len(headers); i += 2 {
		switch {
		case headers[i] != "Content-Type":
			r.Header.Add(headers[i], headers[i+1])
		case headers[i+1] == "":
			r.Header.Del(headers[i])
		default:
			r.Header.Set(headers[i], headers[i+1])
		}
	}
	return r
}

func serve(h *Hook, r *http.Request, vars map[string]string, pub event.Publisher) (*http.Response, Outcome) {
	w := httptest.NewRecorder()
	out := h.Serve(w, r, vars, pub)
	return w.Result(), out
}

// checkBare tells whether an answer has neither a body nor a Content-Type.
func checkBare(t *testing.T, resp *http.Response) {
	t.Helper()
	var body bytes.Buffer
	_, _ = body.ReadFrom(resp.Body)
	if _, ok := resp.Header["Content-Type"]; (ok && len(resp.Header["Content-Type"]) > 0) || body.Len() > 0 {
		t.Errorf("a refusal with Content-Type %q and body %q", resp.Header["Content-Type"], body.String())
	}
}

func at(t testing.TB, h *Hook, unix int64) *Hook {
	t.Helper()
	h.now = func() time.Time { return time.Unix(unix, 0) }
	return h
}
