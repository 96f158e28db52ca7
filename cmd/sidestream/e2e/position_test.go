package e2e

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
)

// chatSite is the demo's chat app, and a site in front of it. It returns the app's
// port.
func chatSite(t *testing.T, more string) (s *server, chat string) {
	t.Helper()
	chat = freePort(t)
	s = &server{t: t, folder: t.TempDir(), port: freePort(t)}
	s.url = "http://127.0.0.1:" + s.port
	run(t, []string{"HOOK_SECRET=" + hookSecret}, "", command(t), "backend",
		"--listen", "127.0.0.1:"+chat, "--hook", s.url+"/hooks/chat").awaitListening(chat)
	s.write(fmt.Sprintf(`header /room/1/recent.json Access-Control-Allow-Origin https://chat.example.com
	sidestream 127.0.0.1:%[1]s {
		webhook /hooks/chat {
			preset campfire_classic
			verify standardwebhooks %[2]s
		}
		auth GET /room/{channel}.json
		%[3]s
	}
	reverse_proxy 127.0.0.1:%[1]s`, chat, hookSecret, more))
	s.begin()
	return s, chat
}

// recent reads the app's list of a room's messages through the site.
func (s *server) recent(t *testing.T, token, query string) (ids map[int64]bool, answer *http.Response) {
	t.Helper()
	req, err := http.NewRequest(http.MethodGet, s.url+"/room/1/recent.json"+query, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.SetBasicAuth(token, "x")
	answer, err = http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	var list struct{ Messages []struct{ ID int64 } }
	if answer.StatusCode == http.StatusOK {
		if err := json.NewDecoder(answer.Body).Decode(&list); err != nil {
			t.Fatal(err)
		}
	}
	ids = map[int64]bool{}
	for _, m := range list.Messages {
		ids[m.ID] = true
	}
	return ids, answer
}

// Who reads the app's list, and then opens a stream where the list says, has every
// message, while people go on talking.
func TestListThenStreamMissesNothing(t *testing.T) {
	const messages, readers = 200, 12
	s, chat := chatSite(t, "position GET /room/{channel}/recent.json")
	speak(t, chat, "alice-token", "first")
	var work sync.WaitGroup
	defer work.Wait()
	for i := range readers {
		work.Go(func() {
			for said := 0; said < messages/readers; said++ {
				speak(t, chat, "alice-token", fmt.Sprintf("%d of %d", said, i))
			}
		})
		work.Go(func() {
			ids, answer := s.recent(t, "bob-token", "?limit=100")
			position := answer.Header.Get("Stream-Position")
			if position == "" {
				t.Errorf("no position: %v", answer.Header)
				return
			}
			newest := int64(0)
			for id := range ids {
				newest = max(newest, id)
			}
			st := s.forTest(t).open("/room/1/live.json?cursor="+position, basic("bob-token"))
			if got := st.header.Get("Stream-Resume"); got != "complete" {
				t.Errorf("Stream-Resume: %q", got)
			}
			for newest < messages/readers*readers { // the first comes on top
				for line := range strings.SplitSeq(strings.Trim(st.next(), "\r"), "\r") {
					var m struct {
						ID   int64
						Type string
					}
					if err := json.Unmarshal([]byte(line), &m); err != nil || m.Type == "StreamGap" {
						t.Errorf("the stream has %q", line)
						return
					}
					ids[m.ID] = true
					if m.ID > newest+1 && !ids[m.ID-1] {
						t.Errorf("message %d is missing before %d", m.ID-1, m.ID)
						return
					}
					newest = max(newest, m.ID)
				}
			}
		})
	}
}

// A position is given with what somebody may read, of the pages that are named, and
// nowhere else. Pages of other origins see it where the app shows them the answer.
func TestPositionIsGivenWithWhatIsRead(t *testing.T) {
	s, _ := chatSite(t, "position GET /room/{channel}/recent.json")
	if _, answer := s.recent(t, "bob-token", ""); answer.Header.Get("Stream-Position") == "" ||
		answer.Header.Get("Access-Control-Expose-Headers") != "Stream-Position" {
		t.Errorf("%d %v", answer.StatusCode, answer.Header)
	}
	for _, c := range []struct{ method, path, token string }{
		{http.MethodGet, "/room/1/recent.json", "nobody"},
		{http.MethodGet, "/room/3/recent.json", "bob-token"},
		{http.MethodGet, "/room/1.json", "bob-token"},
		{http.MethodGet, "/room//recent.json", "bob-token"},
		{http.MethodGet, "/room/1/recent.json/", "bob-token"},
		{http.MethodPost, "/room/1/recent.json", "bob-token"},
		{http.MethodHead, "/room/1/recent.json", "bob-token"},
	} {
		req, err := http.NewRequest(c.method, s.url+c.path, nil)
		if err != nil {
			t.Fatal(err)
		}
		req.SetBasicAuth(c.token, "x")
		answer, err := http.DefaultTransport.RoundTrip(req)
		if err != nil {
			t.Fatal(err)
		}
		answer.Body.Close()
		if got := answer.Header.Get("Stream-Position"); got != "" {
			t.Errorf("%s %s as %s: %d, position %s", c.method, c.path, c.token, answer.StatusCode, got)
		}
	}
}
