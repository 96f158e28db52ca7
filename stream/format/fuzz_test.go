package format

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"io"
	"reflect"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/seed-078801ba/sidestream/stream/event"
	"github.com/valyala/fastjson"
)

// anyEvent makes an event of a stranger's choice in every field.
func anyEvent(text string, payload []byte, number bool, op, shape byte, ms int64) event.Entry {
	// Each field gets another part of the text, so that one input tries many.
	part := func(i int) string {
		n := len(text)
		return text[n*i/8 : n*(i+1)/8]
	}
	return event.Entry{Seq: 1, At: 0, Event: event.Event{
		Channel: event.Scalar{Text: part(0), Number: number}, ID: event.Scalar{Text: part(1), Number: number},
		Type: part(2), User: event.Scalar{Text: part(3), Number: number}, UserName: part(4),
		Thread: event.Scalar{Text: part(5), Number: number}, To: event.Scalar{Text: part(6), Number: number},
		Body: part(7) + text, Op: event.Op(op % 4), Shape: event.Shape(shape % 4), Time: time.UnixMilli(ms), Payload: payload,
	}}
}

func FuzzEvent(f *testing.F) {
	f.Add("hello world", []byte(`{"a":1}`), true, byte(0), byte(0), int64(1329307314476))
	f.Add("\r\n\r\ndata: x\n\nid: 1\n\n]]>&lt;<message>\x00\x1b\u2028😀\xff\xed\xa0\x80\ufffe", []byte("{\"a\":\"\r\\\r\n\"}"), false, byte(1), byte(3), int64(-1))
	f.Add("12345678", []byte("\"\\\"\xc3"), true, byte(2), byte(1), int64(1)<<62)
	f.Add("-01.e+5E0", []byte("{\"a\": [1, 2.50 , \"\\u00e9\xc3\xa9\"]}"), true, byte(0), byte(2), int64(0))
	f.Add("00000000", []byte("A"), true, byte(1), byte(0), int64(-1))
	f.Add("files", []byte(`[{"file_name":"a\u00e9.png","path":"/files/a"}]`), false, byte(0), byte(0), int64(0))
	f.Fuzz(func(t *testing.T, text string, payload []byte, number bool, op, shape byte, ms int64) {
		e := anyEvent(text, payload, number, op, shape, ms)
		for _, f := range formats {
			checkMessage(t, f, &e, f.Event(nil, &e, cursor))
			checkGap(t, f, text)
		}
	})
}

// checkGap holds a gap signal to the same framing as a message.
func checkGap(t *testing.T, f Format, channel string) {
	t.Helper()
	out := f.Gap(nil, event.Missing{Channel: channel, From: older, To: cursor, Reason: event.Reason(channel)})
	message := inside(t, f, out, "event: gap\nid: "+cursor.String()+"\ndata: ")
	if _, isXML := f.(CampfireXML); isXML {
		var got struct {
			Channel string `xml:"channel"`
		}
		if err := xml.Unmarshal(message, &got); err != nil || got.Channel != xmlText(channel) {
			t.Fatalf("%q: channel %q, %v", message, got.Channel, err)
		}
	} else if !json.Valid(message) {
		t.Fatalf("%s: %q is not JSON", f.Name(), message)
	}
}

// inside takes the message out of its frame: its delimiter is nowhere inside
// it, and nothing but printable ASCII.
func inside(t *testing.T, f Format, out []byte, fields string) []byte {
	t.Helper()
	var ok bool
	message := out
	switch f.(type) {
	case CampfireJSON, CampfireXML:
		message, ok = bytes.CutSuffix(out, []byte("\r"))
	case FlowdockJSON:
		message, ok = bytes.CutSuffix(out, []byte("\r\n"))
	case SSE:
		if message, ok = bytes.CutPrefix(out, []byte(fields)); ok {
			message, ok = bytes.CutSuffix(message, []byte("\n\n"))
		}
	}
	if !ok || len(message) == 0 {
		t.Fatalf("%s: %q is not framed", f.Name(), out)
	}
	if !isPrintable(message) {
		t.Fatalf("%s: not all of %q is printable", f.Name(), message)
	}
	return message
}

// checkMessage holds what a format wrote of an event to its framing, and to
// being JSON or XML.
func checkMessage(t *testing.T, f Format, e *event.Entry, out []byte) {
	t.Helper()
	if len(out) == 0 {
		return
	}
	message := inside(t, f, out, "id: "+cursor.String()+"\ndata: ")
	if _, isXML := f.(CampfireXML); isXML {
		checkXML(t, e, message)
		return
	}
	own := event.Flowdock
	if f.Name() == "campfire-json" {
		own = event.Campfire
	}
	passed := len(e.Payload) > 0 && (e.Shape == event.Raw || e.Shape == own)
	// Flowdock's form also carries the files of a mapped message, as they are.
	carried := passed || len(e.Payload) > 0 && e.Shape == event.Mapped && own == event.Flowdock
	if carried && !json.Valid(e.Payload) {
		return // what is no JSON cannot become any
	}
	if !json.Valid(message) {
		t.Fatalf("%s: %q is not JSON", f.Name(), message)
	}
	if v, err := fastjson.ParseBytes(message); err == nil && !passed && e.Op == event.Create && v.Exists("body") {
		want := strings.ToValidUTF8(e.TextWithFiles(), "\ufffd")
		if got := string(v.GetStringBytes("body")); want != "" && utf8.ValidString(e.TextWithFiles()) && got != want {
			t.Fatalf("%s: body %q, want %q", f.Name(), got, want)
		}
	}
}

// checkXML reads the message with a strict decoder and compares the body.
func checkXML(t *testing.T, e *event.Entry, message []byte) {
	t.Helper()
	var got struct {
		XMLName xml.Name `xml:"message"`
		Body    string   `xml:"body"`
		Room    string   `xml:"room-id"`
	}
	decoder := xml.NewDecoder(bytes.NewReader(message))
	if err := decoder.Decode(&got); err != nil {
		t.Fatalf("%q is not XML: %v", message, err)
	}
	if _, err := decoder.Token(); err != io.EOF {
		t.Fatalf("more than one element in %q", message)
	}
	if want := xmlText(e.TextWithFiles()); got.Body != want {
		t.Fatalf("body %q, want %q", got.Body, want)
	}
	if want := xmlText(e.Channel.Text); got.Room != want {
		t.Fatalf("room %q, want %q", got.Room, want)
	}
}

// xmlText is what XML can hold of s.
func xmlText(s string) string {
	var b strings.Builder
	for _, r := range s {
		if !isXML(r) {
			r = utf8.RuneError
		}
		b.WriteRune(r)
	}
	return b.String()
}

func FuzzPayload(f *testing.F) {
	f.Add([]byte(`{"b":1e400,"a":-0.10,"b":12345678901234567890,"s":"\ud83d\ude00\/\u0041"}`))
	f.Add([]byte("{ \"a\" :\r\n\t[ true , null ] , \"é\" : \"\u2028\x7f\" }"))
	f.Add([]byte(`{"said \"a b\"":"c\\"," ":"\\\" d"}`))
	f.Add([]byte("\"\\"))
	f.Add([]byte("\"\\\r\""))
	f.Fuzz(func(t *testing.T, payload []byte) {
		got := appendPayload(nil, payload)
		for _, c := range got {
			if c < ' ' || c > '~' {
				t.Fatalf("byte %#x in %q", c, got)
			}
		}
		if !json.Valid(payload) {
			return
		}
		if !json.Valid(got) {
			t.Fatalf("%q became %q", payload, got)
		}
		if !reflect.DeepEqual(tokens(t, payload), tokens(t, got)) {
			t.Fatalf("%q became %q", payload, got)
		}
		// Compact ASCII has nothing to escape: it passes byte for byte, and so
		// does what was passed once already.
		if again := appendPayload(nil, got); !bytes.Equal(again, got) {
			t.Fatalf("%q became %q when passed again", got, again)
		}
		var compact bytes.Buffer
		if err := json.Compact(&compact, payload); err != nil {
			t.Fatal(err)
		}
		if isPrintable(compact.Bytes()) && !bytes.Equal(compact.Bytes(), got) {
			t.Fatalf("%q became %q", compact.Bytes(), got)
		}
	})
}

func isPrintable(b []byte) bool {
	for _, c := range b {
		if c < ' ' || c > '~' {
			return false
		}
	}
	return true
}

// tokens reads JSON in order, with number literals as they are.
func tokens(t *testing.T, b []byte) []json.Token {
	decoder := json.NewDecoder(bytes.NewReader(b))
	decoder.UseNumber()
	var all []json.Token
	for {
		token, err := decoder.Token()
		if err == io.EOF {
			return all
		}
		if err != nil {
			t.Fatalf("%q: %v", b, err)
		}
		all = append(all, token)
	}
}

func FuzzNumber(f *testing.F) {
	for _, s := range []string{"0", "-0", "01", "1.", ".5", "1e", "1e+", "1E-05", "--1", "", "-", "1 ", "Infinity", "0x1"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		want := json.Valid([]byte(s)) && s != "" && (s[0] == '-' || digits(s) > 0) && strings.TrimSpace(s) == s
		if got := isNumber(s); got != want {
			t.Fatalf("isNumber(%q) is %v", s, got)
		}
	})
}
