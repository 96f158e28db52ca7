package tap

import (
	"bytes"
	"compress/gzip"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/seed-078801ba/sidestream/stream/event"
	"github.com/seed-078801ba/sidestream/webhook/decode"
)

// FuzzPath: whatever path a client writes, a variable is one segment of it that every
// server reads alike.
func FuzzPath(f *testing.F) {
	for _, path := range []string{"/rooms/1/messages", "/rooms/%21a%3Ab/messages", "/rooms/1%2f..%2F2/messages", "/rooms/..;/messages", "/rooms//messages", "*", ""} {
		f.Add("/rooms/{room}/messages", path)
	}
	f.Add("/a{b}c", "/abc")
	f.Fuzz(func(t *testing.T, text, path string) {
		p, err := parsePattern(text)
		if err != nil || !p.match(path) {
			return
		}
		vars, ok := p.values(path)
		if !ok {
			return
		}
		rebuilt := ""
		for _, s := range p {
			value := vars[s.name]
			if s.name != "" && (value == "" || strings.ContainsAny(value, "/\\;?#%") || value == "." || value == "..") {
				t.Errorf("%q for %q: the variable is %q", path, text, value)
			}
			if s.name == "" {
				value = ""
			}
			rebuilt += "/" + s.before + url.PathEscape(value) + s.after
		}
		unescaped, err := url.PathUnescape(path)
		again, err2 := url.PathUnescape(rebuilt)
		if err == nil && (err2 != nil || unescaped != again) {
			t.Errorf("%q for %q is read as %q", path, text, rebuilt)
		}
	})
}

// FuzzNarrow: what is offered to the app is a part of what the client takes, and can be
// read here.
func FuzzNarrow(f *testing.F) {
	for _, offered := range []string{"gzip, deflate, br", "*;q=0", "identity;q=0, gzip", ";;,,", "gzip;q=NaN"} {
		f.Add(offered)
	}
	f.Fuzz(func(t *testing.T, offered string) {
		got := narrow(offered)
		if got == "identity" || offered == "" {
			return
		}
		for part := range strings.SplitSeq(got, ", ") {
			name, _, _ := strings.Cut(part, ";")
			name = strings.ToLower(strings.TrimSpace(name))
			if !strings.Contains(offered, part) || name != "*" && name != "identity" && !readable(name) {
				t.Errorf("%q becomes %q", offered, got)
			}
		}
	})
}

// FuzzUnpack: no coding makes more of a copy than is read, or fails otherwise than by an
// error.
func FuzzUnpack(f *testing.F) {
	var packed bytes.Buffer
	w := gzip.NewWriter(&packed)
	_, _ = w.Write(make([]byte, 10_000))
	_ = w.Close()
	f.Add(uint8(0), packed.Bytes())
	f.Add(uint8(1), []byte{0x28, 0xb5, 0x2f, 0xfd, 0, 0, 1, 0, 0})
	f.Add(uint8(2), []byte{0x3b})
	codings := []string{"gzip", "zstd", "br"}
	f.Fuzz(func(t *testing.T, coding uint8, body []byte) {
		text, err := unpack(codings[int(coding)%len(codings)], body)
		if err == nil && len(text) > maxCopy {
			t.Errorf("%d bytes are unpacked", len(text))
		}
	})
}

// FuzzAnswer: whatever an app answers and a client posts, an event has a channel and an
// id that can be ones, and all memory is given back.
func FuzzAnswer(f *testing.F) {
	f.Add("/rooms/1/messages", "application/json", "", []byte(`{"id":1,"text":"x"}`), "application/x-www-form-urlencoded", []byte("text=a&x=%ff"), 201)
	f.Add("/api/v4/posts", "application/json", "", []byte(mattermostSample), "application/json", []byte("{}"), 201)
	f.Add("/api/v1/method.call/sendMessage", "application/json", "", []byte(`{"message":"{\"result\":{\"_id\":\"a\",\"rid\":\"b\"}}","success":true}`), "", []byte(nil), 200)
	f.Add("/room/1/speak.json", "application/json; charset=utf-8", "gzip", []byte(`{"message":{"id":1}}`), "text/plain", []byte("hi"), 201)
	f.Add("/flows/a/b/messages", "application/json", "", []byte(`{"id":1,"event":"message","content":"x"}`), "", []byte(nil), 201)
	all := []Config{speak}
	for _, name := range Presets() {
		all = append(all, Config{Preset: name})
	}
	rs, err := Compile(all, nil)
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, path, kind, coding string, body []byte, postedKind string, posted []byte, status int) {
		u, err := url.ParseRequestURI(path)
		if err != nil {
			return
		}
		r := &http.Request{Method: "POST", URL: u, Header: http.Header{"Content-Type": {postedKind}}, Body: readCloser{bytes.NewReader(posted)}, ContentLength: int64(len(posted))}
		rt := rs.Find(r)
		if rt == nil {
			return
		}
		s := newSurroundings()
		tap := &Tap{o: s.options()}
		tap.counts.byRule = map[string]map[string]uint64{}
		tap.doubts.init(tap)
		tap.ctx = t.Context()
		a := tap.Begin(rt, rt.Prepare(r), s)
		buffer := make([]byte, len(posted)+1)
		for {
			if _, err := r.Body.Read(buffer); err != nil {
				break
			}
		}
		h := http.Header{"Content-Type": {kind}, "Location": {path}}
		if coding != "" {
			h["Content-Encoding"] = []string{coding}
		}
		a.Head(status, h)
		a.Body(body[:len(body)/2])
		a.Body(body[len(body)/2:])
		var out brought
		if len(a.rules) > 0 {
			tap.read(a, "ann", &out)
		}
		a.drop()
		for _, e := range out.events {
			if event.CheckChannel(e.Channel.Text) != nil && e.To.IsZero() || !e.ID.IsZero() && !decode.ValidName(e.ID.Text) {
				t.Errorf("the event is %+v", e)
			}
		}
		if left := copies.left.Load(); left != maxCopies {
			t.Errorf("%d bytes were not given back", maxCopies-left)
		}
	})
}

type readCloser struct{ *bytes.Reader }

func (readCloser) Close() error { return nil }

const mattermostSample = `{"id":"p1","create_at":1700000000123,"edit_at":0,"user_id":"u1","channel_id":"c1","root_id":"","message":"hi","type":"","file_ids":["f"]}`
