package webhook

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"encoding/json"
	"flag"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/seed-078801ba/sidestream/stream/event"
	"github.com/seed-078801ba/sidestream/webhook/decode"
)

var update = flag.Bool("update", false, "write the golden files anew")

// capture is a request as a real app sent it.
type capture struct {
	Line    string      `json:"line"`
	Headers [][2]string `json:"headers"`
	Body    string      `json:"body"`
	What    string      `json:"what"`
}

func (c *capture) request() *http.Request {
	method, rest, _ := strings.Cut(c.Line, " ")
	target, _, _ := strings.Cut(rest, " ")
	r := httptest.NewRequest(method, target, strings.NewReader(c.Body))
	for _, h := range c.Headers {
		r.Header.Add(h[0], h[1])
	}
	return r
}

func readLines[T any](t testing.TB, name string) []T {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", "captures", name))
	if err != nil {
		t.Fatal(err)
	}
	var all []T
	scanner := bufio.NewScanner(bytes.NewReader(b))
	scanner.Buffer(nil, 1<<20)
	for scanner.Scan() {
		var one T
		if err := json.Unmarshal(scanner.Bytes(), &one); err != nil {
			t.Fatal(err)
		}
		all = append(all, one)
	}
	if len(all) == 0 {
		t.Fatalf("%s is empty", name)
	}
	return all
}

func captureHooks(t testing.TB) (mattermost, matrix *Hook) {
	return mustNew(t, Config{Config: decode.Config{Preset: "mattermost"}, Secrets: []string{"i7c9uhxjm3rztbhsawjfyr9uer", "ccpru616j3dh5eko7fu4jpud9a"}}),
		mustNew(t, Config{Config: decode.Config{Preset: "matrix"}, Secrets: []string{"hs_secret_token_0123456789"}})
}

// What real apps sent, through Serve, and the events that come of it.
func TestCaptures(t *testing.T) {
	mattermost, matrix := captureHooks(t)
	pub := new(memory)
	var got bytes.Buffer
	for _, c := range readLines[capture](t, "http_captures.jsonl") {
		hook := mattermost
		if strings.HasPrefix(c.Line, "PUT") {
			hook = matrix
		}
		before := len(pub.events)
		resp, out := serve(hook, c.request(), nil, pub)
		fmt.Fprintf(&got, "== %s\n%d %s", c.What, resp.StatusCode, resp.Header.Get("Content-Type"))
		fmt.Fprintf(&got, " events=%d duplicates=%d dropped=%d unmapped=%d revoke=%v %s\n",
			out.Events, out.Duplicates, out.Dropped, out.Unmapped, out.Revoke, out.Reason)
		for _, e := range pub.events[before:] {
			got.WriteString(eventText(&e))
		}
		if resp.StatusCode != 200 && c.Body != "" {
			t.Errorf("%s: %d %s", c.What, resp.StatusCode, out.Reason)
		}
	}
	golden(t, "http_captures.golden", got.Bytes())
}

// The growing batch of a homeserver under one transaction id: all three.
func TestGrowingTransaction(t *testing.T) {
	_, matrix := captureHooks(t)
	pub := new(memory)
	for _, c := range readLines[capture](t, "http_captures.jsonl") {
		if strings.Contains(c.What, "retry same txn") {
			serve(matrix, c.request(), nil, pub)
		}
	}
	if len(pub.events) != 3 || pub.events[0].Body != "m1" || pub.events[2].Body != "m3" {
		t.Errorf("got %+v", pub.events)
	}
}

// What real libraries published to Redis.
func TestRedisCaptures(t *testing.T) {
	decoders := map[string]*decode.Decoder{}
	for prefix, cfg := range map[string]decode.Config{
		"campfire_production:": {Preset: "actioncable"}, "laravel_": {Preset: "laravel"}, "socket.io#": {Preset: "socketio"},
		"asgi__": {Format: decode.Msgpack, Map: []decode.MapRule{{Field: "channel", Value: "{redis.channel|last:group__}"}, {Field: "id", Value: "{json.id}"}, {Field: "body", Value: "{json.text}"}}},
	} {
		d, err := decode.NewDecoder(cfg)
		if err != nil {
			t.Fatal(err)
		}
		decoders[prefix] = d
	}
	var got bytes.Buffer
	for _, c := range readLines[struct {
		Channel      string
		Text, Base64 *string
	}](t, "redis_captures.jsonl") {
		var payload []byte
		if c.Text != nil {
			payload = []byte(*c.Text)
		} else {
			payload, _ = base64.StdEncoding.DecodeString(*c.Base64)
		}
		for prefix, d := range decoders {
			if !strings.HasPrefix(c.Channel, prefix) {
				continue
			}
			if (prefix == "socket.io#" || prefix == "asgi__") && c.Text != nil { // an emitter with a JSON parser
				json, err := decode.NewDecoder(decode.Config{Preset: "socketio", Format: decode.JSON})
				if err != nil {
					t.Fatal(err)
				}
				d = json
			}
			decoded, err := d.Decode(decode.Input{Body: payload, Redis: map[string]string{"channel": c.Channel}})
			fmt.Fprintf(&got, "== %s\ndropped=%d unmapped=%d %s %v\n", c.Channel, decoded.Dropped, decoded.Unmapped, decoded.Reason, err)
			for _, e := range decoded.Events {
				got.WriteString(eventText(&e))
			}
		}
	}
	golden(t, "redis_captures.golden", got.Bytes())
}

// eventText writes an event for people, one field a line, empty ones left out.
func eventText(e *event.Event) string {
	var b strings.Builder
	scalar := func(s event.Scalar) string {
		if s.Number || s.IsZero() {
			return s.Text
		}
		return fmt.Sprintf("%q", s.Text)
	}
	text := func(s string) string {
		if s == "" {
			return ""
		}
		return fmt.Sprintf("%q", s)
	}
	when := ""
	if !e.Time.IsZero() {
		when = e.Time.Format(time.RFC3339Nano)
	}
	for _, f := range [][2]string{
		{"channel", scalar(e.Channel)}, {"id", scalar(e.ID)}, {"version", text(e.Version)}, {"op", e.Op.String()}, {"type", e.Type},
		{"user", scalar(e.User)}, {"user_name", text(e.UserName)}, {"thread", scalar(e.Thread)}, {"to", scalar(e.To)}, {"time", when},
		{"body", text(e.Body)}, {"delivery", text(e.Delivery)}, {"payload", string(e.Payload)},
	} {
		if f[1] != "" && f[1] != "create" {
			fmt.Fprintf(&b, "  %s: %s\n", f[0], f[1])
		}
	}
	if e.Shape != event.Mapped {
		fmt.Fprintf(&b, "  shape: %d\n", e.Shape)
	}
	return b.String() + "\n"
}

func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	file := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(file, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	gotLines, wantLines := strings.Split(string(got), "\n"), strings.Split(string(want), "\n")
	for i := range max(len(gotLines), len(wantLines)) {
		if i >= len(gotLines) || i >= len(wantLines) || gotLines[i] != wantLines[i] {
			t.Fatalf("%s differs from line %d on; if it is right, run with -update. Got:\n%s", file, i+1,
				strings.Join(gotLines[max(0, i-3):min(len(gotLines), i+5)], "\n"))
		}
	}
}
