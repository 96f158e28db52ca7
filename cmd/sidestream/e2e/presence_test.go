package e2e

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/seed-078801ba/sidestream/stream/redisconn/redistest"
)

// presenceApp is an app that lets everybody in under the name of the token, and that
// is told who is there.
type presenceApp struct {
	*testBackend
	t    *testing.T
	site *httptest.Server

	mu    sync.Mutex
	told  []notice
	there map[string]map[string]string // channel, user, state
	ids   map[string]bool
	down  bool
	wrong []string
}

// notice is a delivery of presence.
type notice struct {
	Type string `json:"type"`
	Data struct {
		Kind     string   `json:"kind"`
		Channel  string   `json:"channel"`
		User     string   `json:"user"`
		State    string   `json:"state"`
		Count    int      `json:"count"`
		Users    []person `json:"users"`
		Channels []string `json:"channels"`
	} `json:"data"`
}

type person struct {
	User    string `json:"user"`
	State   string `json:"state"`
	Streams int    `json:"streams"`
	Since   string `json:"since"`
	Channel string `json:"channel"`
}

func (n notice) String() string {
	return strings.TrimSpace(fmt.Sprintf("%s %s %s %s", n.Data.Kind, n.Data.Channel, n.Data.User, n.Data.State))
}

func newPresenceApp(t *testing.T) *presenceApp {
	a := &presenceApp{testBackend: newBackend(t), t: t, there: map[string]map[string]string{}, ids: map[string]bool{}}
	a.decideBy(func(q question) (verdict, bool) {
		if q.token == "" || q.channel == "secret" && q.token != "boss" {
			return verdict{status: http.StatusForbidden}, true
		}
		return verdict{status: http.StatusOK, body: fmt.Sprintf(`{"user_id":%q}`, q.token)}, true
	})
	a.site = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/hooks/presence" {
			a.hear(w, r)
			return
		}
		a.testBackend.ServeHTTP(w, r)
	}))
	t.Cleanup(func() {
		a.site.Close()
		if t.Failed() {
			t.Logf("the app was told %v", a.told[max(0, len(a.told)-100):])
		}
	})
	return a
}

// directives is a site in front of the app; more goes into the block.
func (a *presenceApp) directives(more string) string {
	return strings.ReplaceAll(a.testBackend.directives(more), a.address(), strings.TrimPrefix(a.site.URL, "http://"))
}

// tell has the app told.
func tellApp() string { return "tell POST /hooks/presence {\nsecret " + hookSecret + "\n}" }

// hear takes a delivery, if it is signed as Standard Webhooks says, and holds it to
// the promise: joins and leaves are told once, in turn.
func (a *presenceApp) hear(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	a.mu.Lock()
	defer a.mu.Unlock()
	fail := func(format string, args ...any) { a.wrong = append(a.wrong, fmt.Sprintf(format, args...)) }
	if a.down {
		w.WriteHeader(http.StatusBadGateway)
		return
	}
	id := r.Header.Get("Webhook-Id")
	signed := httptest.NewRequest(http.MethodPost, "/", nil)
	sign(signed, id, body) // with the clock of now: the second may have passed
	if r.Method != http.MethodPost || r.Header.Get("Webhook-Timestamp") == signed.Header.Get("Webhook-Timestamp") &&
		r.Header.Get("Webhook-Signature") != signed.Header.Get("Webhook-Signature") {
		fail("%s with the signature %s", r.Method, r.Header.Get("Webhook-Signature"))
	}
	if a.ids[id] {
		fail("%s is sent again", id)
	}
	a.ids[id] = true
	var n notice
	if err := json.Unmarshal(body, &n); err != nil || n.Type != "presence."+n.Data.Kind || r.Header.Get("Content-Type") != "application/json" {
		fail("%q: %v", body, err)
	}
	a.told = append(a.told, n)
	users := a.there[n.Data.Channel]
	if users == nil {
		users = map[string]string{}
	}
	_, known := users[n.Data.User]
	switch n.Data.Kind {
	case "reset":
		maps.DeleteFunc(a.there, func(name string, _ map[string]string) bool { return !slices.Contains(n.Data.Channels, name) })
		return
	case "snapshot":
		clear(users)
		for _, u := range n.Data.Users {
			users[u.User] = u.State
		}
	case "joined", "state":
		if known != (n.Data.Kind == "state") {
			fail("%s, and known: %v", n, known)
		}
		users[n.Data.User] = n.Data.State
	case "left":
		if !known {
			fail("%s, and not known", n)
		}
		delete(users, n.Data.User)
	}
	if n.Data.Kind != "count" && n.Data.Count != len(users) {
		fail("%s: %d are counted, %d are known", n, n.Data.Count, len(users))
	}
	a.there[n.Data.Channel] = users
}

// knows is what the app makes of what it was told about a channel.
func (a *presenceApp) knows(channel string) map[string]string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return maps.Clone(a.there[channel])
}

// was tells whether the app was told something.
func (a *presenceApp) was(told string) bool { return a.count(told) > 0 }

func (a *presenceApp) count(told string) (n int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, notice := range a.told {
		if notice.String() == told {
			n++
		}
	}
	return n
}

// check fails the test for whatever the app was told wrongly.
func (a *presenceApp) check() {
	a.t.Helper()
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, wrong := range a.wrong {
		a.t.Error(wrong)
	}
}

// roll asks who is in a channel.
func (s *server) roll(query, authorization string) (status int, answer struct {
	Kind     string
	Count    int
	Users    []person
	State    string
	Channels []person
}) {
	s.t.Helper()
	req, err := http.NewRequest(http.MethodGet, s.url+"/presence?"+query, nil)
	if err != nil {
		s.t.Fatal(err)
	}
	name, value, _ := strings.Cut(authorization, ": ")
	req.Header.Set(name, value)
	status, body := do(s.t, req)
	if err := json.Unmarshal([]byte(body), &answer); err != nil {
		s.t.Fatalf("%d %q: %v", status, body, err)
	}
	return status, answer
}

// there is who is in a channel, with states, for somebody who may know.
func (s *server) there(channel string) map[string]string {
	s.t.Helper()
	status, answer := s.roll("channel="+channel, basic("boss"))
	if status != http.StatusOK {
		s.t.Fatalf("asking who is in %s: %d", channel, status)
	}
	there := map[string]string{}
	for _, u := range answer.Users {
		there[u.User] = u.State
	}
	return there
}

// untilThere waits until so many users, in these states, are in a channel.
func (s *server) untilThere(channel string, want map[string]string) {
	s.t.Helper()
	eventually(s.t, fmt.Sprintf("in %s: %v", channel, want), func() bool { return maps.Equal(s.there(channel), want) })
}

// hear reads a stream until a chunk has all of the texts.
func (st *rawStream) hear(texts ...string) string {
	st.t.Helper()
	for {
		c := st.next()
		if !slices.ContainsFunc(texts, func(text string) bool { return !strings.Contains(c, text) }) {
			return c
		}
	}
}

func TestPresenceIsTold(t *testing.T) {
	t.Parallel()
	a := newPresenceApp(t)
	s := start(t, a.directives(`history {
			store memory
		}
		presence {
			channels room acme/* secret
			invisible {user} in ghost
			grace 1s
			secret presence-secret-0123456789
			`+tellApp()+`
		}`))
	alice := s.open("/flows?filter=room,acme/main&active=idle&presence=1", basic("alice"))
	bob := s.open("/flows?filter=room,hidden&active=True&presence=1", basic("bob"), "Accept: text/event-stream")
	quiet := s.open("/flows?filter=room&active=true", basic("quiet"))
	carol := s.open("/room/room/live.json", basic("carol"))
	s.open("/flows?filter=room&active=true", basic("ghost"))
	s.open("/flows?filter=room", basic("nobody"))
	s.open("/room/elsewhere/live.json", basic("carol"))
	want := map[string]string{"alice": "idle", "bob": "active", "quiet": "active", "carol": "active"}
	s.untilThere("room", want)
	s.untilThere("acme%2Fmain", map[string]string{"alice": "idle"})

	// Clients are told, in their own words.
	alice.hear(`{"event":"presence","flow":"room","content":{"user_id":"carol","state":2000000,"updated_at":`, `},"user_id":"carol"}`+"\r\n")
	bob.hear("event: presence\ndata: {", `"user":"carol","state":"active"`)

	// A user with three tabs is there once; the most active one counts.
	tabs := []*rawStream{s.open("/flows?filter=room&active=true", basic("alice")), s.open("/flows?filter=room&active=idle", basic("alice"))}
	alice.hear(`"user_id":"alice","state":2000000`)
	bob.hear(`"kind":"state"`, `"user":"alice","state":"active"`, `"count":4`)
	status, answer := s.roll("channel=room", basic("bob"))
	if status != 200 || answer.Kind != "snapshot" || answer.Count != 4 {
		t.Errorf("%d %+v", status, answer)
	}
	for _, u := range answer.Users {
		if since, err := time.Parse(time.RFC3339, u.Since); err != nil || time.Since(since) > time.Hour || (u.User == "alice") != (u.Streams == 3) {
			t.Errorf("%+v", u)
		}
	}

	// Who may not listen may not know.
	for _, test := range []struct {
		query, authorization string
		status               int
	}{
		{"channel=secret", basic("bob"), 403},
		{"channel=room", "X: y", 401},
		{"channel=hidden", basic("bob"), 404},
		{"channel=room&channel=secret", basic("bob"), 400},
		{"channel=room&user=bob", basic("bob"), 400},
		{"", basic("bob"), 400},
		{"user=alice", basic("alice"), 401},
		{"user=alice", "Authorization: Bearer presence-secret-012345678", 401},
		{"user=alice", "Authorization: Bearer presence-secret-0123456789", 200},
		{"channel=room", "Authorization: Bearer presence-secret-0123456789", 200},
	} {
		status, answer := s.roll(test.query, test.authorization)
		if status != test.status {
			t.Errorf("%s: %d, want %d", test.query, status, test.status)
		}
		if status == 200 && test.query[0] == 'u' && (answer.State != "active" || len(answer.Channels) != 2) {
			t.Errorf("%+v", answer)
		}
	}
	if refused := s.open("/presence%3Fchannel=room", basic("bob")); refused.status == 200 && strings.Contains(refused.body(), "count") {
		t.Error("another address is taken for that of presence")
	}

	// "sidestream explain" says the same.
	for query, want := range map[string]string{
		"/flows?filter=room&active=idle&presence=1": "presence: room: the user bob is shown to be there, idle; the client is told who is",
		"/flows?filter=room":                        "presence: nobody is shown to be there, and the client is not told who is",
		"/room/elsewhere/live.json":                 "presence: nobody",
	} {
		explained := run(t, s.env(), s.folder, command(t), "explain", "--config", s.caddyfile(), "--token", "bob", s.url+query)
		<-explained.exited
		if text, _, _ := explained.out.state(); !strings.Contains(text, want) {
			t.Errorf("%s is explained as %s, want %q", query, text, want)
		}
	}

	// Messages go on as ever; who did not ask is told nothing.
	s.publish("room", 1, "hello")
	if got := quiet.next(); !strings.Contains(got, "hello") {
		t.Errorf("who did not ask was told %q", got)
	}
	carol.conn.Close()
	for _, tab := range tabs {
		tab.conn.Close()
	}
	alice.hear(`"user_id":"carol","state":0`)
	bob.hear(`"kind":"left"`, `"user":"carol","state":"offline"`)
	s.untilThere("room", map[string]string{"alice": "idle", "bob": "active", "quiet": "active"})
	eventually(t, "the app is told", func() bool { return a.was("left room carol offline") })
	eventually(t, "the app knows the truth", func() bool { return maps.Equal(a.knows("room"), s.there("room")) })
	for _, told := range []string{"joined room carol active", "joined room alice idle", "state room alice active", "joined acme/main alice idle"} {
		if a.count(told) != 1 {
			t.Errorf("the app was told %d times: %s", a.count(told), told)
		}
	}
	for _, channel := range []string{"hidden", "elsewhere"} {
		if known := a.knows(channel); len(known) > 0 {
			t.Errorf("the app was told of %s: %v", channel, known)
		}
	}

	// A snapshot on demand.
	before := a.count("snapshot room")
	for secret, want := range map[string]int{"presence-secret-0123456789": 202, "nonsense": 401} {
		req, _ := http.NewRequest(http.MethodPost, s.url+"/presence?channel=room", nil)
		req.Header.Set("Authorization", "Bearer "+secret)
		if status, _ := do(t, req); status != want {
			t.Errorf("asking for a snapshot: %d, want %d", status, want)
		}
	}
	eventually(t, "the snapshot is told", func() bool { return a.count("snapshot room") > before })
	a.check()
}

// A reload changes what is told, and forgets nobody; after a restart the app is told
// what is true then.
func TestPresenceOutlivesReloads(t *testing.T) {
	t.Parallel()
	a := newPresenceApp(t)
	site := func(more string) string {
		return a.directives("history {\n store memory\n}\n drain 100ms\n presence {\n grace 1s\n" + more + "\n}")
	}
	s := start(t, site(""))
	alice := s.open("/flows?filter=1&active=true&presence=1", basic("alice"))
	alice.hear(`"user_id":"alice"`)
	s.reload(site(tellApp()))
	eventually(t, "the app knows who was there", func() bool { return a.knows("1")["alice"] == "active" })
	bob := s.open("/flows?filter=1&active=true", basic("bob"))
	alice.hear(`"user_id":"bob","state":2000000`)
	for range 3 {
		s.reload(site(tellApp()))
	}
	s.open("/flows?filter=1&active=idle", basic("carol"))
	alice.hear(`"user_id":"carol","state":1000000`)
	eventually(t, "the app knows carol", func() bool { return len(a.knows("1")) == 3 })
	bob.conn.Close()
	alice.hear(`"user_id":"bob","state":0`)
	eventually(t, "the app knows that bob has left", func() bool { return len(a.knows("1")) == 2 })

	s.restart(syscall.SIGKILL)
	s.open("/flows?filter=1&active=true", basic("dave"))
	eventually(t, "the app knows the truth", func() bool { return maps.Equal(a.knows("1"), map[string]string{"dave": "active"}) })
	eventually(t, "a snapshot came after the restart", func() bool { return a.was("snapshot 1") })
	s.reload(a.directives("history {\n store memory\n}"))
	if status, _ := try2(s.url + "/presence?channel=1"); status != 200 { // the app's own page
		t.Errorf("%d", status)
	}
	a.check()
}

func try2(url string) (int, string) {
	resp, err := http.Get(url)
	if err != nil {
		return 0, err.Error()
	}
	defer resp.Body.Close()
	body, _ := io.ReadAll(resp.Body)
	return resp.StatusCode, string(body)
}

// While the app is away, nothing is lost; when it comes back, it is told in order.
func TestAppThatWasAwayIsTold(t *testing.T) {
	t.Parallel()
	a := newPresenceApp(t)
	s := start(t, a.directives("history {\n store memory\n}\n presence {\n grace 500ms\n"+tellApp()+"\n}"))
	s.open("/room/1/live.json", basic("alice"))
	eventually(t, "alice is told, and all again when everybody could be back", func() bool { return a.was("snapshot 1") })
	a.mu.Lock()
	a.down = true
	a.mu.Unlock()
	for i := range 5 {
		st := s.open("/room/1/live.json", basic(fmt.Sprint("bob", i)))
		s.untilThere("1", map[string]string{"alice": "active", fmt.Sprint("bob", i): "active"})
		st.conn.Close()
		s.untilThere("1", map[string]string{"alice": "active"})
	}
	s.open("/room/1/live.json", basic("carol"))
	a.mu.Lock()
	a.down = false
	a.mu.Unlock()
	eventually(t, "the app knows the truth", func() bool { return a.was("joined 1 carol active") && len(a.knows("1")) == 2 })
	for i := range 5 {
		joined, left := a.count(fmt.Sprintf("joined 1 bob%d active", i)), a.count(fmt.Sprintf("left 1 bob%d offline", i))
		if joined != 1 || left != 1 {
			t.Errorf("bob%d was told to join %d times, and to leave %d times", i, joined, left)
		}
	}
	a.check()
}

// The body of a delivery looks like what the app understands.
func TestPresenceInTheWordsOfTheApp(t *testing.T) {
	t.Parallel()
	a := newPresenceApp(t)
	bodies := make(chan string, 100)
	site := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/hooks/presence" {
			a.testBackend.ServeHTTP(w, r)
			return
		}
		body, _ := io.ReadAll(r.Body)
		bodies <- string(body)
	}))
	t.Cleanup(site.Close)
	s := start(t, strings.ReplaceAll(a.testBackend.directives("history {\n store memory\n}\n presence {\n grace 500ms\n tell POST /hooks/presence {\n secret "+hookSecret+
		"\n kinds joined left\n body `{\"room\":{\"id\":\"{channel}\"},\"who\":[\"{user|lower}\"],\"n\":{data.count},\"event\":\"{kind}\"}`\n}\n}"),
		a.address(), strings.TrimPrefix(site.URL, "http://")))
	st := s.open("/room/1/live.json", basic("Alice"))
	if body := <-bodies; body != `{"room":{"id":"1"},"who":["alice"],"n":1,"event":"joined"}` {
		t.Error(body)
	}
	st.conn.Close()
	if body := <-bodies; body != `{"room":{"id":"1"},"who":["alice"],"n":0,"event":"left"}` {
		t.Error(body)
	}
}

// A thousand users come and go at once: all are there, and none afterwards, and the
// app is told of each once. Half of them are cut off without a FIN.
func TestCrowdComesAndGoes(t *testing.T) {
	t.Parallel()
	crowd := 1000
	a := newPresenceApp(t)
	s := start(t, a.directives("history {\n store memory\n}\n limits {\n streams 5000\n}\n presence {\n grace 1s\n names 2000\n"+tellApp()+"\n}"))
	watcher := s.open("/flows?filter=1&presence=1", basic("boss"))
	conns := make([]net.Conn, crowd)
	var opening sync.WaitGroup
	for i := range conns {
		opening.Go(func() {
			conn, err := net.Dial("tcp", "127.0.0.1:"+s.port)
			if err != nil {
				t.Error(err)
				return
			}
			fmt.Fprintf(conn, "GET /room/1/live.json HTTP/1.1\r\nHost: x\r\n%s\r\n\r\n", basic(fmt.Sprint("user", i)))
			conns[i] = conn
		})
	}
	opening.Wait()
	if t.Failed() {
		return
	}
	eventually(t, "all are there", func() bool { return len(s.there("1")) == crowd })
	eventually(t, "the app knows all", func() bool { return len(a.knows("1")) == crowd })
	for i, conn := range conns {
		if i%2 == 0 {
			conn.(*net.TCPConn).SetLinger(0)
		}
		conn.Close()
	}
	eventually(t, "none is there", func() bool { return len(s.there("1")) == 0 })
	eventually(t, "the app knows that none is", func() bool { return len(a.knows("1")) == 0 })
	states := map[string][]string{}
	for done := 0; done < crowd; {
		for message := range strings.SplitSeq(watcher.next(), "\r\n") {
			var m struct {
				Content struct {
					User  string `json:"user_id"`
					State int
				}
			}
			if json.Unmarshal([]byte(message), &m) == nil && m.Content.User != "" {
				u := m.Content.User
				states[u] = append(states[u], fmt.Sprint(m.Content.State))
				if m.Content.State == 0 {
					done++
				}
			}
		}
	}
	for i := range crowd {
		user := fmt.Sprint("user", i)
		if got := strings.Join(states[user], " "); got != "2000000 0" {
			t.Errorf("%s was told to be %s", user, got)
		}
		if joined, left := a.count("joined 1 "+user+" active"), a.count("left 1 "+user+" offline"); joined > 1 || left > 1 {
			t.Errorf("%s was told %d times to join, %d times to leave", user, joined, left)
		}
	}
	a.check()
}

// Two nodes have one roster. One that is killed is believed no longer than its lease;
// while Redis is gone nobody tells the app a lie, and afterwards all is true again.
func TestPresenceOfNodes(t *testing.T) {
	t.Parallel()
	redis := redistest.Start(t)
	a := newPresenceApp(t)
	site := a.directives(`drain 100ms
		health /health
		history {
			store redis redis://` + redis.Addr + `
		}
		presence {
			grace 1s
			lease 3s
			` + tellApp() + `
		}`)
	nodes := startNodes(t, 2, site)
	one, two := nodes[0], nodes[1]
	alice := one.open("/flows?filter=1&active=true&presence=1", basic("alice"))
	bob := two.open("/flows?filter=1&active=idle&presence=1", basic("bob"), "Accept: text/event-stream")
	alice.hear(`"user_id":"bob","state":1000000`)
	bob.hear(`"user":"alice"`)
	two.open("/flows?filter=1&active=idle", basic("alice"))
	all := map[string]string{"alice": "active", "bob": "idle"}
	for _, node := range nodes {
		node.untilThere("1", all)
	}
	eventually(t, "the app knows all", func() bool { return maps.Equal(a.knows("1"), all) })

	// Redis is gone: the app hears nothing, and then only what has changed.
	redis.Kill()
	eventually(t, "one believes only itself", func() bool { return maps.Equal(one.there("1"), map[string]string{"alice": "active"}) })
	if !maps.Equal(a.knows("1"), all) {
		t.Errorf("without Redis, the app was told that there are %v", a.knows("1"))
	}
	redis.Restart()
	for _, node := range nodes {
		node.untilThere("1", all)
	}
	one.open("/flows?filter=1&active=true", basic("carol"))
	all["carol"] = "active"
	two.untilThere("1", all)
	eventually(t, "the app knows all again", func() bool { return maps.Equal(a.knows("1"), all) })

	// One node is killed: its users are gone from the other, and from the app.
	two.stop(syscall.SIGKILL)
	one.untilThere("1", map[string]string{"alice": "active", "carol": "active"})
	alice.hear(`"user_id":"bob","state":0`)
	eventually(t, "the app knows the truth", func() bool { return maps.Equal(a.knows("1"), one.there("1")) })
	a.check()
}
