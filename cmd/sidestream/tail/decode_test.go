package tail

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
	"pgregory.net/rapid"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// collected is an Item that outlives the call.
type collected struct {
	payload, cursor, id string
	gap                 bool
}

func collect(d Decoder, pieces ...string) (items []collected, err error) {
	for _, p := range pieces {
		if err = d.Feed([]byte(p), func(i Item) {
			items = append(items, collected{string(i.Payload), i.Cursor, i.ID, i.Gap})
		}); err != nil {
			break
		}
	}
	return items, err
}

var decodeCases = []struct {
	name, contentType, stream string
	want                      []collected
}{
	{"campfire json", "application/json", " " + `{"id":5,"body":"a}\"{"}` + "\r  " + `{"id":"x","room_id":1}` + "\r ",
		[]collected{{`{"id":5,"body":"a}\"{"}`, "", "5", false}, {`{"id":"x","room_id":1}`, "", "x", false}}},
	{"flowdock json", "application/json; charset=utf-8", "\n" + `{"event":"message","id":9007199254740993}` + "\r\n\n\n",
		[]collected{{`{"event":"message","id":9007199254740993}`, "", "9007199254740993", false}}},
	{"json, no delimiter, over lines", "application/json", `{"a":[{"b":1}]}` + "{\n\"id\": null}",
		[]collected{{`{"a":[{"b":1}]}`, "", "", false}, {"{\n\"id\": null}", "", "", false}}},
	{"json gap", "application/json", `{"type":"StreamGap","id":1,"reason":"trimmed"}` + "\r",
		[]collected{{`{"type":"StreamGap","id":1,"reason":"trimmed"}`, "", "1", true}}},
	{"campfire xml", "application/xml", "  <message><id type=\"integer\">7</id><body>a&#10;b</body></message>\r   <message><type>StreamGap</type></message>\r  ",
		[]collected{{"<message><id type=\"integer\">7</id><body>a&#10;b</body></message>", "", "7", false}, {"<message><type>StreamGap</type></message>", "", "", true}}},
	{"sse", "text/event-stream", ":\n\nid: e.1.t\ndata: {\"id\":3}\n\nretry: 2500\n\nid: e.2.t\n:\n\nevent: gap\nid: e.9.t\ndata: {\"reason\":\"trimmed\"}\n\ndata: unfinished\n",
		[]collected{{`{"id":3}`, "e.1.t", "3", false}, {"", "e.2.t", "", false}, {`{"reason":"trimmed"}`, "e.9.t", "", true}}},
	{"sse line ends", "text/event-stream;charset=utf-8", "\ufeffdata:a\r\ndata: b\r\rid\ndata\n\n\r\nid: x\x00y\ndata:  c\n\n",
		[]collected{{"a\nb", "", "", false}, {"", "", "", false}, {" c", "", "", false}}},
}

func TestDecode(t *testing.T) {
	for _, test := range decodeCases {
		got, err := collect(NewDecoder(test.contentType), test.stream)
		if err != nil || !slices.Equal(got, test.want) {
			t.Errorf("%s: got %+v, %v\nwant %+v", test.name, got, err, test.want)
		}
	}
}

// Where the network cuts a stream makes no difference.
func TestDecodeCutAnywhere(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		test := rapid.SampledFrom(decodeCases).Draw(t, "case")
		var pieces []string
		for rest := test.stream; rest != ""; {
			n := rapid.IntRange(1, len(rest)).Draw(t, "cut")
			pieces, rest = append(pieces, rest[:n]), rest[n:]
		}
		got, err := collect(NewDecoder(test.contentType), pieces...)
		if err != nil || !slices.Equal(got, test.want) {
			t.Fatalf("%s in %q: got %+v, %v\nwant %+v", test.name, pieces, got, err, test.want)
		}
	})
}

func TestDecodeRefuses(t *testing.T) {
	for _, test := range []struct {
		contentType, stream string
		want                error
	}{
		{"application/json", "Access Denied\n", ErrNotMessages},
		{"application/json", `[1]`, ErrNotMessages},
		{"application/json", `{"a":}`, ErrNotMessages},
		{"application/json", `{"a":1]`, ErrNotMessages},
		{"application/json", `{"a":"` + strings.Repeat("x", MaxItem), ErrTooLarge},
		{"application/xml", "Access Denied\r", ErrNotMessages},
		{"application/xml", "<" + strings.Repeat("x", MaxItem), ErrTooLarge},
		{"text/event-stream", strings.Repeat("x", MaxItem+1), ErrTooLarge},
		{"text/event-stream", strings.Repeat("data:"+strings.Repeat("x", 1<<20)+"\n", 17), ErrTooLarge},
	} {
		if _, err := collect(NewDecoder(test.contentType), test.stream); !errors.Is(err, test.want) {
			t.Errorf("%s %.30q: %v, want %v", test.contentType, test.stream, err, test.want)
		}
	}
	for _, contentType := range []string{"", "text/html", "application/json-seq", "text/event-stream2"} {
		if NewDecoder(contentType) != nil {
			t.Errorf("%q is taken for a stream", contentType)
		}
	}
}

// Heartbeats of days must not fill the memory.
func TestHeartbeatsPileUpNowhere(t *testing.T) {
	x, j := &xmlDecoder{}, &jsonDecoder{}
	for range 1000 {
		for _, d := range []Decoder{x, j} {
			if _, err := collect(d, strings.Repeat(" ", 100)); err != nil {
				t.Fatal(err)
			}
		}
	}
	if len(x.held) != 0 || len(j.held) != 0 {
		t.Errorf("%d and %d bytes of heartbeats are kept", len(x.held), len(j.held))
	}
}

func TestRetry(t *testing.T) {
	d := NewDecoder("text/event-stream")
	for _, step := range []struct {
		field string
		want  time.Duration
		ok    bool
	}{{"retry: x", 0, false}, {"retry: 1500", 1500 * time.Millisecond, true}, {"retry: -1", 1500 * time.Millisecond, true}, {"retry: 9999999999", 1500 * time.Millisecond, true}, {"retry: 0", 0, true}} {
		if _, err := collect(d, step.field+"\n\n"); err != nil {
			t.Fatal(err)
		}
		if got, ok := d.Retry(); got != step.want || ok != step.ok {
			t.Errorf("%s: %v, %v", step.field, got, ok)
		}
	}
}

// FuzzDecode feeds every decoder whole and in pieces: both must say the same.
func FuzzDecode(f *testing.F) {
	for _, c := range decodeCases {
		f.Add(c.stream, uint8(3))
	}
	f.Fuzz(func(t *testing.T, stream string, size uint8) {
		for _, contentType := range []string{"application/json", "application/xml", "text/event-stream"} {
			whole, err1 := collect(NewDecoder(contentType), stream)
			var pieces []string
			for chunk := range slices.Chunk([]byte(stream), int(size)+1) {
				pieces = append(pieces, string(chunk))
			}
			cut, err2 := collect(NewDecoder(contentType), pieces...)
			if !slices.Equal(whole, cut) || !errors.Is(err2, err1) {
				t.Errorf("%s: whole %+v, %v; in pieces %+v, %v", contentType, whole, err1, cut, err2)
			}
			for _, item := range whole {
				for _, r := range Line([]byte(item.payload)) {
					if r < ' ' || r == 0x7f {
						t.Errorf("a control character of %q would reach the terminal", item.payload)
					}
				}
			}
		}
	})
}
