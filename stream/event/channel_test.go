package event

import (
	"errors"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// Names that real apps have.
var realNames = []string{
	"1", "9007199254740993", "lobby", "#general", "a/b/c", "50%", "100%25", "what?", "19:x;y=1", "a,b", `a\b`, "a b", " a ", "/chat/room", "a//b", "a/",
	"!room:example.org", "#alias:example.org", "@ann:example.org", "acme:main", "acme/main", "room:5", "a&b=c+d", "*", "a/**", "a..b", "...", "~", "Büro", "日本",
	"👩‍👩‍👧", "[x]{y}|^`<>\"'", "%zz", "%2", "users", "user", "USER:7", "private-chat.1", "8d5b2a3e-0000-4000-8000-100000000000", strings.Repeat("é", MaxName/2),
}

func TestNamesOfRealApps(t *testing.T) {
	for _, name := range realNames {
		if err := CheckChannel(name); err != nil || !ValidChannel(name) {
			t.Errorf("%q: %v", name, err)
		}
	}
}

func TestWhatIsNoName(t *testing.T) {
	for name, want := range map[string]error{
		"": ErrNameEmpty, strings.Repeat("a", MaxName+1): ErrNameLong,
		"a\x00": ErrNameControl, "a\nb": ErrNameControl, "\x7f": ErrNameControl, "a\u0085b": ErrNameControl, "a\u2028b": ErrNameControl, "\u2029": ErrNameControl,
		"\xff": ErrNameText, "a\xc0\xaf": ErrNameText, "\xed\xa0\x80": ErrNameText, "a\uFFFDb": ErrNameText,
		"user:7": ErrNameReserved, "user:": ErrNameReserved,
		".": ErrNameDots, "..": ErrNameDots, "a/../b": ErrNameDots, "../a": ErrNameDots, "a/..": ErrNameDots, "/.": ErrNameDots, `a\..\b`: ErrNameDots,
		"..;x/a": ErrNameDots, "%2e%2e": ErrNameDots, "x/%25252e": ErrNameDots, "%2E.%3Bx": ErrNameDots,
		"a%2Fb": ErrNameEscape, "a%2f..%2fb": ErrNameEscape, "a%252fb": ErrNameEscape, "%255C": ErrNameEscape, "a%00": ErrNameEscape, "%0d%0a": ErrNameEscape,
	} {
		if got := CheckChannel(name); !errors.Is(got, want) || ValidChannel(name) {
			t.Errorf("%.40q: %v, want %v", name, got, want)
		}
	}
}

func TestUserIDs(t *testing.T) {
	for id, ok := range map[string]bool{
		"7": true, "@ann:example.org": true, "a/b": true, ".": true, strings.Repeat("a", MaxName-len(UserPrefix)): true,
		"": false, "a\n": false, "\xff": false, strings.Repeat("a", MaxName-len(UserPrefix)+1): false,
	} {
		if err := CheckUser(id); (err == nil) != ok {
			t.Errorf("%.40q: %v", id, err)
		}
	}
}

func TestCanonicalName(t *testing.T) {
	for name, want := range map[string]string{
		"acme:main": "acme/main", "acme/main": "acme/main", "a:b:c": "a:b:c", "!x:h.org": "!x:h.org", ":x": ":x", "x:": "x:", "5": "5", "user:7": "user:7",
		"19:x;y=1": "19:x;y=1", "a/b:c": "a/b:c",
	} {
		if got := (Names{Flows: true}).Canonical(name); got != want {
			t.Errorf("%s: %s, want %s", name, got, want)
		}
		if got := (Names{}).Canonical(name); got != name {
			t.Errorf("%s: %s without flows", name, got)
		}
	}
}

// The canonical form of a name is a name, and is its own canonical form.
func TestCanonicalNameIsStable(t *testing.T) {
	names := Names{Flows: true}
	rapid.Check(t, func(t *rapid.T) {
		name := rapid.OneOf(rapid.SampledFrom(realNames), rapid.String(), rapid.StringMatching(`[a-zA-Z_-]{1,9}:[a-z0-9]{1,9}`)).Filter(ValidChannel).Draw(t, "name")
		canonical := names.Canonical(name)
		if err := CheckChannel(canonical); err != nil || names.Canonical(canonical) != canonical {
			t.Fatalf("%q became %q: %v", name, canonical, err)
		}
	})
}

func FuzzCheckChannel(f *testing.F) {
	for _, name := range realNames {
		f.Add(name)
	}
	f.Add("a/%2e%2E/b")
	f.Fuzz(func(t *testing.T, name string) {
		err := CheckChannel(name)
		if (err == nil) != ValidChannel(name) {
			t.Errorf("%q: two verdicts", name)
		}
		if err == nil && (strings.HasPrefix(name, UserPrefix) || strings.ContainsAny(name, "\x00\r\n\x1b") || strings.Contains("/"+name+"/", "/../")) {
			t.Errorf("%q was taken", name)
		}
	})
}
