package stream

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/seed-078801ba/sidestream/stream/log"
)

func TestPatterns(t *testing.T) {
	for _, c := range []struct {
		pattern, name string
		want          bool
	}{
		{"/a/*", "/a/b", true}, {"/a/*", "/a", false}, {"/a/*", "/a/", false}, {"/a/*", "/a/b/c", false}, {"/a/*", "/ab/c", false},
		{"/a/**", "/a/b", true}, {"/a/**", "/a/b/c", true}, {"/a/**", "/a", false}, {"/a/b/**", "/a/c", false},
		{"acme/*", "acme/main", true},
	} {
		p, err := ParsePattern(c.pattern)
		if err != nil || p.Matches(c.name) != c.want {
			t.Errorf("%s and %s: %t, %v", c.pattern, c.name, !c.want, err)
		}
	}
	for _, text := range []string{"", "*", "/*", "/**", "//*", "/a", "/a*", "/*/b", "/*/*", "/a/***", "/a/*/b/**"} {
		if p, err := ParsePattern(text); err == nil {
			t.Errorf("%q was read as %q", text, p)
		}
	}
}

// The patterns that a hub finds for a name are those that match it.
func TestPatternsAreFound(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.StringMatching(`/?[ab]{1,2}(/[ab]?){0,4}`)
		ps := patterns{}
		for range rapid.IntRange(0, 8).Draw(t, "patterns") {
			if p, err := ParsePattern(text.Draw(t, "stem") + rapid.SampledFrom([]string{"/*", "/**"}).Draw(t, "end")); err == nil {
				ps[p.String()] = &channel{name: p.String()}
			}
		}
		name := text.Draw(t, "name")
		found := map[string]int{}
		for _, ch := range ps.match(nil, name) {
			found[ch.name]++
		}
		for text := range ps {
			want := 0
			if p, _ := ParsePattern(text); p.Matches(name) {
				want = 1
			}
			if found[text] != want {
				t.Fatalf("%q was found %d times for %q, want %d", text, found[text], name, want)
			}
		}
	})
}

// However many patterns match, there is one copy for each client, and one
// encoding for all of them.
func TestPatternsShareTheItem(t *testing.T) {
	h := newHub(t, Config{}, log.Retention{})
	l, s := listen(t, h, opening{format: resumable, channels: []string{"/a/b"}})
	other, s2 := listen(t, h, opening{format: resumable, standing: true})
	for _, text := range []string{"/a/*", "/a/**"} {
		p, _ := ParsePattern(text)
		s.JoinPattern(p)
		s2.JoinPattern(p)
	}
	settle(t, s)
	settle(t, s2)
	say(t, h, "/a/b", "1")
	say(t, h, "/a/c", "2")
	say(t, h, "/a/c/d", "3")
	say(t, h, "/d", "4")
	want := []string{"/a/b 1", "/a/c 2", "/a/c/d 3"}
	l.expect(want...)
	other.expect(want...)
	h.mu.Lock()
	one, all := h.patterns["/a/*"].recent(), h.patterns["/a/**"].recent()
	h.mu.Unlock()
	if len(one.items) != 2 || len(all.items) != 3 || one.items[0].item != all.items[0].item {
		t.Errorf("the patterns have %d and %d items", len(one.items), len(all.items))
	}
	s.End(ClientLeft)
	s2.End(ClientLeft)
	l.drained()
	other.drained()
	h.mu.Lock()
	defer h.mu.Unlock()
	if n := len(h.patterns); n != 0 || h.windows.Load() < 0 {
		t.Errorf("%d patterns without listeners are kept, %d bytes", n, h.windows.Load())
	}
}

// A client that is slower than what memory holds of its patterns is told so.
func TestPatternOvertaken(t *testing.T) {
	h := newHub(t, Config{WindowEvents: 2, Lag: Lag{Bytes: 1 << 20, Time: time.Hour}}, log.Retention{})
	l, s := listen(t, h, opening{format: resumable, standing: true})
	p, _ := ParsePattern("/a/*")
	s.JoinPattern(p)
	settle(t, s)
	inShard(s.shard, func() { s.state = fetching }) // it is kept busy
	for i := range 10 {
		say(t, h, "/a/b", fmt.Sprint(i))
	}
	inShard(s.shard, func() {
		s.state = open
		s.shard.deliver(s)
	})
	l.expect("GAP slow-client", "/a/b 8", "/a/b 9")
	if strings.Contains(fmt.Sprint(h.Stats().Closed), "slow") {
		t.Error("the stream was ended")
	}
}
