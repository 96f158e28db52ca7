package tap

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/seed-078801ba/sidestream/webhook/decode"
)

// rule makes a tap that maps the id and the text of an answer.
func mapping(method, path string, status int) Config {
	return Config{Rule: on(method, path, status, mapped(is("channel", "{res.room}"), is("id", "{res.id}"), is("body", "{res.text}")))}
}

// What proves nothing cannot be configured, and the error says what would be right.
func TestRulesThatProveNothingAreRefused(t *testing.T) {
	good := mapping("POST", "/rooms/{room}/messages", 201)
	if err := Check(good); err != nil {
		t.Fatal(err)
	}
	for _, x := range []struct {
		name   string
		change func(*Config)
		want   string
	}{
		{"GET", func(c *Config) { c.Method = "GET" }, "no method that creates"},
		{"HEAD", func(c *Config) { c.Method = "HEAD" }, "no method that creates"},
		{"small letters", func(c *Config) { c.Method = "post" }, "write the method as POST"},
		{"202", func(c *Config) { c.Statuses = []int{202} }, "has not done it yet"},
		{"206", func(c *Config) { c.Statuses = []int{206} }, "206"},
		{"304", func(c *Config) { c.Statuses = []int{304} }, "304"},
		{"302", func(c *Config) { c.Statuses = []int{302} }, "302"},
		{"404", func(c *Config) { c.Statuses = []int{404} }, "404"},
		{"204 among others", func(c *Config) { c.Statuses = []int{200, 204} }, "a rule of its own"},
		{"no status", func(c *Config) { c.Statuses = nil }, "status of a good answer is missing"},
		{"no path", func(c *Config) { c.Path = "" }, "path is missing"},
		{"a wildcard", func(c *Config) { c.Path = "/rooms/*" }, "no wildcards"},
		{"a colon", func(c *Config) { c.Path = "/rooms/:room" }, "in braces"},
		{"a query", func(c *Config) { c.Path = "/rooms?x=1" }, "path alone"},
		{"the same variable twice", func(c *Config) { c.Path = "/{a}/{a}" }, "twice"},
		{"two variables in a segment", func(c *Config) { c.Path = "/{a}-{b}" }, "one variable a segment"},
		{"an unknown variable", func(c *Config) { c.Map = append(c.Map, is("user", "{path.who}")) }, "{path.who}"},
		{"no mapping", func(c *Config) { c.Map = nil }, "write map"},
		{"no channel", func(c *Config) { c.Map = c.Map[1:] }, "which channel"},
		{"another format", func(c *Config) { c.Format = decode.Text }, "an answer is JSON"},
		{"data without fields", func(c *Config) { c.Map = append(c.Map, is("data", "{res}")) }, "fields"},
		{"a bad condition", func(c *Config) { c.When = "{res.x} is 1" }, "unknown comparison"},
		{"a webhook's source", func(c *Config) { c.Map = append(c.Map, is("user", "{json.user}")) }, "names are res"},
		{"deliver", func(c *Config) { c.Deliver = "all" }, "full or thin"},
		{"a prefix without a preset", func(c *Config) { c.Prefix = "/x" }, "whole path"},
		{"an unknown preset", func(c *Config) { *c = Config{Preset: "irc"} }, "unknown preset"},
		{"a preset with rules", func(c *Config) { c.Preset = "matrix" }, "has all rules"},
	} {
		c := good
		c.Map = append([]decode.MapRule{}, good.Map...)
		x.change(&c)
		if err := Check(c); err == nil || !strings.Contains(err.Error(), x.want) {
			t.Errorf("%s: %v, want %q", x.name, err, x.want)
		}
	}
	for _, r := range []Revocation{
		{Method: "POST", Path: "/logout"}, {Method: "GET", Path: "/logout", Statuses: []int{200}}, {Method: "POST", Path: "/logout", Statuses: []int{401}},
		{Method: "POST", Path: "/logout", Statuses: []int{200}, User: "{path.user}"},
	} {
		if err := CheckRevocation(r); err == nil {
			t.Errorf("%+v is taken", r)
		}
	}
}

// A path is what stands in the request line: whatever an app might read otherwise is
// another path, or none that is believed.
func TestPathsAreExact(t *testing.T) {
	for _, x := range []struct {
		pattern, path, want string // want: the variable, "-" no match, "!" not believed
	}{
		{"/rooms/{room}/messages", "/rooms/1/messages", "1"},
		{"/rooms/{room}/messages", "/rooms/1/messages/", "-"},
		{"/rooms/{room}/messages", "//rooms/1/messages", "-"},
		{"/rooms/{room}/messages", "/rooms//messages", "-"},
		{"/rooms/{room}/messages", "/rooms/1/messages/ephemeral", "-"},
		{"/rooms/{room}/messages", "/rooms/1/Messages", "-"},
		{"/rooms/{room}/messages", "/rooms/1/%6Dessages", "-"},
		{"/rooms/{room}/messages", "/rooms/1/../2/messages", "-"},
		{"/rooms/{room}/messages", "/rooms/1%2F..%2F2/messages", "!"},
		{"/rooms/{room}/messages", "/rooms/%2e%2e/messages", "!"},
		{"/rooms/{room}/messages", "/rooms/./messages", "!"},
		{"/rooms/{room}/messages", "/rooms/1;jsessionid=2/messages", "!"},
		{"/rooms/{room}/messages", "/rooms/1%3Fa/messages", "!"},
		{"/rooms/{room}/messages", "/rooms/1%23a/messages", "!"},
		{"/rooms/{room}/messages", "/rooms/1%5C2/messages", "!"},
		{"/rooms/{room}/messages", "/rooms/1%252F2/messages", "!"},
		{"/rooms/{room}/messages", "/rooms/1%00/messages", "!"},
		{"/rooms/{room}/messages", "/rooms/1%0d%0a/messages", "!"},
		{"/rooms/{room}/messages", "/rooms/%ff/messages", "!"},
		{"/rooms/{room}/messages", "/rooms/%21a%3Aexample.org/messages", "!a:example.org"},
		{"/rooms/{room}.json", "/rooms/1.json", "1"},
		{"/rooms/{room}.json", "/rooms/.json", "-"},
		{"/rooms/{room}.json", "/rooms/1.xml", "-"},
		{"/rooms/{room}.json", "/rooms/1.json.json", "1.json"},
		{"/r-{room}", "/r-1", "1"},
		{"/r-{room}", "/x-1", "-"},
	} {
		p, err := parsePattern(x.pattern)
		if err != nil {
			t.Fatal(err)
		}
		got := "-"
		if p.match(x.path) {
			got = "!"
			if vars, ok := p.values(x.path); ok {
				got = vars["room"]
			}
		}
		if got != x.want {
			t.Errorf("%s for %s: %q, want %q", x.pattern, x.path, got, x.want)
		}
	}
}

func request(method, path string, headers ...string) *http.Request {
	r := httptest.NewRequest(method, path, nil)
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		r.Header.Set(name, value)
	}
	return r
}

// Of several paths that fit, the one with the fewest variables is meant, in whatever
// order they are configured.
func TestTheNarrowestPathCounts(t *testing.T) {
	wide, narrow := mapping("POST", "/api/{kind}", 200), mapping("POST", "/api/posts", 201)
	for _, order := range [][]Config{{wide, narrow}, {narrow, wide}} {
		rs, err := Compile(order, nil)
		if err != nil {
			t.Fatal(err)
		}
		if got := rs.Find(request("POST", "/api/posts")).Name(); got != "POST /api/posts" {
			t.Errorf("%s is meant", got)
		}
		if got := rs.Find(request("POST", "/api/other")).Name(); got != "POST /api/{kind}" {
			t.Errorf("%s is meant", got)
		}
	}
}

func TestOnlyWhatWritesIsLookedAt(t *testing.T) {
	rs, err := Compile([]Config{mapping("POST", "/a", 200)}, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range []*http.Request{
		request("GET", "/a"), request("HEAD", "/a"), request("OPTIONS", "/a"), request("PUT", "/a"), request("POST", "/b"),
		request("POST", "/a", "Upgrade: websocket"),
	} {
		if rt := rs.Find(r); rt != nil {
			t.Errorf("%s %s is looked at", r.Method, r.URL)
		}
	}
	if rs.Find(request("POST", "/a?x=1")) == nil {
		t.Error("a query hides the request")
	}
}

// What the client takes is narrowed to what can be read, and to nothing else.
func TestAcceptEncodingIsNarrowed(t *testing.T) {
	for offered, want := range map[string]string{
		"gzip, deflate, br, zstd":       "gzip, br, zstd",
		"gzip;q=0.5, deflate;q=1.0":     "gzip;q=0.5",
		"deflate":                       "identity",
		"*":                             "identity",
		"gzip, *;q=0":                   "gzip, *;q=0",
		"compress, identity;q=0.1":      "identity;q=0.1",
		"GZIP":                          "GZIP",
		"":                              "",
		"br;q=1.0, gzip;q=0.8, *;q=0.1": "br;q=1.0, gzip;q=0.8",
	} {
		if got := narrow(offered); got != want {
			t.Errorf("%q becomes %q, want %q", offered, got, want)
		}
	}
	rs, err := Compile([]Config{mapping("POST", "/a", 200)}, nil)
	if err != nil {
		t.Fatal(err)
	}
	r := request("POST", "/a", "Accept-Encoding: gzip, deflate")
	mine := r.Header
	rs.Find(r).Prepare(r)
	if got := r.Header.Get("Accept-Encoding"); got != "gzip" {
		t.Errorf("the app is offered %q", got)
	}
	if got := mine.Get("Accept-Encoding"); got != "gzip, deflate" {
		t.Errorf("the header of the request, which others read, is %q now", got)
	}
}
