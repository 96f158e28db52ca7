package caddymodule

import (
	"encoding/json"
	"net/http"
	"os"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

// entries are the entries of the access log with a text in their address.
func (s *site) entries(uri string) (found []map[string]any) {
	for line := range strings.SplitSeq(s.logs(), "\n") {
		var entry map[string]any
		if json.Unmarshal([]byte(line), &entry) != nil || entry["msg"] != "handled request" {
			continue
		}
		if request, _ := entry["request"].(map[string]any); strings.Contains(request["uri"].(string), uri) {
			found = append(found, entry)
		}
	}
	return found
}

func TestSecretsStayOutOfTheLogs(t *testing.T) {
	s := newSite(t)
	const pathSecret = "a-secret-in-the-path-0123456789abcdef"
	t.Setenv("SIDESTREAM_PATH_SECRET", pathSecret)
	s.load(strings.Replace(basics, "auth GET /room/{channel}.json", `auth GET /room/{channel}.json?k={token} {
			header Authorization "Bearer {token}"
			header X-Auth-Token {token}
			cookies session
		}
		webhook /hooks/campfire {
			preset campfire
			secret {env.SIDESTREAM_PATH_SECRET}
		}`, 1))
	s.app.allow("s3cr3t-token", "1")
	s.open("/room/1/live.json?access_token=s3cr3t-token&x=1", "Referer: https://page.test/?access_token=s3cr3t-token")
	s.get("/room/2/live.json?access_token=s3cr3t-token&x=2")
	s.get("/room/../live.json?access_token=s3cr3t-token&x=3")
	s.get("/flows?filter=1&acces%73_token=s3cr3t-token")
	s.get("/room/1/live.json?x=4", "Authorization: Bearer s3cr3t-token")
	s.get("/room/1/live.json?x=5", "Cookie: session=s3cr3t-token")
	for path, want := range map[string]int{"/" + pathSecret: 204, "/wrong-" + pathSecret: 404, "": 404} {
		resp := s.request("POST", "/hooks/campfire"+path, `{"user":{"id":1,"name":"A"},"room":{"id":1,"name":"R","path":"/rooms/1/1-abc/messages"},"message":{"id":5,"body":{"html":"x","plain":"x"},"path":"/rooms/1/@5"}}`,
			"Content-Type: application/json")
		if resp.StatusCode != want {
			t.Errorf("webhook %s: %d, want %d", path, resp.StatusCode, want)
		}
	}
	eventually(t, "all requests are in the log", func() bool { return len(s.entries("/room/"))+len(s.entries("/flows"))+len(s.entries("/hooks/")) == 9 })
	logs := s.logs()
	for _, secret := range []string{"s3cr3t", pathSecret} {
		for line := range strings.SplitSeq(logs, "\n") {
			if strings.Contains(line, secret) {
				t.Errorf("a secret is in the log: %s", line)
			}
		}
	}
	opened := s.entries("access_token=REDACTED&x=1")
	if len(opened) != 1 {
		t.Fatalf("%d entries for the stream", len(opened))
	}
	plain := s.entries("x=4")[0]
	for key := range plain {
		if _, ok := opened[0][key]; !ok {
			t.Errorf("the masked entry has no %s", key)
		}
	}
	if opened[0]["status"] != 200.0 || opened[0]["logger"] != plain["logger"] || opened[0]["level"] != plain["level"] {
		t.Errorf("the masked entry is %v, another one %v", opened[0], plain)
	}
	if got := s.entries("x=2"); len(got) != 1 || got[0]["status"] != 403.0 || got[0]["size"] == 0.0 {
		t.Errorf("a refused stream: %v", got)
	}
	if got := s.entries("/hooks/campfire/REDACTED"); len(got) != 3 {
		t.Errorf("%d webhooks in the log", len(got))
	}
}

func TestLoggerNames(t *testing.T) {
	l := &accessLog{server: &caddyhttp.ServerLogConfig{
		DefaultLoggerName: "rest",
		LoggerNames:       map[string]caddyhttp.StringArray{"a.test": {"a", "b"}, "*.b.test": {"wild"}},
		SkipHosts:         []string{"quiet.test"},
	}}
	for host, want := range map[string]string{
		"a.test": "a b", "A.test:8080": "a b", "x.b.test": "wild", "b.test": "rest", "quiet.test": "", "other.test": "rest", "[::1]:80": "rest",
	} {
		if got := strings.Join(l.namesFor(host), " "); got != want {
			t.Errorf("%s: %q, want %q", host, got, want)
		}
	}
	l.server.SkipUnmappedHosts = true
	if got := l.namesFor("other.test"); got != nil {
		t.Errorf("an unmapped host is logged as %q", got)
	}
}

// The places that the configuration names as those of secrets are masked, and so
// is a secret in an address that is written in another way.
func TestSecretsStayOutOfTheLogsWhereverTheyAre(t *testing.T) {
	s := newSite(t)
	const pathSecret = "a-secret-in-the-path-0123456789abcdef"
	const hookSecret, partSecret = "s3cr3t-of-a-hook-0123456789", "s3cr3t-of-a-hook-in-its-path"
	s.load(strings.Replace(basics, "auth GET /room/{channel}.json", `auth GET /room/{channel}.json {
			credential header X-Api-Key
			credential query k
		}
		webhook /hooks/{team}/in {
			preset campfire
			secret `+pathSecret+`
		}
		webhook /hooks/bearer {
			verify bearer query hook_key
			secret `+hookSecret+`
			map channel {json.room}
			map id {json.id}
		}
		webhook /hooks/header {
			verify token field {header.X-Tok}
			secret `+hookSecret+`
			map channel {json.room}
			map id {json.id}
		}
		webhook /hooks/query {
			verify token field {query.tok}
			secret `+hookSecret+`
			map channel {json.room}
			map id {json.id}
		}
		webhook /hooks/part/{key} {
			verify token field {path.key}
			secret `+partSecret+`
			map channel {json.room}
			map id {json.id}
		}`, 1))
	s.app.answer = func(w http.ResponseWriter, r *http.Request) bool {
		return r.Header.Get("X-Api-Key")+r.URL.Query().Get("k") == "s3cr3t-key" || r.URL.Path == "/hooks/a/in/page/of-the-app" || r.URL.Path == "/api/messages" || strings.Contains(r.URL.RawQuery, "passing")
	}
	requests := 0
	want := func(status int, method, target string, header ...string) {
		t.Helper()
		requests++
		resp := s.request(method, target, `{"room":"1","id":1}`, append(header, "Content-Type: application/json")...)
		if resp.StatusCode != status {
			t.Errorf("%s %s: %d, want %d", method, target, resp.StatusCode, status)
		}
	}
	want(202, "POST", "/hooks/bearer?hook_key="+hookSecret)
	want(202, "POST", "/hooks/bearer?HOOK_KEY=x&hook%5Fkey="+hookSecret)
	want(202, "POST", "/hooks/header", "X-Tok: "+hookSecret)
	want(202, "POST", "/hooks/query?tok="+hookSecret)
	want(202, "POST", "/hooks/part/"+partSecret)
	want(401, "POST", "/hooks/header", "X-Tok: wrong-"+hookSecret)
	// With a secret in another way to write the path.
	for _, path := range []string{
		"//hooks/a/in/" + pathSecret, "/hooks//a/in/" + pathSecret, "/hooks/a/in//" + pathSecret, "/HOOKS/a/in/" + pathSecret, "/Hooks/a/In/" + pathSecret,
		"/hooks%2Fa%2Fin%2F" + pathSecret, "/hooks/a/in%2F" + pathSecret, "/hooks%252Fa/in/" + pathSecret, "/hooks/a/in/" + pathSecret + "/", "/hooks/a/in/" + pathSecret + "/x",
		"/hooks/./a/in/" + pathSecret, "/x/../hooks/a/in/" + pathSecret, "/hooks;v=1/a/in/" + pathSecret, "/hooks/a/in/%61" + pathSecret[1:] + "/", `/hooks\a\in\` + pathSecret,
		"/below/hooks/a/in/" + pathSecret, "/other?key=" + pathSecret, "/other?key=%61" + pathSecret[1:],
	} {
		want(404, "POST", path)
	}
	// So is one that is wrong or was good once, and one of another kind.
	for _, path := range []string{
		"//hooks/a/in/old-" + strings.ToUpper(pathSecret), "/HOOKS/a/in/old-" + strings.ToUpper(pathSecret),
		"//hooks/bearer?hook_key=" + hookSecret, "/hooks/query/?tok=" + hookSecret, "/hooks/part/" + partSecret + "/",
	} {
		want(404, "POST", path)
	}
	// The app may have the same token in addresses of its own: it is masked.
	want(200, "POST", "/api/messages?token-of-the-app="+hookSecret)
	// The app may have pages below the address; the log does not show them.
	want(200, "POST", "/hooks/a/in/page/of-the-app")
	// The app takes the clients' tokens in the same places, also where an address is not
	// quite that of a stream.
	for _, target := range []string{
		"/api/messages?passing&k=s3cr3t-key", "/Room/1/live.json?passing&k=s3cr3t-key", "/room/1/live.json/?passing&access_token=s3cr3t-key",
		"/flows/x?passing&%6B=s3cr3t-key", "/flows?users=1&passing&k[]=s3cr3t-key",
	} {
		want(200, "POST", target)
	}
	want(200, "POST", "/api/messages?passing", "X-Api-Key: s3cr3t-key")
	// The page that a browser was on may have been such an address.
	for _, referer := range []string{
		"https://chat.test/hooks/a/in/" + pathSecret, "https://chat.test/HOOKS/a/in//old-" + strings.ToUpper(pathSecret) + "?x=1", "/hooks/a/in/" + pathSecret,
		"https://chat.test/hooks/query?tok=" + hookSecret, "https://page.test/x%3Fk=s3cr3t-key", "https://page.test/?x=1;k=s3cr3t-key", "https://page.test/" + hookSecret,
	} {
		want(200, "POST", "/api/messages?passing", "Referer: "+referer)
		s.get("/flows?filter=1", "Referer: "+referer)
		requests++
	}
	// A query that cannot be read, and a question mark that was escaped.
	for _, target := range []string{"/flows?filter=1;k=s3cr3t-key", "/flows?filter=1&k%3Ds3cr3t-key", "/flows?%zz&k=s3cr3t-key", "/flows%3Fpassing&k=s3cr3t-key"} {
		s.get(target)
		requests++
	}
	s.open("/room/1/live.json?n=1", "X-Api-Key: s3cr3t-key")
	s.open("/room/1/live.json?n=2&k=s3cr3t-key", "Referer: https://page.test/?k=s3cr3t-key")
	requests += 2
	entries := func() int {
		n := 0
		for line := range strings.SplitSeq(s.logs(), "\n") {
			if strings.Contains(line, `"handled request"`) {
				n++
			}
		}
		return n
	}
	eventually(t, "all requests are in the log", func() bool { return entries() == requests })
	for line := range strings.SplitSeq(s.logs(), "\n") {
		for _, secret := range []string{strings.ToUpper(pathSecret[5:]), pathSecret[5:], hookSecret, partSecret, "s3cr3t-key", "of-the-app"} {
			ofCaddy := strings.Contains(line, "adjusted config") || strings.Contains(line, "upstream roundtrip") && (strings.Contains(line, "of-the-app") || strings.Contains(line, "passing"))
			if strings.Contains(line, secret) && !ofCaddy {
				t.Errorf("a secret is in the log: %s", line)
			}
		}
	}
	if got := s.entries("/api/messages?passing&k=REDACTED"); len(got) != 1 || got[0]["status"] != 200.0 || got[0]["bytes_read"] != float64(len(`{"room":"1","id":1}`)) {
		t.Errorf("a request of the app with a key: %v", got)
	}
	if got := s.entries("/room/1/live.json?n=2&k=REDACTED"); len(got) != 1 || got[0]["status"] != 200.0 {
		t.Errorf("the stream with a key in the query: %v", got)
	}
}

// Where handle_path takes a part of the path away, an escaped slash may be left at the
// front: a webhook's secret behind it is as much a secret.
func TestSecretsBehindHandlePath(t *testing.T) {
	s := newSite(t)
	const pathSecret = "a-secret-in-the-path-0123456789abcdef"
	if err := s.run(s.of(`log {
		output file DIR/access.log
	}
	handle_path /chat/* {
		route {
		sidestream {
			auth none
			history {
				store memory
			}
			webhook /hooks/campfire {
				preset campfire
				secret ` + pathSecret + `
			}
		}
		respond {http.request.uri} 200
		}
	}`)); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]int{
		"/chat/hooks/campfire/" + pathSecret:       204, // Caddy has put these in order
		"/chat%2Fhooks/campfire/" + pathSecret:     204,
		"/chat%2Fhooks%2Fcampfire/" + pathSecret:   204,
		"/chat//hooks/campfire/" + pathSecret:      204,
		"/chat/%2Fhooks/campfire/" + pathSecret:    404,
		"/chat/hooks/campfire%2F" + pathSecret:     404,
		"/chat%2fHooks/campfire/old-" + pathSecret: 404,
		"/chat%2F%2Fhooks/campfire/" + pathSecret:  404,
		"/chat%5Chooks/campfire/" + pathSecret:     200,
		"/chat/room/a%2Fb":                         200,
		"/chat%2Froom/1":                           200,
	} {
		resp := s.request("POST", path, "{}", "Content-Type: application/json")
		if resp.StatusCode != want {
			t.Errorf("%s: %d, want %d", path, resp.StatusCode, want)
		}
	}
	if logs := s.logs(); strings.Contains(logs, pathSecret) {
		for line := range strings.SplitSeq(logs, "\n") {
			if strings.Contains(line, pathSecret) && !strings.Contains(line, "adjusted config") {
				t.Errorf("the log says: %s", line)
			}
		}
	}
}

// Caddy's own logs of errors, of rewrites and of reverse_proxy have a client's token as
// it came, in requests that go on to the app. The filter that the documentation
// recommends hides it there.
func TestFilterOfCaddysOwnLogs(t *testing.T) {
	readme, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, filter, found := strings.Cut(string(readme), "\t\tformat filter {\n")
	filter, _, end := strings.Cut(filter, "\n\t\t}\n")
	if !found || !end {
		t.Fatal("the documentation has no filter")
	}
	for _, filtered := range []bool{false, true} {
		s := newSite(t)
		caddyfile := s.of("route {\nSTREAM\nrewrite /old* /new?{query}\nreverse_proxy unix/DIR/nobody.sock\n}")
		caddyfile = strings.Replace(caddyfile, "{\n", "{\n\tdebug\n", 1)
		if filtered {
			caddyfile = strings.Replace(caddyfile, "log {\n", "log {\n\t\tformat filter {\n"+filter+"\n\t\t}\n", 1)
		}
		if err := s.run(strings.ReplaceAll(caddyfile, "DIR", s.dir)); err != nil {
			t.Fatal(err)
		}
		if resp := s.get("/old/messages?access_token=s3cr3t-token&x=1", "Referer: https://page.test/?access_token=s3cr3t-token"); resp.StatusCode != 502 {
			t.Fatal(resp.StatusCode)
		}
		logs := s.logs()
		for _, line := range []string{"http.log.error", "rewrote request", "upstream roundtrip"} {
			if !strings.Contains(logs, line) {
				t.Errorf("the log has no %s", line)
			}
		}
		if strings.Contains(logs, "s3cr3t-token") == filtered {
			t.Errorf("filtered %t: the log is\n%s", filtered, logs)
		}
	}
}

// The app is asked about the very channel that is served, also where handle_path has
// taken a part of an escaped path away.
func TestChannelsBehindHandlePath(t *testing.T) {
	s := newSite(t)
	if err := s.run(s.of(`handle_path /chat/* {
		route {
			sidestream unix/DIR/app.sock {
				auth GET /room/{channel}.json
				campfire
				history {
					store memory
				}
			}
			respond 418
		}
	}`)); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{
		"/chat/room/a%2Fb/live.json":         "/room/a%2Fb.json",
		"/chat/room/a%2F%2Fc/live.json":      "/room/a%2F%2Fc.json",
		"/chat/room/caf%C3%A9%2F1/live.json": "/room/caf%C3%A9%2F1.json",
		"/chat/./room/d%2Fe/live.json":       "/room/d%2Fe.json",
		"/chat/room/f%252Fg/live.json":       "",
		"/chat/room/x%2F..%2Fy/live.json":    "/room/y.json", // Caddy has resolved it
		"/chat/room/a/b/live.json":           "",
		"/chat%2Froom/h/live.json":           "/room/h.json",
	} {
		s.app.forget()
		s.request("HEAD", path, "", asBasic)
		asked := ""
		for _, q := range s.app.questions() {
			asked = q.uri
		}
		if asked != want {
			t.Errorf("%s: the app was asked %q, want %q", path, asked, want)
		}
	}
}

func TestWithoutUser(t *testing.T) {
	for target, want := range map[string]string{
		"/room/1/live.json":               "/room/1/live.json",
		"/a://b@c/d":                      "/a://b@c/d",
		"http://chat.test/room":           "http://chat.test/room",
		"http://u:p@chat.test/a@b":        "http://REDACTED@chat.test/a@b",
		"http://u@p@chat.test":            "http://REDACTED@chat.test",
		"https://token@chat.test:1/a/b/c": "https://REDACTED@chat.test:1/a/b/c",
		"*":                               "*",
	} {
		if got := withoutUser(target); got != want {
			t.Errorf("%s: %s, want %s", target, got, want)
		}
	}
}
