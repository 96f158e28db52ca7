package redis

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/rueidis"
	"go.uber.org/goleak"

	"github.com/seed-078801ba/sidestream/stream/event"
	"github.com/seed-078801ba/sidestream/stream/redisconn/redistest"
	"github.com/seed-078801ba/sidestream/webhook/decode"
)

// A client of rueidis that could not connect leaves a timer behind, which ends
// by itself within a second.
func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.IgnoreAnyFunction("github.com/redis/rueidis.(*call).DelayDo.func1"),
		goleak.IgnoreAnyFunction("github.com/redis/rueidis.(*clusterClient)._refresh.func2"))
}

// memory is a log as nodes share one: each key once, marks with the events.
type memory struct {
	mu     sync.Mutex
	events []event.Event
	keys   map[string]bool
	marks  map[string]string
	fail   error         // of every Publish
	hold   chan struct{} // if set, every Publish waits for it
	after  func(b event.Batch) error
	held   int
}

func newMemory() *memory { return &memory{keys: map[string]bool{}, marks: map[string]string{}} }

func (m *memory) Publish(ctx context.Context, b event.Batch) ([]event.Receipt, error) {
	m.mu.Lock()
	hold := m.hold
	m.held++
	m.mu.Unlock()
	if hold != nil {
		select {
		case <-hold:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.fail != nil {
		return nil, m.fail
	}
	receipts := make([]event.Receipt, len(b.Events))
	for i, e := range b.Events {
		key := e.Key()
		if key != "" && m.keys[key] {
			receipts[i].Duplicate = true
			continue
		}
		m.keys[key] = true
		m.events = append(m.events, e)
		receipts[i].Position.Seq = uint64(len(m.events))
	}
	if b.Mark != nil {
		m.marks[b.Mark.Source] = b.Mark.Value
	}
	if m.after != nil {
		return receipts, m.after(b)
	}
	return receipts, nil
}

func (m *memory) set(change func()) {
	m.mu.Lock()
	defer m.mu.Unlock()
	change()
}

func (m *memory) mark(source string) (string, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.marks[source], nil
}

// bodies are the bodies of a channel's events in order, a gap as "gap".
func (m *memory) bodies(channel string) []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	var out []string
	for _, e := range m.events {
		switch {
		case e.Channel.Text != channel:
		case e.Op == event.Gap:
			out = append(out, "gap")
		default:
			out = append(out, e.Body)
		}
	}
	return out
}

func (m *memory) waitFor(t testing.TB, channel string, want ...string) {
	t.Helper()
	ok := false
	defer func() {
		if !ok {
			t.Errorf("channel %q has %.2000q, want %q", channel, m.bodies(channel), want)
		}
	}()
	redistest.Until(t, "channel "+channel, func() bool {
		return fmt.Sprint(m.bodies(channel)) == fmt.Sprint(want)
	})
	ok = true
}

// has waits for an event with this body.
func (m *memory) has(t testing.TB, channel, body string) {
	t.Helper()
	redistest.Until(t, body+" in "+channel, func() bool {
		for _, b := range m.bodies(channel) {
			if b == body {
				return true
			}
		}
		return false
	})
}

func (m *memory) gaps() (n int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, e := range m.events {
		if e.Op == event.Gap {
			n++
		}
	}
	return n
}

// running is a source whose Run is under way.
type running struct {
	*Source
	t    testing.TB
	stop context.CancelFunc
	done chan error
	log  *safeBuffer
}

type safeBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *safeBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *safeBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

func run(t testing.TB, cfg Config, o Options) *running {
	t.Helper()
	r := &running{t: t, done: make(chan error, 1), log: new(safeBuffer)}
	o.Logger = slog.New(slog.NewTextHandler(r.log, nil))
	if m, ok := o.Publisher.(*memory); ok && o.Mark == nil {
		o.Mark = m.mark
	}
	if o.SharedLog != "" && o.Secret == nil {
		o.Secret = func() []byte { return []byte("the secret of " + o.SharedLog) }
	}
	var err error
	if r.Source, err = New(cfg, o); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	r.stop = cancel
	go func() { r.done <- r.Run(ctx) }()
	t.Cleanup(r.end)
	return r
}

// end stops the source and waits for it.
func (r *running) end() {
	if r.done == nil {
		return
	}
	r.stop()
	if err := <-r.done; err != nil && err != event.ErrClosed {
		r.t.Errorf("Run: %v", err)
	}
	r.done = nil
	if r.t.Failed() {
		r.t.Logf("log:\n%s%+v", r.log, r.Stats())
	}
}

func (r *running) connected() *running {
	r.t.Helper()
	redistest.Until(r.t, "the source is connected", r.Connected)
	return r
}

// config is a source of numbered messages: the body is the whole payload, the
// channel what stands behind "room:".
func config(addr string, lines ...string) Config {
	cfg := Config{URL: "redis://" + addr, Probe: decode.Duration(200 * time.Millisecond)}
	given := strings.Join(lines, "\n")
	for _, line := range []string{"format text", "map body {body}", "map channel {match.channel ?? redis.channel}"} {
		if !strings.Contains(given, "preset") && !strings.Contains(given, strings.TrimRight(strings.SplitN(line, "{", 2)[0], "tex")) {
			lines = append(lines, line)
		}
	}
	for _, line := range lines {
		words := strings.Split(line, " ")
		if err := cfg.Option(words[0], words[1:]); err != nil {
			panic(line + ": " + err.Error())
		}
	}
	return cfg
}

// rooms listens to rooms.
func rooms(addr string, lines ...string) Config {
	return config(addr, append(lines, "psubscribe room:*", "match (?s)^room:(?<channel>.*)$")...)
}

// app is a client as the app has one.
type app struct {
	t testing.TB
	c rueidis.Client
}

func newApp(t testing.TB, addr string) *app {
	t.Helper()
	c, err := rueidis.NewClient(rueidis.ClientOption{InitAddress: []string{addr}, DisableCache: true, ForceSingleClient: true, PipelineMultiplex: -1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return &app{t, c}
}

// do runs a command and gives the reply as a number, or 0.
func (a *app) do(words ...string) int64 {
	a.t.Helper()
	r := a.c.Do(context.Background(), a.c.B().Arbitrary(words...).Build())
	if err := r.Error(); err != nil && !rueidis.IsRedisNil(err) {
		a.t.Fatalf("%s: %v", words[0], err)
	}
	n, _ := r.AsInt64()
	return n
}

func (a *app) publish(channel, message string) int64 { return a.do("PUBLISH", channel, message) }

// capture is a message as a real library published it.
type capture struct {
	Channel string  `json:"channel"`
	Text    *string `json:"text"`
	Base64  []byte  `json:"base64"`
}

func (c *capture) payload() string {
	if c.Text != nil {
		return *c.Text
	}
	return string(c.Base64)
}

func captures(t testing.TB) []capture {
	t.Helper()
	b, err := os.ReadFile("../testdata/captures/redis_captures.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	var out []capture
	for line := range bytes.Lines(b) {
		var c capture
		if err := json.Unmarshal(line, &c); err != nil {
			t.Fatal(err)
		}
		out = append(out, c)
	}
	return out
}
