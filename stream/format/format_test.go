package format

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/seed-078801ba/sidestream/stream/event"
)

var update = flag.Bool("update", false, "write the golden files anew")

var (
	epoch  = event.Epoch{0xfe, 0xdc, 0xba, 0x98, 0x76, 0x54, 0x32, 0x10}
	cursor = event.Cursor{Epoch: epoch, Seq: 42, Tag: 0x2aaaaaaa}
	older  = event.Cursor{Epoch: epoch, Seq: 7, Tag: 1}
)

// examples are the events of the golden files, by the name of the case.
func examples() []struct {
	name  string
	event event.Event
} {
	at := time.UnixMilli(1329307314476)
	text := func(change func(*event.Event)) event.Event {
		e := event.Event{
			Channel: event.Number("1"), ID: event.Number("142790"), User: event.Number("7"),
			Type: "TextMessage", Time: at, Body: "hello world",
		}
		change(&e)
		return e
	}
	typed := func(kind, body string) event.Event {
		return text(func(e *event.Event) { e.Type, e.Body = kind, body })
	}
	return []struct {
		name  string
		event event.Event
	}{
		{"text", text(func(*event.Event) {})},
		{"string ids", text(func(e *event.Event) {
			e.Channel, e.ID, e.User = event.String("acme/main"), event.String("5"), event.String("u1")
		})},
		{"number literals stay", text(func(e *event.Event) {
			e.Channel, e.ID, e.User = event.Number("9007199254740993"), event.Number("1e400"), event.Number("-0.50")
		})},
		{"number that is none", text(func(e *event.Event) { e.ID = event.Number("1\r2") })},
		{"integers as text", text(func(e *event.Event) {
			e.Channel, e.ID, e.User = event.String("5"), event.String("-7"), event.String("9007199254740993")
		})},
		{"text that is no plain integer", text(func(e *event.Event) {
			e.Channel, e.ID, e.User = event.String("007"), event.String("1.0"), event.String("+1")
		})},
		{"user and name", text(func(e *event.Event) { e.UserName = "Ann" })},
		{"no id", text(func(e *event.Event) { e.ID = event.Scalar{} })},
		{"no user", text(func(e *event.Event) { e.User = event.Scalar{} })},
		{"user by name only", text(func(e *event.Event) { e.User, e.UserName = event.Scalar{}, "Robot" })},
		{"no time", text(func(e *event.Event) { e.Time = time.Time{} })},
		{"time beyond the calendar", text(func(e *event.Event) { e.Time = time.UnixMilli(1 << 60) })},
		{"time zone", text(func(e *event.Event) { e.Time = at.In(time.FixedZone("", 3600)) })},
		{"no type", text(func(e *event.Event) { e.Type = "" })},
		{"no type, line breaks", text(func(e *event.Event) { e.Type, e.Body = "", "a\nb" })},
		{"empty text", typed("TextMessage", "")},
		{"awkward text", typed("PasteMessage", "é\u2028\u2029😀\x00\x1b\x7f\u0085\r\n\t\"\\</script>]]>&'\xff\ufffe")},
		{"enter", typed("EnterMessage", "")},
		{"leave", typed("LeaveMessage", "")},
		{"kick", typed("KickMessage", "")},
		{"topic", typed("TopicChangeMessage", "lunch")},
		{"sound", typed("SoundMessage", "trombone")},
		{"time stamp", text(func(e *event.Event) { e.Type, e.Body, e.User = "TimestampMessage", "", event.Scalar{} })},
		{"system", text(func(e *event.Event) { e.Type, e.User = "SystemMessage", event.Scalar{} })},
		{"line", typed("line", "waves")},
		{"unknown type", typed("Odd<\r>Type", "x")},
		{"thread", text(func(e *event.Event) { e.Thread = event.String("t9") })},
		{"private", text(func(e *event.Event) { e.Channel, e.To = event.String("user:9"), event.Number("9") })},
		{"edit", text(func(e *event.Event) { e.Op, e.Version = event.Edit, "2" })},
		{"edit without id", text(func(e *event.Event) { e.Op, e.ID = event.Edit, event.Scalar{} })},
		{"delete", text(func(e *event.Event) { e.Op = event.Delete })},
		{"gap entry", text(func(e *event.Event) { e.Op, e.Type = event.Gap, string(event.IngestUncertain) })},
		{"campfire payload", text(func(e *event.Event) {
			e.Shape, e.Payload = event.Campfire, []byte(`{"id":142790,"body":"h\u00e9é","url":"http://x/?a&b","starred":true,"big":12345678901234567890.0,"id":1}`)
		})},
		{"campfire payload, edit", text(func(e *event.Event) { e.Op, e.Shape, e.Payload = event.Edit, event.Campfire, []byte(`{"id":1}`) })},
		{"flowdock payload", text(func(e *event.Event) {
			e.Shape, e.Payload = event.Flowdock, []byte(`{"event":"file","content":{"path":"/ä"}}`)
		})},
		{"flowdock activity", text(func(e *event.Event) {
			e.Type, e.Shape, e.Payload = "activity.user", event.Flowdock, []byte(`{"event":"activity.user","content":{"last_activity":1}}`)
		})},
		{"raw payload", text(func(e *event.Event) {
			e.Shape, e.Payload = event.Raw, []byte("{\"z\": 1e400,\r\n\t\"a\": \"\\ud83d\\ude00 \\/ 😀\"}\r\n")
		})},
		{"raw payload, delete", text(func(e *event.Event) { e.Op, e.Shape, e.Payload = event.Delete, event.Raw, []byte(`{"gone":1}`) })},
		{"raw without payload", text(func(e *event.Event) { e.Shape = event.Raw })},
		{"blank payload", text(func(e *event.Event) { e.Shape, e.Payload = event.Raw, []byte(" \r\n") })},
	}
}

// golden writes down all that a format can write, one case a line, bytes in
// Go's quotes so that CR and LF are seen.
func golden(f Format) []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "content type: %s\nresumable: %v\n", f.ContentType(), f.Resumable())
	for _, x := range examples() {
		e := event.Entry{Seq: cursor.Seq, Tag: cursor.Tag, At: 1329307999000, Event: x.event}
		fmt.Fprintf(&b, "%s: %+q\n", x.name, f.Event(nil, &e, cursor))
	}
	for _, gap := range []event.Missing{
		{Channel: "acme/main", From: older, To: cursor, Reason: event.Trimmed},
		{To: event.Cursor{Epoch: epoch}, Reason: event.EpochChanged},
		{Channel: "a\r\nb<", From: older, To: cursor, Reason: event.SlowClient},
	} {
		fmt.Fprintf(&b, "gap: %+q\n", f.Gap(nil, gap))
	}
	fmt.Fprintf(&b, "heartbeat: %+q\n", f.Heartbeat(nil, event.Cursor{}))
	fmt.Fprintf(&b, "heartbeat with cursor: %+q\n", f.Heartbeat(nil, cursor))
	fmt.Fprintf(&b, "farewell: %+q\n", f.Farewell(nil, Farewell{RetryMillis: 3000}))
	return b.Bytes()
}

func TestGolden(t *testing.T) {
	for _, name := range Names() {
		t.Run(name, func(t *testing.T) {
			f, ok := ByName(name)
			if !ok || f.Name() != name {
				t.Fatalf("ByName(%q) is %v, %v", name, f, ok)
			}
			got := golden(f)
			path := filepath.Join("testdata", name+".golden")
			if *update {
				if err := os.WriteFile(path, got, 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(got, want) {
				g, w := strings.Split(string(got), "\n"), strings.Split(string(want), "\n")
				for i := range min(len(g), len(w)) {
					if g[i] != w[i] {
						t.Errorf("line %d\n got %s\nwant %s", i+1, g[i], w[i])
					}
				}
				if len(g) != len(w) {
					t.Errorf("got %d lines, want %d", len(g), len(w))
				}
			}
		})
	}
}

func TestByNameIsExact(t *testing.T) {
	for _, name := range []string{"", "SSE", "campfire", "campfire-json "} {
		if f, ok := ByName(name); ok {
			t.Errorf("%q is %s", name, f.Name())
		}
	}
}

// Formats append: what is in the buffer already stays, also where an event
// says nothing.
func TestAppends(t *testing.T) {
	const before = "before"
	for _, f := range formats {
		for _, x := range examples() {
			e := event.Entry{Seq: 1, At: 1, Event: x.event}
			got := f.Event([]byte(before), &e, cursor)
			if string(got) != before+string(f.Event(nil, &e, cursor)) {
				t.Errorf("%s, %s: %q does not continue the buffer", f.Name(), x.name, got)
			}
		}
	}
}

func BenchmarkEvent(b *testing.B) {
	e := event.Entry{Seq: 42, At: 1329307314476, Event: examples()[0].event}
	e.Body = strings.Repeat("a word or two, ", 8) + "é"
	passed := e
	passed.Shape, passed.Payload = event.Raw, []byte(`{"id":142790,"body":"`+e.Body+`","user":{"id":7,"name":"Ann"}}`)
	for _, f := range formats {
		for name, e := range map[string]*event.Entry{"mapped": &e, "passed": &passed} {
			b.Run(f.Name()+"/"+name, func(b *testing.B) {
				b.ReportAllocs()
				var dst []byte
				for b.Loop() {
					dst = f.Event(dst[:0], e, cursor)
				}
				b.SetBytes(int64(len(dst)))
			})
		}
	}
}
