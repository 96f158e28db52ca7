package bayeux

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/valyala/fastjson"

	"github.com/seed-078801ba/sidestream/caddymodule/endpoint"
	"github.com/seed-078801ba/sidestream/stream/event"
)

// testSite is that of the tests.
var testSite = endpoint.Site{MaxChannels: 250}

func TestGrammar(t *testing.T) {
	for name, want := range map[string]bool{
		"/a": true, "/a/b": true, "/A-z_0!~()$@": true, "/" + strings.Repeat("a", 254): true,
		"": false, "/": false, "a": false, "//a": false, "/a/": false, "/a//b": false, "/a.b": false, "/a:b": false, "/a%20": false, "/é": false, "/*": false, "/a/*": false,
		"/" + strings.Repeat("a", 255): false,
	} {
		if validName(name) != want {
			t.Errorf("validName(%.20q) is %v", name, !want)
		}
	}
	for name, want := range map[string]bool{
		"/*": true, "/**": true, "/a/*": true, "/a/b/**": true,
		"": false, "*": false, "/a": false, "/a/***": false, "/a*": false, "/*/a": false, "/**/a": false, "/*/*": false, "/a/*/**": false,
	} {
		if validPattern(name) != want {
			t.Errorf("validPattern(%q) is %v", name, !want)
		}
	}
}

func TestRooms(t *testing.T) {
	for _, text := range []string{"", "/rooms", "/{channel}", "{channel}", "rooms/{channel}", "/rooms/{channel}/{channel}", "/rooms/x{channel}", "/rooms/{channel}x", "/meta/{channel}", "/service/{channel}", "/a b/{channel}"} {
		if _, err := ParseRooms(text); err == nil {
			t.Errorf("%q is taken", text)
		}
	}
	rooms, err := ParseRooms("/rooms/{channel}")
	if err != nil {
		t.Fatal(err)
	}
	live, err := ParseRooms("/rooms/{channel}/live")
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		rooms Rooms
		name  string
		want  Target
		known bool
		bad   bool
	}{
		{rooms, "/rooms/1", Target{Channel: "1", Right: "1"}, true, false},
		{rooms, "/rooms/acme/main", Target{Channel: "acme/main", Right: "acme/main"}, true, false},
		{rooms, "/rooms/1/*", Target{Channel: "1/*", Pattern: true, Right: "1"}, true, false},
		{rooms, "/rooms/a/b/**", Target{Channel: "a/b/**", Pattern: true, Right: "a/b"}, true, false},
		{rooms, "/rooms/*", Target{}, true, true},
		{rooms, "/rooms/**", Target{}, true, true},
		{rooms, "/room/1", Target{}, false, false},
		{live, "/rooms/1/live", Target{Channel: "1", Right: "1"}, true, false},
		{live, "/rooms/1", Target{}, false, false},
		{live, "/rooms/1/2/live", Target{}, false, false},
		{live, "/rooms/1/*", Target{}, true, true},
	} {
		got, known, err := test.rooms.Resolve(test.name, validPattern(test.name))
		if got != test.want || known != test.known || (err != nil) != test.bad {
			t.Errorf("%s: %+v %v %v", test.name, got, known, err)
		}
	}
}

func TestMask(t *testing.T) {
	e := new(Bayeux).New(testSite).(*bayeux)
	id := newID()
	if len(id) != idLength || !isSessionID(id) {
		t.Fatalf("an id is %q", id)
	}
	for uri, want := range map[string]string{
		"/faye/" + id:                         "/faye/REDACTED",
		"/faye/" + id + "?a=b":                "/faye/REDACTED?a=b",
		"/faye?message=%5B%7B%7D%5D&jsonp=cb": "/faye?message=REDACTED&jsonp=cb",
		"/faye/handshake":                     "/faye/handshake",
		"/faye?x=1":                           "/faye?x=1",
	} {
		if got := e.Mask(uri); got != want {
			t.Errorf("%s is shown as %s", uri, got)
		}
	}
}

// FuzzMessages: whatever comes, it is read or refused, and what is echoed is JSON of
// printable ASCII that says the same.
func FuzzMessages(f *testing.F) {
	for _, text := range []string{
		`[{"channel":"/meta/handshake","version":"1.0","supportedConnectionTypes":["long-polling"],"id":"1"}]`,
		`{"channel":"/a","data":{"x":[1,1.50,-0,1e400,"\u2028\ud800",null,true]},"id":12}`, "message=%5B%7B%7D%5D&message=[]", `{"id":nan,"data":[inf,007]}`, `{"id":-}`, "[1,null,[]]", "", `"`, "\xff", `[{"id":"` + "\\u0000\x7f" + `"}]`,
	} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, body string) {
		messages, err := batchOf(body)
		if err != nil {
			return
		}
		if len(messages) > maxBatch {
			t.Fatalf("%d messages", len(messages))
		}
		var r replies
		for i := range messages {
			m := &messages[i]
			r.add(reply{channel: m.channel, id: m.id, err: errInvalid(m.channel), more: appendSubscription(nil, m.channel), advice: anew()})
			if data := m.Get("data"); data != nil {
				checkEcho(t, data)
			}
			texts(m.Get("subscription"))
			readAck(extOf(m, "ack"))
			(&exchange{bayeux: &bayeux{}}).timesyncOf(m)
		}
		var back []map[string]any
		if err := json.Unmarshal(r.done(), &back); err != nil || len(back) != len(messages) {
			t.Fatalf("replies %s: %v", r.json, err)
		}
	})
}

func checkEcho(t *testing.T, v *fastjson.Value) {
	text := appendValue(nil, v)
	for _, c := range text {
		if c < ' ' || c > '~' {
			t.Fatalf("%q is not printable", text)
		}
	}
	if !json.Valid(text) {
		t.Fatalf("%q is no JSON", text)
	}
}

// FuzzChannels: a name is one channel, many, or none, and a room that is found has a
// name that a channel can have.
func FuzzChannels(f *testing.F) {
	for _, name := range []string{"/rooms/1", "/rooms/1/*", "/rooms/**", "/", "/rooms/..", "/rooms/user:7", "/rooms/a/../b", "/meta/x", "/rooms/signed~x"} {
		f.Add(name)
	}
	e := new(Bayeux).New(testSite).(*bayeux)
	f.Fuzz(func(t *testing.T, name string) {
		if validName(name) && validPattern(name) {
			t.Fatalf("%q is one and many", name)
		}
		target, err := e.resolve(name)
		if err != nil {
			if target.Channel != "" && target.Right != "" {
				t.Fatalf("%q: %v, and %+v", name, err, target)
			}
			return
		}
		if !event.ValidChannel(target.Right) || !target.Pattern && target.Channel != target.Right {
			t.Fatalf("%q is %+v", name, target)
		}
	})
}

// FuzzCallback: what is called is a name, and nothing else.
func FuzzCallback(f *testing.F) {
	for _, name := range []string{"a", "a.b", "1", "a(", "a\u2028", "$_", "a..b", ""} {
		f.Add(name)
	}
	f.Fuzz(func(t *testing.T, name string) {
		if !validCallback(name) {
			return
		}
		if name == "" || len(name) > maxCallback || strings.Trim(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_$.") != "" {
			t.Fatalf("%q would be called", name)
		}
	})
}
