package redisconn

import (
	"net"
	"reflect"
	"strings"
	"testing"
)

func TestParse(t *testing.T) {
	tests := []struct {
		url  string
		want Address
		tls  bool
	}{
		{"redis://localhost", Address{Addrs: []string{"localhost:6379"}}, false},
		{"redis://localhost:7000/3", Address{Addrs: []string{"localhost:7000"}, DB: 3}, false},
		{"rediss://u:p@h/", Address{Addrs: []string{"h:6379"}, Username: "u", Password: "p"}, true},
		{"redis://:p%40%2F%3a@h", Address{Addrs: []string{"h:6379"}, Password: "p@/:"}, false},
		{"redis://:a@b@h", Address{Addrs: []string{"h:6379"}, Password: "a@b"}, false},
		{"redis://[::1]", Address{Addrs: []string{"[::1]:6379"}}, false},
		{"redis://[::1]:1", Address{Addrs: []string{"[::1]:1"}}, false},
		{"redis+sentinel://a,b:1,c/main", Address{Addrs: []string{"a:26379", "b:1", "c:26379"}, Master: "main"}, false},
		{
			"rediss+sentinel://u:p@a/main/2?sentinel_username=su&sentinel_password=s%26p",
			Address{Addrs: []string{"a:26379"}, Master: "main", DB: 2, Username: "u", Password: "p", SentinelUsername: "su", SentinelPassword: "s&p"},
			true,
		},
		{"redis+cluster://a,b:1", Address{Addrs: []string{"a:6379", "b:1"}, Cluster: true}, false},
		{"redis://", Address{Addrs: []string{"localhost:6379"}}, false},
		{"redis://:p@", Address{Addrs: []string{"localhost:6379"}, Password: "p"}, false},
		{"redis://:7000", Address{Addrs: []string{"localhost:7000"}}, false},
		{"valkeys://h", Address{Addrs: []string{"h:6379"}}, true},
		// What configurations of old have.
		{"redis://a?addr=b:1&addr=c", Address{Addrs: []string{"a:6379", "b:1", "c:6379"}}, false},
		{"redis://a:26379/2?addr=b:26379&master_set=main", Address{Addrs: []string{"a:26379", "b:26379"}, Master: "main", DB: 2}, false},
		{"redis://h?db=3&client_name=x&protocol=2&dial_timeout=1s", Address{Addrs: []string{"h:6379"}, DB: 3, ClientName: "x", RESP2: true}, false},
		{"unix://u:p@/run/redis%20a.sock?db=1", Address{Addrs: []string{"/run/redis a.sock"}, Unix: true, DB: 1, Username: "u", Password: "p"}, false},
	}
	for _, test := range tests {
		got, err := Parse(test.url)
		if (got.TLS != nil) != test.tls || err != nil {
			t.Errorf("%s: TLS %v, %v", test.url, got.TLS, err)
		}
		got.TLS = nil
		if !reflect.DeepEqual(got, test.want) {
			t.Errorf("%s: %+v", test.url, got)
		}
	}
}

func TestParseRefuses(t *testing.T) {
	for _, s := range []string{
		"", "redis", "redis:", "http://h", "redis+x://h", "xredis://h", "redis://h/x", "redis://h/-1", "redis://h/1/2",
		"redis://a,b", "redis://h:0", "redis://h:65536", "redis://h:x", "redis://h,", "redis://a:b:c", "redis://[::1", "redis://::1",
		"redis://u:%zz@h", "redis://h?x=1", "redis://h?%zz", "redis+sentinel://h", "redis+sentinel://h/", "redis+cluster://h/1",
		"redis://h?sentinel_password=hunter2", "redis://h #", "redis://u:hunter2@h:x",
		"redis://h?skip_verify=hunter2", "redis+cluster://h?master_set=m", "unix://h/p", "unix://", "unix+cluster:///p", "redis://h?addr=",
		"redis://h?sentinel_username=u", "redis://h?db=x",
	} {
		o, err := Parse(s)
		if err == nil {
			t.Errorf("%q was read as %+v", s, o)
			continue
		}
		if strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%q: the error tells the password: %v", s, err)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add("redis+sentinel://u:p@a,b:1/main/2?sentinel_password=x")
	f.Add("rediss://[::1]:1/0")
	f.Fuzz(func(t *testing.T, s string) {
		o, err := Parse(s)
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
