package bayeux

import (
	"strings"
	"testing"
	"time"
)

func TestCutCatchUp(t *testing.T) {
	for name, want := range map[string]struct {
		channel string
		past    time.Duration
		asks    bool
	}{
		"/a/b/catchup/12h": {"/a/b", 12 * time.Hour, true}, "/a/catchup/30m": {"/a", 30 * time.Minute, true}, "/a/catchup/1s": {"/a", time.Second, true},
		"/a/catchup/8784h": {"/a", 8784 * time.Hour, true}, "/a/catchup/8785h": {"/a", 0, true}, "/a/catchup/99999999999h": {"/a", 0, true},
		"/a/catchup/0h": {"/a", 0, true}, "/a/catchup/01h": {"/a", 0, true}, "/a/catchup/1d": {"/a", 0, true}, "/a/catchup/h": {"/a", 0, true}, "/a/catchup/-1h": {"/a", 0, true},
		"/a/catchup": {"/a/catchup", 0, false}, "/a/catchup/1h/b": {"/a/catchup/1h/b", 0, false}, "/catchup/1h": {"/catchup/1h", 0, false}, "/a": {"/a", 0, false},
		"/a/catchup/1h/catchup/2h": {"/a/catchup/1h", 2 * time.Hour, true},
	} {
		channel, past, asks := cutCatchUp(name)
		if channel != want.channel || past != want.past || asks != want.asks {
			t.Errorf("%s: %q, %v, %v", name, channel, past, asks)
		}
	}
}

func FuzzCutCatchUp(f *testing.F) {
	f.Add("/a/catchup/12h")
	f.Add("/a/catchup/+1s")
	f.Fuzz(func(t *testing.T, name string) {
		channel, past, asks := cutCatchUp(name)
		if !strings.HasPrefix(name, channel) || asks != (len(channel) < len(name)) || past < 0 || past > maxPast {
			t.Errorf("%q: %q, %v, %v", name, channel, past, asks)
		}
	})
}
