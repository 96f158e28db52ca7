package redis

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"

	"github.com/seed-078801ba/sidestream/stream/redisconn"
	"github.com/seed-078801ba/sidestream/stream/redisconn/redistest"
)

func TestConfigIsRefused(t *testing.T) {
	for _, c := range []struct {
		url   string
		lines []string
		want  string
	}{
		{"", []string{"subscribe a"}, "URL of Redis is missing"},
		{"redis://h", nil, "nothing to listen to"},
		{"redis://h", []string{"subscribe a", "stream b"}, "either"},
		{"redis://h", []string{"subscribe a", "on_demand"}, "chat:room_{channel}"},
		{"redis://h", []string{"psubscribe a:*", "on_demand"}, "on_demand needs subscribe"},
		{"redis://h", []string{"subscribe a:{channel}"}, "needs on_demand"},
		{"redis://h", []string{"subscribe a", "group x"}, "belong to stream"},
		{"redis://h", []string{"subscribe a", "start 0"}, "belong to stream"},
		{"redis://h", []string{"stream a", "start 1"}, "resume, $ or 0"},
		{"redis://h", []string{"stream a", "match (?<x>.)"}, "a stream has none"},
		{"redis://h", []string{"subscribe sidestream:probe"}, "probe_channel"},
		{"redis://h", []string{"subscribe a", "probe 2m"}, "at most"},
		{"redis://h/a/b", []string{"subscribe a"}, "cannot be read"},
		{"http://h", []string{"subscribe a"}, "cannot be read"},
		{"redis://secret@h", []string{"subscribe a"}, "no password"},
		{"redis://h", []string{"subscribe a", "sentinel_user u p"}, "name of the master is missing"},
		{"redis+cluster://h", []string{"subscribe a", "sentinel m"}, "sentinels know no cluster"},
	} {
		cfg := Config{URL: c.url}
		for _, line := range append(c.lines, "preset laravel") {
			words := strings.Split(line, " ")
			if err := cfg.Option(words[0], words[1:]); err != nil {
				t.Fatalf("%s: %v", line, err)
			}
		}
		if _, err := New(cfg, Options{Publisher: newMemory()}); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s %q: %v, want %q", c.url, c.lines, err, c.want)
		}
	}
	if _, err := New(rooms("h:1"), Options{}); err == nil {
		t.Error("no publisher, no error")
	}
}

func TestOptionIsRefused(t *testing.T) {
	for _, c := range []struct{ line, want string }{
		{"secret x", "unknown option"},
		{"verify none", "unknown option"},
		{"subscribe", "a name is missing"},
		{"match [", "match"},
		{"match abc", "named group"},
		{"queue 0", "from 1 on"},
		{"queue 1 x", "512KiB"},
		{"probe x", "3s"},
		{"probe -1s", "3s"},
		{"on_demand now", "stands alone"},
		{"sentinel", "name of the master"},
		{"sentinel_user x", "a name and a password"},
		{"stream a b", "one word"},
		{"map colour x", "unknown field"},
	} {
		words := strings.Split(c.line, " ")
		if err := new(Config).Option(words[0], words[1:]); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", c.line, err, c.want)
		}
	}
	cfg := rooms("h:1")
	if err := cfg.Option("match", []string{"(?<x>.)"}); err == nil || !strings.Contains(err.Error(), "twice") {
		t.Errorf("match twice: %v", err)
	}
}

// What a Caddyfile says comes through JSON as it was.
func TestConfigThroughJSON(t *testing.T) {
	want := config("h:1", "stream chat", "field f", "start 0", "group g node1", "sentinel mymaster user pass", "queue 5 1MiB", "probe_channel p", "name n", "probe 1s")
	text, err := json.Marshal(want)
	if err != nil {
		t.Fatal(err)
	}
	var got Config
	if err := json.Unmarshal(text, &got); err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%s: %v, got %+v", text, err, got)
	}
}

// One master that sentinels watch, as configurations of today and of old say it.
func TestSentinelSpellings(t *testing.T) {
	want := redisconn.Address{
		Addrs: []string{"a:26379", "b:26379"}, Master: "m", Username: "u", Password: "p", SentinelUsername: "su", SentinelPassword: "sp",
	}
	for url, line := range map[string]string{
		"redis+sentinel://u:p@a,b/m?sentinel_username=su&sentinel_password=sp": "subscribe x",
		"redis+sentinel://u:p@a,b/m":                    "sentinel_user su sp",
		"redis://u:p@a:26379?addr=b:26379":              "sentinel m su sp",
		"redis://u:p@a:26379?addr=b:26379&master_set=m": "sentinel_user su sp",
		"redis+sentinel://u:p@a:26379,b:26379/another":  "sentinel m su sp",
	} {
		words := strings.Split(line, " ")
		cfg := Config{URL: url}
		if err := cfg.Option(words[0], words[1:]); err != nil {
			t.Fatal(err)
		}
		if got, err := parseAddress(&cfg); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s with %s: %+v, %v", url, line, got, err)
		}
	}
}

const password = "s3cr3t/with:odd@chars"

// The password appears in no error and no log, whatever is wrong.
func TestPasswordStaysSecret(t *testing.T) {
	for _, url := range []string{
		"redis://:" + password + "@h", "redis://" + password, "redis://u:" + password + "@h:port", "rediss://u:s3cr3t@h/s3cr3t", "s3cr3t://:s3cr3t@h",
	} {
		cfg := rooms("")
		cfg.URL = url
		if _, err := New(cfg, Options{Publisher: newMemory()}); err != nil && strings.Contains(err.Error(), "s3cr3t") {
			t.Errorf("%v", err)
		}
	}
	server := redistest.Start(t, "--requirepass", password)
	for _, c := range []struct {
		user string
		good bool
	}{{":s3cr3t%2Fwith%3Aodd%40chars", true}, {":s3cr3t", false}, {"nobody:s3cr3t", false}} {
		cfg := rooms("")
		cfg.URL = "redis://" + c.user + "@" + server.Addr
		s := run(t, cfg, Options{Publisher: newMemory()})
		if c.good {
			s.connected()
		} else {
			redistest.Until(t, "it is refused", func() bool { return s.Stats().Reconnects > 0 && strings.Contains(s.log.String(), "WRONGPASS") })
		}
		s.end()
		if strings.Contains(s.log.String(), "s3cr3t") {
			t.Errorf("the log has the password:\n%s", s.log)
		}
	}
}

// The rights in the documentation suffice, and none of them is too much.
func TestRights(t *testing.T) {
	server := redistest.Start(t)
	for _, c := range []struct {
		name   string
		lines  []string
		rights []string
	}{
		{"channels", []string{"psubscribe chat:*", "subscribe lobby"}, []string{"resetchannels", "&sidestream:probe", "&chat:*", "&lobby", "+subscribe", "+psubscribe", "+publish"}},
		{"demand", []string{"subscribe chat:{channel}", "on_demand"}, []string{"resetchannels", "&sidestream:probe", "&chat:*", "+subscribe", "+publish"}},
		{"stream", []string{"stream chat:1", "start 0"}, []string{"%R~chat:1", "+xread", "+xrange", "+xinfo|stream"}},
		{"group", []string{"stream chat:1", "start 0", "group g"}, []string{"~chat:1", "~chat:1:dead", "+xrange", "+xinfo|stream", "+xinfo|groups", "+xreadgroup", "+xack", "+xautoclaim", "+xpending", "+xadd", "+xgroup|create"}},
	} {
		try := func(rights []string) (bool, string) {
			server.CLI(append([]string{"ACL", "SETUSER", "sidestream", "reset", "on", ">secret"}, rights...)...)
			m := newMemory()
			cfg := config(server.Addr, c.lines...)
			cfg.URL = "redis://sidestream:secret@" + server.Addr
			a := newApp(t, server.Addr)
			a.do("DEL", "chat:1")
			s := run(t, cfg, Options{Publisher: m})
			defer s.end()
			reads, last := 0, uint64(0)
			s.Interest("1", true)
			refused := func() bool { return strings.Contains(s.log.String(), "NOPERM") }
			redistest.Until(t, "it works, or is refused", func() bool {
				a.publish("chat:1", "1")
				a.do("XADD", "chat:1", "*", "payload", "1")
				if n := s.Stats().Published; n > last {
					reads, last = reads+1, n
				}
				return refused() || reads > 3
			})
			return !refused(), s.log.String()
		}
		if ok, log := try(c.rights); !ok {
			t.Errorf("%s: not enough rights:\n%s", c.name, log)
		}
		for i, right := range c.rights {
			if right == "+xpending" || right == "+xadd" || right == "~chat:1:dead" || right == "resetchannels" || right == "+xack" {
				continue // needed only for the dead, or later than this test looks
			}
			rest := append(append([]string{}, c.rights[:i]...), c.rights[i+1:]...)
			if ok, _ := try(rest); ok {
				t.Errorf("%s: works without %s", c.name, right)
			}
		}
	}
}
