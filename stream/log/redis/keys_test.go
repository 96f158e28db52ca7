package redis

import (
	"strings"
	"testing"
)

func TestKeyNames(t *testing.T) {
	names := []string{"a", "A", "a:b", "a}", "{a", "a{b}c", "a*", "a?", "[a]", "a\n", "a%0A", "%", "ü", "a b", "a\x00", "a:{b}:head"}
	seen := map[string]string{}
	for _, prefix := range names {
		for _, hub := range names {
			keys := keyNames(prefix, hub)
			if other, ok := seen[keys[0]]; ok {
				t.Errorf("%q and %q have one key", prefix+" "+hub, other)
			}
			seen[keys[0]] = prefix + " " + hub
			for _, key := range keys {
				if strings.Count(key, "{") != 1 || strings.Count(key, "}") != 1 || strings.Contains(key, "{}") || strings.ContainsAny(key, "*?[]\\ \n\x00\"'") {
					t.Errorf("%q", key)
				}
			}
		}
	}
	if got := keyNames("sidestream", "main")[keyFeed]; got != "sidestream:{main}:feed" {
		t.Errorf("got %q", got)
	}
}
