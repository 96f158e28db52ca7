package e2e

import (
	"bytes"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/seed-078801ba/sidestream/stream/redisconn/redistest"
)

// happens posts what happened to a message.
func (s *server) happens(op, channel, id, body string) {
	s.t.Helper()
	text := fmt.Sprintf(`{"op":%q,"channel":%q,"id":%q,"body":%q}`, op, channel, id, body)
	if status, answer := s.post("/events", []byte(text)); status/100 != 2 {
		s.t.Fatalf("posting %s: %d %s", text, status, answer)
	}
}

// TestTakenBack: what the app has deleted is replayed to nobody, what it has edited is
// replayed with its last text, over a restart and from another node, and the file of
// the history forgets what was said before.
func TestTakenBack(t *testing.T) {
	const events = `webhook /events {
		verify none
		map channel {json.channel}
		map id {json.id}
		map body {json.body}
		map op {json.op}
	}`
	stores := map[string]func(t *testing.T) (site string, nodes int){
		"file":   func(*testing.T) (string, int) { return openSite(events), 1 },
		"memory": func(*testing.T) (string, int) { return openSite("history {\nstore memory\n}\n" + events), 1 },
		"redis":  func(t *testing.T) (string, int) { return sharedSite("redis://"+redistest.Start(t).Addr, events), 2 },
	}
	for name, store := range stores {
		t.Run(name, func(t *testing.T) {
			site, n := store(t)
			nodes := startNodes(t, n, site)
			first, last := nodes[0], nodes[n-1]
			live := first.hear("", "1")
			first.happens("create", "1", "0", "begin")
			live.until(is("begin"))
			begin := live.cursor
			first.happens("create", "1", "1", "SECRET-ONE")
			first.happens("create", "1", "2", "SECRET-TWO")
			live.until(is("SECRET-TWO"))
			first.happens("edit", "1", "2", "edited")
			last.happens("delete", "1", "1", "")
			last.happens("create", "1", "3", "end")

			check := func(when string, s *server) {
				t.Helper()
				events := s.open("/flows?filter=1", "Accept: text/event-stream", "Last-Event-ID: "+begin)
				text := ""
				for !strings.Contains(text, `"content":"end"`) {
					text += events.next()
				}
				events.conn.Close()
				if strings.Contains(text, "SECRET") || !strings.Contains(text, `"content":"edited"`) || !strings.Contains(text, `"message-delete"`) {
					t.Errorf("%s: replayed is %s", when, text)
				}
				st := s.open("/room/1/live.json?since_message_id=1", basic("x"))
				if st.status != http.StatusOK || st.header.Get("Stream-Resume") != "complete" {
					t.Errorf("%s: behind the deleted message: %d %v", when, st.status, st.header)
				}
				for c := ""; !strings.Contains(c, `"end"`); {
					if c = st.next(); strings.Contains(c, "SECRET") {
						t.Errorf("%s: a Campfire client got %s", when, c)
					}
				}
				st.conn.Close()
			}
			check("at once", last)
			check("on the node that had them", first)
			if name == "memory" {
				return
			}
			last.restart(syscall.SIGKILL)
			last.awaitHealth(http.StatusOK)
			check("after a restart", last)
			if name != "file" {
				return
			}
			path := filepath.Join(first.folder, "data", "caddy", "sidestream", "default.db")
			eventually(t, "the file forgets", func() bool {
				b, err := os.ReadFile(path)
				if err != nil {
					t.Fatal(err)
				}
				return !bytes.Contains(b, []byte("SECRET"))
			})
		})
	}
}
