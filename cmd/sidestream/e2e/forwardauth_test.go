package e2e

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
)

// app is an app that answers each question as the test says, and keeps what it
// was asked.
type app struct {
	*httptest.Server

	mu    sync.Mutex
	asked []*http.Request
}

func newApp(t *testing.T, answer http.HandlerFunc) *app {
	t.Helper()
	a := &app{}
	a.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		a.mu.Lock()
		a.asked = append(a.asked, r.Clone(t.Context()))
		a.mu.Unlock()
		answer(w, r)
	}))
	t.Cleanup(a.Close)
	return a
}

// questions are what it was asked so far.
func (a *app) questions() []*http.Request {
	a.mu.Lock()
	defer a.mu.Unlock()
	return slices.Clone(a.asked)
}

// site is a site in front of the app, with more in the block of auth.
func (a *app) site(auth string) string {
	address := strings.TrimPrefix(a.URL, "http://")
	return fmt.Sprintf("sidestream %[1]s {\nauth GET /room/{channel}.json {\n%[2]s\n}\nhistory {\nstore memory\n}\n}\nreverse_proxy %[1]s", address, auth)
}

// ask is the status of a request for a stream, without the stream.
func (s *server) ask(path string, header ...string) int {
	s.t.Helper()
	r, err := http.NewRequest(http.MethodHead, s.url+path, nil)
	if err != nil {
		s.t.Fatal(err)
	}
	for _, line := range header {
		name, value, _ := strings.Cut(line, ": ")
		if name == "Host" {
			r.Host = value
			continue
		}
		r.Header.Add(name, value)
	}
	status, _ := do(s.t, r)
	return status
}

// In a site that takes every host, the client's Host would choose the virtual
// host of the app that decides.
func TestTheClientsHostDecidesNothing(t *testing.T) {
	a := newApp(t, func(w http.ResponseWriter, r *http.Request) {
		// Another virtual host answers 200 to whatever it is asked.
		if !strings.HasPrefix(r.Host, "127.0.0.1") && r.Host != "chat.example.com" || r.Header.Get("X-Forwarded-Host") != r.Host {
			return
		}
		if r.Header.Get("Authorization") != "Bearer member" {
			w.WriteHeader(http.StatusForbidden)
		}
	})
	for name, auth := range map[string]string{"the backend's address": "", "named": "host chat.example.com"} {
		t.Run(name, func(t *testing.T) {
			s := start(t, a.site(auth))
			for i, host := range []string{"wiki.example.com", "wiki.example.com:80", "WIKI.example.com.", "b.example"} {
				if status := s.ask(fmt.Sprintf("/room/%d/live.json", i), "Authorization: Bearer stranger", "Host: "+host, "X-Forwarded-Host: "+host); status != http.StatusForbidden {
					t.Errorf("a stranger with the Host %s: %d", host, status)
				}
			}
			if status := s.ask("/room/1/live.json", "Authorization: Bearer member", "Host: wiki.example.com"); status != http.StatusOK {
				t.Errorf("a member: %d", status)
			}
		})
	}
}

// Nothing starts where the host that the app is asked under is not known.
func TestNoHostToAskUnder(t *testing.T) {
	s := &server{t: t, folder: t.TempDir(), port: freePort(t)}
	s.write("sidestream unix//run/app.sock {\nauth GET /{channel}\nhistory {\nstore memory\n}\n}")
	p := run(t, s.env(), s.folder, command(t), "validate", "--config", s.caddyfile(), "--adapter", "caddyfile")
	<-p.exited
	if text := p.errOut.tail(4000); p.err == nil || !strings.Contains(text, "host chat.example.com") {
		t.Errorf("%v: %s", p.err, text)
	}
}

// An app that leads every question to https, or to its own name, refuses nobody:
// the clients come back later, no address is blocked, and the log says why, once.
func TestRedirectsThatSayNothingOfTheToken(t *testing.T) {
	a := newApp(t, func(w http.ResponseWriter, r *http.Request) {
		to := "https://chat.example.com" + r.URL.RequestURI()
		if r.Header.Get("Authorization") == "Bearer stranger" {
			to = "https://chat.example.com/login?return_to=" + r.URL.Path
		}
		http.Redirect(w, r, to, http.StatusMovedPermanently)
	})
	s := start(t, a.site(""))
	if status := s.ask("/room/1/live.json", "Authorization: Bearer stranger"); status != http.StatusUnauthorized {
		t.Errorf("a login page: %d", status)
	}
	for i := range 30 {
		if status := s.ask(fmt.Sprintf("/room/%d/live.json", i), fmt.Sprintf("Authorization: Bearer token-%d", i)); status != http.StatusServiceUnavailable {
			t.Fatalf("client %d: %d", i, status)
		}
	}
	eventually(t, "the log says where it leads", func() bool { return strings.Contains(s.errOut.tail(1<<20), "https://chat.example.com/room/") })
	if n := strings.Count(s.errOut.tail(1<<20), "leads to the same page"); n != 1 {
		t.Errorf("%d lines about it", n)
	}
}

// Clients prove themselves in the words that the app has, and each of them is
// answered by itself.
func TestCredentialsInTheAppsOwnWords(t *testing.T) {
	a := newApp(t, func(w http.ResponseWriter, r *http.Request) {
		good := r.Header.Get("Authorization") == "Token good" || r.Header.Get("Authorization") == `Digest username="alice", response="abc"` ||
			r.Header.Get("X-Api-Key") == "good" || r.URL.Query().Get("key") == "good"
		if !good {
			w.WriteHeader(http.StatusUnauthorized)
		}
	})
	s := start(t, a.site("credential header X-Api-Key\ncredential query key"))
	for _, x := range []struct {
		path, header string
		status       int
	}{
		{"/room/1/live.json", "Authorization: Token good", 200},
		{"/room/1/live.json", "Authorization: Token bad", 401},
		{"/room/1/live.json", `Authorization: Digest username="alice", response="abc"`, 200},
		{"/room/1/live.json", `Authorization: Digest username="alice", response="xyz"`, 401},
		{"/room/1/live.json", "X-Api-Key: good", 200},
		{"/room/1/live.json", "X-Api-Key: bad", 401},
		{"/room/1/live.json?key=good", "X: y", 200},
		{"/room/1/live.json?key=bad", "X: y", 401},
		{"/room/1/live.json?key=good", "X-Api-Key: good", 400},
		{"/room/1/live.json", "X: y", 401},
	} {
		if status := s.ask(x.path, x.header); status != x.status {
			t.Errorf("%s with %s: %d, want %d", x.path, x.header, status, x.status)
		}
	}
	for _, r := range a.questions() {
		if r.Header.Get("Authorization")+r.Header.Get("X-Api-Key")+r.URL.Query().Get("key") == "" {
			t.Error("the app was asked without a credential")
		}
	}

	// What explain finds is what the server found.
	p := run(t, s.env(), s.folder, command(t), "explain", "--config", s.caddyfile(), "-H", "Authorization: Token good", s.url+"/room/1/live.json")
	<-p.exited
	out, _, _ := p.out.state()
	if !strings.Contains(out, "the scheme Token, as it came") || !strings.Contains(out, "gets 200") || strings.Contains(out, "Token good") {
		t.Errorf("explained as: %s%s", out, p.errOut.tail(2000))
	}
}

// A limit by credential counts the client, in whatever way it writes its token.
func TestOneClientInManySpellings(t *testing.T) {
	b := newBackend(t)
	s := start(t, b.directives("limits {\nper_credential 2\n}\nhistory {\nstore memory\n}"))
	spellings := []string{basic(goodToken), "Authorization: Bearer " + goodToken, "Authorization: bEARER " + goodToken}
	for i := range 5 {
		spellings = append(spellings, "Authorization: Basic "+base64.StdEncoding.EncodeToString(fmt.Appendf(nil, "%s:%d", goodToken, i)))
	}
	opened := 0
	for i, header := range spellings {
		st := s.open(fmt.Sprintf("/room/%d/live.json", i), header)
		if st.status == http.StatusOK {
			opened++
		}
	}
	if opened != 2 {
		t.Errorf("%d streams are open, the limit is 2", opened)
	}
}

// A question that names no channel is refused: one yes would open every room.
func TestOneYesForEveryRoom(t *testing.T) {
	for block, want := range map[string]string{
		"auth GET /api/rooms/lobby":                                    "names no channel",
		"auth GET /api/rooms/lobby {\nall_channels\n}":                 "",
		"auth GET /api/rooms {\nlist json rooms.*.id\n}":               "",
		"auth GET /api/orgs/{org}/flows/{flow}":                        "",
		"auth POST /api/may {\nform room {channel}\n}":                 "",
		"auth preset mattermost {\nallow status 200\n}":                "",
		"auth GET /api/me {\nallow {json.rooms} contains {channel}\n}": "",
	} {
		s := &server{t: t, folder: t.TempDir(), port: freePort(t)}
		s.write("sidestream 127.0.0.1:9 {\n" + block + "\nhistory {\nstore memory\n}\n}")
		p := run(t, s.env(), s.folder, command(t), "validate", "--config", s.caddyfile(), "--adapter", "caddyfile")
		<-p.exited
		if text := p.errOut.tail(4000); (p.err == nil) != (want == "") || !strings.Contains(text, want) {
			t.Errorf("%s: %v: %s", block, p.err, text)
		}
	}
}

// Where Caddy signs users on, the app is asked about that user, and no user gets
// the answer of another one.
func TestSignedOnByCaddy(t *testing.T) {
	a := newApp(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("X-User") != "alice" {
			w.WriteHeader(http.StatusForbidden)
		}
	})
	// The password of both is pw.
	const hash = "$2a$04$bfDKUwxlHCno.4cHdhrl6eEbYR2gb8nIqCc26v/4JR3zHXb.482ky"
	s := start(t, "basic_auth {\nalice "+hash+"\nbob "+hash+"\n}\n"+a.site("header X-User {http.auth.user.id}"))
	as := func(user string) string {
		return "Authorization: Basic " + base64.StdEncoding.EncodeToString([]byte(user+":pw"))
	}
	for range 2 { // asked, then remembered
		for user, want := range map[string]int{"alice": 200, "bob": 403} {
			if status := s.ask("/room/1/live.json", as(user), "X-User: alice"); status != want {
				t.Errorf("%s: %d, want %d", user, status, want)
			}
		}
	}
	if status := s.ask("/room/1/live.json", as("alice"), "Origin: https://evil.example"); status != http.StatusForbidden {
		t.Errorf("a page of another site: %d", status)
	}
	if n := len(a.questions()); n != 2 {
		t.Errorf("%d questions about two users", n)
	}
}
