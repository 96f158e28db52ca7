package decode

import (
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/valyala/fastjson"

	"github.com/seed-078801ba/sidestream/stream/event"
)

// own is a configuration without a preset. Lines are those
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
	return cfg
}

// checkEvent holds an event to what the rest of Sidestream relies on.
func checkEvent(t *testing.T, e *event.Event) {
	t.Helper()
	channel := e.Channel.Text
	if private := !e.To.IsZero(); private {
		if channel != event.UserChannel(e.To.Text) {
			t.Errorf("private, and in channel %q", channel)
		}
	} else if err := event.CheckChannel(channel); err != nil {
		t.Errorf("channel %q: %v", channel, err)
	}
	for _, s := range []event.Scalar{e.ID, e.User, e.To, e.Thread, {Text: e.Version}, {Text: e.Delivery}} {
		if s.Text != "" && !ValidName(s.Text) {
			t.Errorf("a name is %q", s.Text)
		}
		if s.Number && !isJSONText([]byte(s.Text)) {
			t.Errorf("%q is no number", s.Text)
		}
	}
	if !utf8.ValidString(e.Body) || !utf8.ValidString(e.UserName) || (e.Type != "" && !validType(e.Type)) {
		t.Errorf("body %q, name %q, type %q", e.Body, e.UserName, e.Type)
	}
	begins := byte('{')
	switch {
	case e.Shape == event.Mapped:
		begins = '[' // its files
	case len(e.Payload) == 0:
		t.Errorf("shape %d without a payload", e.Shape)
	}
	if e.Payload != nil && (!isJSONText(e.Payload) || e.Payload[0] != begins || strings.ContainsAny(string(e.Payload), "\r\n")) {
		t.Errorf("payload %q", e.Payload)
	}
	if e.Op == event.Gap {
		t.Error("a gap from outside")
	}
}

// Whatever a payload is and however it is mapped, an event is one.
func FuzzDecode(f *testing.F) {
	var decoders []*Decoder
	for _, name := range Presets() {
		cfg := Config{Preset: name}
		if name == "stripe" {
			cfg.Map = []MapRule{{Field: "channel", Value: "money"}}
		}
		d, err := NewDecoder(cfg)
		if err != nil {
			f.Fatal(err)
		}
		decoders = append(decoders, d)
	}
	for _, lines := range [][]string{
		{"each {json.events}", "map channel {item.room}", "map data {item}", "map id hash"},
		{"map to {json.to|split:,}", "map body {json.text|html_text}", "map version {json.v|json:a}", "map user {json.u|base64url|last:/}"},
		{"format msgpack", "map data {json}"},
	} {
		d, err := NewDecoder(own(lines...))
		if err != nil {
			f.Fatal(err)
		}
		decoders = append(decoders, d)
	}
	f.Add(byte(18), "application/json", []byte(`{"events":[{"room":["a","b"],"\u0001":"\u2028"}]}`))
	f.Add(byte(20), "application/msgpack", []byte("\x81\xa1a\x93\x01\xc0\xc0"))
	f.Add(byte(10), "application/x-www-form-urlencoded", []byte("channel_id=1&post_id=2&text=a%0Ab"))
	f.Fuzz(func(t *testing.T, which byte, contentType string, body []byte) {
		decoded, err := decoders[int(which)%len(decoders)].Decode(Input{Body: body, Header: map[string][]string{"Content-Type": {contentType}}})
		if err != nil && len(decoded.Events) > 0 {
			t.Errorf("events and %v", err)
		}
		for i := range decoded.Events {
			checkEvent(t, &decoded.Events[i])
		}
	})
}

func FuzzTemplate(f *testing.F) {
	for _, s := range []string{"{json.a.0 ?? item:/a~1b|trim|re:^(\\d{2,3})$}-{header.X}", "{body|last:\\}", "{", "{json..}"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		template, err := ParseTemplate(s)
		if err != nil {
			return
		}
		if v, err := template.eval(testScope(t), true); err == nil && v.scalar() && utf8.ValidString(s) && !utf8.ValidString(v.text) {
			t.Errorf("%q is %q", s, v.text)
		}
	})
}

func FuzzCondition(f *testing.F) {
	for _, s := range []string{`{json.a} == "b c" and {json.d} not in e f`, "{json.a} matches ^x$", "{json.a} not exists", `"`, "{json.a} and"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		c, err := deliveries.Condition(s)
		if err != nil {
			return
		}
		if len(c.terms) == 0 {
			t.Errorf("%q has no terms", s)
		}
		_, _ = c.Holds(testScope(t))
	})
}

func FuzzHTMLText(f *testing.F) {
	f.Add("<p>a &amp; b</p><script>x</script>a<br/>b < c")
	f.Fuzz(func(t *testing.T, s string) {
		if got := htmlText(s); utf8.ValidString(s) && !utf8.ValidString(got) {
			t.Errorf("%q became %q", s, got)
		}
	})
}

// A path never finds what it should not, and never fails but for a key that is
// there twice.
func FuzzPath(f *testing.F) {
	for _, s := range []string{"a.b.0", "/a~1b/x.y", "*.*.id", "in.*", "a.01", "/", "*"} {
		f.Add(s, `{"a":{"b":[1,{"id":2}]},"in":{"x":1,"x":2}}`)
	}
	f.Fuzz(func(t *testing.T, s, document string) {
		path, err := ParsePath(s)
		if err != nil {
			return
		}
		root, err := ParseJSON(new(fastjson.Parser), []byte(document))
		if err != nil {
			return
		}
		v, err := path.Find(root)
		if err != nil && (err != errDuplicateKey || v.Exists()) {
			t.Errorf("%q in %s: %v", s, document, err)
		}
		for _, text := range v.Texts() {
			if !utf8.ValidString(text) {
				t.Errorf("%q in %s is %q", s, document, text)
			}
		}
	})
}
