package redis

import (
	"net"
	"reflect"
	"strings"
	"testing"
)

func TestParseURL(t *testing.T) {
	tests := []struct {
		url  string
		want Options
		tls  bool
	}{
		{"redis://localhost", Options{Addrs: []string{"localhost:6379"}}, false},
		{"redis://localhost:7000/3", Options{Addrs: []string{"localhost:7000"}, DB: 3}, false},
		{"rediss://u:p@h/", Options{Addrs: []string{"h:6379"}, Username: "u", Password: "p"}, true},
		{"redis://:p%40%2F%3a@h", Options{Addrs: []string{"h:6379"}, Password: "p@/:"}, false},
		{"redis://:a@b@h", Options{Addrs: []string{"h:6379"}, Password: "a@b"}, false},
		{"redis://[::1]", Options{Addrs: []string{"[::1]:6379"}}, false},
		{"redis://[::1]:1", Options{Addrs: []string{"[::1]:1"}}, false},
		{"redis+sentinel://a,b:1,c/main", Options{Addrs: []string{"a:26379", "b:1", "c:26379"}, Master: "main"}, false},
		{
			"rediss+sentinel://u:p@a/main/2?sentinel_username=su&sentinel_password=s%26p",
			Options{Addrs: []string{"a:26379"}, Master: "main", DB: 2, Username: "u", Password: "p", SentinelUsername: "su", SentinelPassword: "s&p"},
			true,
		},
		{"redis+cluster://a,b:1", Options{Addrs: []string{"a:6379", "b:1"}, Cluster: true}, false},
	}
	for _, test := range tests {
		got, err := ParseURL(test.url)
		if (got.TLS != nil) != test.tls || err != nil {
			t.Errorf("%s: TLS %v, %v", test.url, got.TLS, err)
		}
		got.TLS = nil
		if !reflect.DeepEqual(got, test.want) {
			t.Errorf("%s: %+v", test.url, got)
		}
	}
}

func TestParseURLRefuses(t *testing.T) {
	for _, s := range []string{
		"", "redis", "redis:", "redis://", "http://h", "redis+x://h", "xredis://h", "redis://h/x", "redis://h/-1", "redis://h/1/2",
		"redis://a,b", "redis://h:0", "redis://h:65536", "redis://h:x", "redis://:1", "redis://h,", "redis://a:b:c", "redis://[::1", "redis://::1",
		"redis://u:%zz@h", "redis://h?x=1", "redis://h?%zz", "redis+sentinel://h", "redis+sentinel://h/", "redis+cluster://h/1",
		"redis://h?sentinel_password=hunter2", "redis://h #", "redis://u:hunter2@h:x", "redis://u:hunter2@",
	} {
		o, err := ParseURL(s)
		if err == nil {
			t.Errorf("%q was read as %+v", s, o)
			continue
		}
		if strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%q: the error tells the password: %v", s, err)
		}
	}
}

func FuzzParseURL(f *testing.F) {
	f.Add("redis+sentinel://u:p@a,b:1/main/2?sentinel_password=x")
	f.Add("rediss://[::1]:1/0")
	f.Fuzz(func(t *testing.T, s string) {
		o, err := ParseURL(s)
		if err != nil {
			return
		}
		if len(o.Addrs) == 0 {
			t.Errorf("%q has no address", s)
		}
		for _, addr := range o.Addrs {
			if _, _, err := net.SplitHostPort(addr); err != nil {
				t.Errorf("%q has the address %q", s, addr)
			}
		}
	})
}

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
