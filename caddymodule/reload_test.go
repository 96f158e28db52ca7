package caddymodule

import (
	"strconv"
	"strings"
	"testing"
)

func TestReloadKeepsStreams(t *testing.T) {
	s := newSite(t)
	s.load(basics)
	s.app.allow("tok", "1")
	stream := s.open("/room/1/live.json", asBasic)
	s.post("1", "1", "before")
	readUntil(t, stream, "before")
	for range 3 {
		s.load(basics)
	}
	if err := s.tryLoad(strings.Replace(basics, "hook-secret", "{env.SIDESTREAM_NOT_SET}", 1)); err == nil || !strings.Contains(err.Error(), "SIDESTREAM_NOT_SET") {
		t.Errorf("a missing secret: %v", err)
	}
	s.post("1", "2", "after")
	readUntil(t, stream, "after")
}

func TestStreamsAreAskedForAgain(t *testing.T) {
	s := newSite(t)
	block := strings.Replace(basics, "auth GET /room/{channel}.json", "auth GET /room/{channel}.json {\n recheck 1s\n}", 1)
	s.load(block)
	s.app.allow("tok", "1", "2")
	stays, goes := s.open("/room/2/live.json", asBasic), s.open("/room/1/live.json", asBasic)
	s.load(block) // the configuration that opened the streams is gone
	s.app.forbid("tok", "1")
	readToEnd(t, goes)
	s.post("2", "1", "still here")
	readUntil(t, stays, "still here")
}

func TestStreamsAreAskedForByNewRules(t *testing.T) {
	s := newSite(t)
	rules := func(uri string) string {
		return strings.Replace(basics, "auth GET /room/{channel}.json", "auth GET "+uri+" {\n recheck 1s\n}", 1)
	}
	s.load(rules("/room/{channel}.json"))
	s.app.allow("tok", "1")
	stream := s.open("/room/1/live.json", asBasic)
	s.load(rules("/other/{channel}"))
	s.app.forget()
	readToEnd(t, stream) // the app does not know /other/
	for _, q := range s.app.questions() {
		if q.uri != "/other/1" {
			t.Errorf("asked %s", q.uri)
		}
	}
	if len(s.app.questions()) == 0 {
		t.Error("the stream ended and nobody was asked")
	}
}

func TestRevoke(t *testing.T) {
	s := newSite(t)
	s.load(basics + `
		revoke /hooks/revoke {
			secret old-secret new-secret
		}`)
	s.app.allow("tok", "1", "2")
	stays, goes := s.open("/room/2/live.json", asBasic), s.open("/room/1/live.json", asBasic)
	s.app.forbid("tok", "1")
	for _, c := range []struct {
		method, body, header string
		status               int
	}{
		{"POST", `{"channel":"1"}`, "Authorization: Bearer wrong", 401},
		{"POST", `{"channel":"1"}`, "X: y", 401},
		{"GET", ``, "Authorization: Bearer new-secret", 405},
		{"POST", `{}`, "Authorization: Bearer new-secret", 400},
		{"POST", `{"channel":{}}`, "Authorization: Bearer new-secret", 400},
		{"POST", `nonsense`, "Authorization: Bearer new-secret", 400},
		{"POST", strings.Repeat(" ", 64<<10+1), "Authorization: Bearer new-secret", 413},
		{"POST", `{"channel":1}`, "Authorization: Bearer new-secret", 204},
	} {
		resp := s.request(c.method, "/hooks/revoke", c.body, c.header)
		if got := body(t, resp); resp.StatusCode != c.status || got != "" {
			t.Errorf("%s %.30s: %d %q", c.method, c.body, resp.StatusCode, got)
		}
	}
	readToEnd(t, goes)
	s.post("2", "1", "still here")
	readUntil(t, stays, "still here")
}

func TestIntersectDropsOneChannel(t *testing.T) {
	s := newSite(t)
	s.load(strings.Replace(basics, "auth GET /room/{channel}.json", "auth GET /room/{channel}.json {\n filter intersect\n}", 1) + `
		revoke /hooks/revoke {
			secret new-secret
		}`)
	s.app.allow("tok", "a%2Fb", "c%2Fd")
	stream := s.open("/flows?filter=a/b,c/d", asBasic)
	s.app.forbid("tok", "a%2Fb")
	s.request("POST", "/hooks/revoke", `{"channel":"a/b"}`, "Authorization: Bearer new-secret")
	id := 0
	eventually(t, "the stream is without the channel", func() bool {
		id++
		n := strconv.Itoa(id)
		s.post("a/b", n, "denied "+n+".")
		s.post("c/d", n, "allowed "+n+".")
		return !strings.Contains(readUntil(t, stream, "allowed "+n+"."), "denied "+n+".")
	})
	s.app.forbid("tok", "c%2Fd")
	s.request("POST", "/hooks/revoke", `{"channel":"c/d"}`, "Authorization: Bearer new-secret")
	readToEnd(t, stream)
}

func TestConfigsThatAreRefused(t *testing.T) {
	s := newSite(t)
	s.load(basics)
	for block, want := range map[string]string{
		hooks + inMemory: "auth is missing",
		strings.Replace(basics, "hook-secret", "{env.SIDESTREAM_NOT_SET}", 1): "SIDESTREAM_NOT_SET",
		strings.Replace(basics, "hook-secret", "{file./nowhere/at/all}", 1):   "secret",
		basics + "\nhub ../x": "is no name",
		basics + "\nrevoke /r {\n secret " + exampleSecret + "\n}":                                      "Caddyfile.example",
		basics + "\nrevoke /r {\n secret x\n}":                                                          "openssl rand",
		basics + "\nrevoke /r {\n secret \"   \"\n}":                                                    "openssl rand",
		strings.Replace(basics, "hook-secret", "short", 1):                                              "openssl rand",
		basics + "\nrevoke /r {\n secret {env.SIDESTREAM_NOT_SET}\n}":                                   "SIDESTREAM_NOT_SET",
		strings.Replace(basics, "secret hook-secret", "secret another-one {env.SIDESTREAM_NOT_SET}", 1): "SIDESTREAM_NOT_SET",
	} {
		if err := s.tryLoad(block); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s\nerror %v, want one with %q", block, err, want)
		}
	}
	s.app.allow("tok", "1")
	s.open("/room/1/live.json", asBasic) // what runs was not touched
}

func TestTwoBackendsNeedTwoHubs(t *testing.T) {
	s := newSite(t)
	second := func(hub string) string {
		return basics + "\n" + hub + "\ndrain 100ms\n}\nsidestream /second/* {\nbackend APP {\nheader_up Host other.test\n}\n" +
			"auth GET /room/{channel}.json\n" + inMemory
	}
	if err := s.tryLoad(second("")); err == nil || !strings.Contains(err.Error(), "give each a name of its own") {
		t.Errorf("two backends share the default hub: %v", err)
	}
	if err := s.tryLoad(second("hub first")); err != nil {
		t.Errorf("with a name: %v", err)
	}
	same := basics + "\ndrain 100ms\n}\nsidestream /second/* {\nbackend APP\nauth GET /room/{channel}.json\n" + inMemory
	if err := s.tryLoad(same); err != nil {
		t.Errorf("the same backend twice: %v", err)
	}
}

// A reload that gives a hub another store ends its streams, and says so.
func TestReloadThatChangesTheStore(t *testing.T) {
	s := newSite(t)
	s.load(basics)
	s.app.allow("tok", "1")
	stream := s.open("/room/1/live.json", asBasic)
	s.load(strings.Replace(basics, "store memory", "store file DIR/other.db", 1))
	readToEnd(t, stream)
	eventually(t, "a line of the log", func() bool { return strings.Contains(s.logs(), "all of its streams end") })
}
