package caddymodule

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/caddyserver/caddy/v2"
)

// homeserver is a Matrix homeserver with one room: who has joined it may list
// it, and it sends what happens there.
type homeserver struct {
	s *site

	mu     sync.Mutex
	joined []string
	sent   int
}

const (
	matrixRoom  = "!1:example.com"
	matrixToken = "the-token-of-the-homeserver-is-long"
)

func newHomeserver(s *site) *homeserver {
	h := &homeserver{s: s}
	s.app.answer = func(w http.ResponseWriter, r *http.Request) bool {
		user := strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")
		switch r.URL.Path {
		case "/_matrix/client/v3/account/whoami":
			fmt.Fprintf(w, `{"user_id":%q}`, user)
		case "/_matrix/client/v3/joined_rooms":
			h.mu.Lock()
			defer h.mu.Unlock()
			rooms := []string{}
			if slices.Contains(h.joined, user) {
				rooms = append(rooms, matrixRoom)
			}
			json.NewEncoder(w).Encode(map[string]any{"joined_rooms": rooms})
		default:
			return false
		}
		return true
	}
	return h
}

func (h *homeserver) send(event string) {
	h.s.t.Helper()
	h.sent++
	body := fmt.Sprintf(`{"events":[{"event_id":"$%d","room_id":%q,"origin_server_ts":1700000000000,%s}]}`, h.sent, matrixRoom, event)
	path := fmt.Sprintf("/hooks/matrix/_matrix/app/v1/transactions/%d", h.sent)
	if resp := h.s.request("PUT", path, body, "Content-Type: application/json", "Authorization: Bearer "+matrixToken); resp.StatusCode != 200 {
		h.s.t.Fatalf("%s: %d", event, resp.StatusCode)
	}
}

func (h *homeserver) say(text string) {
	h.s.t.Helper()
	h.send(fmt.Sprintf(`"type":"m.room.message","sender":"@eve:example.com","content":{"msgtype":"m.text","body":%q}`, text))
}

// member makes a user join or leave the room, and tells of it unless silent.
func (h *homeserver) member(user, membership string, silent bool) {
	h.s.t.Helper()
	h.mu.Lock()
	h.joined = slices.DeleteFunc(h.joined, func(j string) bool { return j == user })
	if membership == "join" {
		h.joined = append(h.joined, user)
	}
	h.mu.Unlock()
	if !silent {
		h.send(fmt.Sprintf(`"type":"m.room.member","sender":%[1]q,"state_key":%[1]q,"content":{"membership":%[2]q}`, user, membership))
	}
}

// A new member of a Matrix room sees what was said after joining, whatever way
// into the past is taken; a member who comes back misses nothing, also after a
// restart; and who was away sees nothing of that time.
func TestNewMembersSeeWhatTheAppShows(t *testing.T) {
	s := newSite(t)
	h := newHomeserver(s)
	site := `
		webhook /hooks/matrix {
			preset matrix
			secret ` + matrixToken + `
		}
		auth preset matrix {
			cache 1s
			negative 1s
		}
		history {
			store file DIR/history.db
		}`
	s.load(site)
	ann, bob := "@ann:example.com", "@bob:example.com"
	h.say("before all")
	h.member(ann, "join", false)
	h.say("to ann")
	sse := func(user, query string, header ...string) *http.Response {
		return s.get("/flows?filter="+matrixRoom+query, append(header, "Authorization: Bearer "+user, asSSE)...)
	}
	// position is a cursor from before everything, as the first event has it.
	old := sse(ann, "&catchup=1h")
	text := readUntil(t, old, "to ann")
	if strings.Contains(text, "before all") || !strings.Contains(text, "event: gap") || !strings.Contains(text, `"trimmed"`) ||
		!strings.HasPrefix(old.Header.Get("Stream-Resume"), "gap") {
		t.Errorf("ann's recent past: %q %q", old.Header.Get("Stream-Resume"), text)
	}
	annsCursor := lastID(text)
	old.Body.Close()

	h.say("secret of before bob")
	h.member(bob, "join", false)
	h.say("to bob")
	for name, way := range map[string]struct{ query, header string }{
		"a cursor":  {"", "Last-Event-ID: " + annsCursor},
		"an id":     {"&since_message_id=$1", ""},
		"catchup":   {"&catchup=1h", ""},
		"oldest":    {"&on_gap=oldest", "Last-Event-ID: 0123456789abcdef.1.000000"},
		"oldest id": {"&on_gap=oldest&since_message_id=unknown", ""},
	} {
		var header []string
		if way.header != "" {
			header = append(header, way.header)
		}
		st := sse(bob, way.query, header...)
		text := readUntil(t, st, "to bob")
		if strings.Contains(text, "secret") || strings.Contains(text, "to ann") {
			t.Errorf("%s shows bob %q", name, text)
		}
		if !strings.HasPrefix(st.Header.Get("Stream-Resume"), "gap") || !strings.Contains(text, "event: gap") {
			t.Errorf("%s does not tell bob that something is left out: %q %q", name, st.Header.Get("Stream-Resume"), text)
		}
		st.Body.Close()
	}
	// A member who comes back gets everything, also after a restart.
	for _, restarted := range []bool{false, true} {
		if restarted {
			if err := caddy.Stop(); err != nil {
				t.Fatal(err)
			}
			s.load(site)
		}
		back := sse(ann, "", "Last-Event-ID: "+annsCursor)
		text := readUntil(t, back, "to bob")
		if !strings.Contains(text, "secret") || strings.Contains(text, "event: gap") || back.Header.Get("Stream-Resume") != "complete" {
			t.Errorf("ann comes back (restarted: %v): %q %q", restarted, back.Header.Get("Stream-Resume"), text)
		}
		back.Body.Close()
	}
	// bob is away, which only the answers of the app say.
	bobs := sse(bob, "")
	h.member(bob, "leave", true)
	eventually(t, "bob is denied", func() bool { return sse(bob, "").StatusCode == 403 })
	bobs.Body.Close()
	h.say("while bob was away")
	h.member(bob, "join", true)
	var again *http.Response
	eventually(t, "bob is back", func() bool {
		again = sse(bob, "", "Last-Event-ID: "+annsCursor)
		return again.StatusCode == 200
	})
	h.say("the end")
	if text := readUntil(t, again, "the end"); strings.Contains(text, "away") || strings.Contains(text, "to bob") {
		t.Errorf("bob, who was away, is shown %q", text)
	}
	again.Body.Close()
}

// lastID is the id of the last event that has one.
func lastID(text string) (id string) {
	for line := range strings.Lines(text) {
		if value, ok := strings.CutPrefix(line, "id: "); ok {
			id = strings.TrimSpace(value)
		}
	}
	return id
}

func TestHistoryShownNothing(t *testing.T) {
	s := newSite(t)
	s.load(strings.Replace(basics, "auth GET /room/{channel}.json", `auth GET /room/{channel}.json {
		history shown none
	}`, 1))
	s.app.allow("tok", "1")
	s.post("1", "11", "old")
	st := s.open("/flows?filter=1&catchup=1h", asBearer, asSSE)
	s.post("1", "12", "new")
	if text := readUntil(t, st, "new"); strings.Contains(text, "old") {
		t.Errorf("shown %q", text)
	}
	if got := st.Header.Get("Stream-Resume"); got != "gap;reason=trimmed" {
		t.Errorf("Stream-Resume: %q", got)
	}
}

func TestHistoryShownNeedsAUser(t *testing.T) {
	s := newSite(t)
	for block, want := range map[string]string{
		"history shown since_join": "needs to know who the client is",
		"history shown some":       "all, since_join or none",
		"history all":              "history is: history shown all",
	} {
		err := s.tryLoad(hooks + inMemory + "\nauth GET /room/{channel}.json {\n" + block + "\n}")
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", block, err)
		}
	}
}
