package caddymodule

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/seed-078801ba/sidestream/caddymodule/forwardauth"
)

// presetApp answers like the app of a preset of auth, for one user and one room.
type presetApp struct {
	// login is the header line that the client sends.
	login string
	// room is the channel, and open the path of its stream.
	room string
	// allowed and denied answer the question about the room.
	allowed, denied func(w http.ResponseWriter)
	// identity answers who the user is, at this path.
	identityPath, identity string
}

func says(status int, body string) func(w http.ResponseWriter) {
	return func(w http.ResponseWriter) {
		w.WriteHeader(status)
		fmt.Fprint(w, body)
	}
}

func basicLogin(text string) string {
	return "Authorization: Basic " + base64.StdEncoding.EncodeToString([]byte(text))
}

// presetApps has every preset of auth.
var presetApps = map[string]presetApp{
	"campfire": {
		login: "Cookie: session_token=t", room: "1", allowed: says(200, "<html>"), denied: says(404, ""),
	},
	"campfire_classic": {
		login: basicLogin("t:X"), room: "1", allowed: says(200, `{"room":{"id":1}}`), denied: says(404, ""),
		identityPath: "/users/me.json", identity: `{"user":{"id":7}}`,
	},
	"flowdock": {
		login: basicLogin("t:"), room: "acme%2Fmain", allowed: says(200, `{"id":"acme:main"}`), denied: says(403, ""),
		identityPath: "/user", identity: `{"id":7}`,
	},
	"mattermost": {
		login: "Authorization: Bearer t", room: "1", allowed: says(200, `{"channel_id":"1","user_id":"7"}`), denied: says(403, ""),
	},
	"matrix": {
		login: "Authorization: Bearer t", room: "!1:example.com",
		allowed: says(200, `{"joined_rooms":["!1:example.com"]}`), denied: says(200, `{"joined_rooms":[]}`),
		identityPath: "/_matrix/client/v3/account/whoami", identity: `{"user_id":"7"}`,
	},
	"rocketchat": {
		login: basicLogin("7:t"), room: "1", allowed: says(200, `{"success":true}`), denied: says(400, `{"success":false,"error":"not-allowed"}`),
	},
	"zulip": {
		login: basicLogin("ann@example.com:t"), room: "1", allowed: says(200, `{"result":"success"}`), denied: says(400, `{"result":"error"}`),
		identityPath: "/api/v1/users/me", identity: `{"user_id":7}`,
	},
	"discourse": {
		login: "Authorization: Bearer t", room: "1", allowed: says(200, `{}`), denied: says(403, ""),
	},
	"laravel": {
		login: "Cookie: laravel_session=t", room: "1", allowed: says(200, `{}`), denied: says(403, ""),
	},
}

const revokeSecret = "the-secret-of-revocations-is-long"

// Whatever the app says of its users: a revocation of a user ends the streams
// that the app now denies, within a second, and what was remembered opens no new
// one.
func TestRevocationByUserWithEveryPreset(t *testing.T) {
	for _, preset := range forwardauth.PresetNames() {
		t.Run(preset, func(t *testing.T) {
			p, ok := presetApps[preset]
			if !ok {
				t.Fatal("the preset is not in the table")
			}
			s := newSite(t)
			var mu sync.Mutex
			answer := p.allowed
			s.app.answer = func(w http.ResponseWriter, r *http.Request) bool {
				if p.identityPath != "" && r.URL.Path == p.identityPath {
					fmt.Fprint(w, p.identity)
					return true
				}
				mu.Lock()
				defer mu.Unlock()
				answer(w)
				return true
			}
			s.load(hooks + inMemory + `
				auth preset ` + preset + ` {
					cache 1h
					recheck 1h
				}
				revoke /hooks/revoke {
					secret ` + revokeSecret + `
				}`)
			revoke := func() int {
				return s.request("POST", "/hooks/revoke", `{"user":7}`, "Authorization: Bearer "+revokeSecret).StatusCode
			}
			st := s.get("/room/"+p.room+"/live.json", p.login)
			if st.StatusCode != 200 {
				t.Fatalf("the stream: %d %s", st.StatusCode, body(t, st))
			}
			s.watched(1)
			if status := revoke(); status != 204 { // it is not true
				t.Errorf("the revocation: %d", status)
			}
			mu.Lock()
			answer = p.denied
			mu.Unlock()
			if status := revoke(); status != 204 {
				t.Errorf("the revocation: %d", status)
			}
			readToEnd(t, st)
			if again := s.get("/room/"+p.room+"/live.json", p.login); again.StatusCode == 200 {
				t.Error("a new stream opens")
			}
		})
	}
}

// Who may not be the user is not asked about, and where the app does not answer
// the call says so.
func TestRevocationSaysWhatItHasDone(t *testing.T) {
	s := newSite(t)
	var mu sync.Mutex
	failing, asked := false, 0
	s.app.answer = func(w http.ResponseWriter, r *http.Request) bool {
		user := strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")
		if r.URL.Path == "/whoami" {
			fmt.Fprintf(w, `{"id":%q}`, user)
			return true
		}
		mu.Lock()
		defer mu.Unlock()
		asked++
		if failing {
			w.WriteHeader(http.StatusInternalServerError)
		}
		return true
	}
	s.load(hooks + inMemory + `
		auth GET /room/{channel} {
			identity /whoami
			user json id
			recheck 1h
		}
		revoke /hooks/revoke {
			secret ` + revokeSecret + `
		}`)
	for _, user := range []string{"ann", "bob"} {
		if st := s.get("/room/1/live.json", "Authorization: Bearer "+user); st.StatusCode != 200 {
			t.Fatalf("%s: %d", user, st.StatusCode)
		}
	}
	s.watched(2)
	revoke := func(user string) (int, string) {
		resp := s.request("POST", "/hooks/revoke", fmt.Sprintf(`{"user":%q}`, user), "Authorization: Bearer "+revokeSecret)
		return resp.StatusCode, strings.TrimSpace(body(t, resp))
	}
	counted := func() int {
		mu.Lock()
		defer mu.Unlock()
		n := asked
		asked = 0
		return n
	}
	counted()
	status, text := revoke("ann")
	if n := counted(); status != 204 || text != "" || n != 1 {
		t.Errorf("%d %q, the app was asked %d times", status, text, n)
	}
	if status, _ := revoke("eve"); status != 204 || counted() != 0 {
		t.Errorf("nobody's: %d", status)
	}
	mu.Lock()
	failing = true
	mu.Unlock()
	if status, text := revoke("bob"); status != 202 || text != `{"questions_left":1}` {
		t.Errorf("while the app fails: %d %q", status, text)
	}
	if !strings.Contains(s.logs(), "a revocation is not done") {
		t.Error("the log does not say so")
	}
}

// watched waits until so many streams are asked about again and again: a moment
// after their clients have got the head.
func (s *site) watched(want int) {
	s.t.Helper()
	eventually(s.t, "the streams are watched", func() bool {
		n := 0
		gates.Range(func(_, v any) bool {
			n += v.(*pooledGate).Stats().Watchers
			return true
		})
		return n >= want
	})
}
