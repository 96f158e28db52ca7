package tail

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// follow runs Follow against a server until stop says that it saw enough.
func follow(t *testing.T, handler http.HandlerFunc, c Config, enough func(items, lost []string) bool) (items, lost, notes []string, err error) {
	t.Helper()
	s := httptest.NewServer(handler)
	defer s.Close()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	c.URL = s.URL + c.URL
	c.Client = &http.Client{Transport: &http.Transport{}}
	defer c.Client.CloseIdleConnections()
	c.FirstWait, c.LongestWait = time.Millisecond, 2*time.Millisecond
	check := func() {
		if enough(items, lost) {
			cancel()
		}
	}
	c.Item = func(i Item) { items = append(items, string(i.Payload)); check() }
	c.Lost = func(text string) { lost = append(lost, text); check() }
	c.Note = func(text string) { notes = append(notes, text) }
	err = Follow(ctx, c)
	return items, lost, notes, err
}

// asked notes the requests that a server got.
type asked struct {
	mu   sync.Mutex
	list []*http.Request
}

func (a *asked) add(r *http.Request) int {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.list = append(a.list, r)
	return len(a.list)
}

func TestResumeByCursor(t *testing.T) {
	var seen asked
	items, lost, _, err := follow(t, func(w http.ResponseWriter, r *http.Request) {
		n := seen.add(r)
		w.Header().Set("Content-Type", "text/event-stream")
		switch n {
		case 1:
			fmt.Fprint(w, "id: c1\ndata: {\"id\":7}\n\nid: c2\n:\n\nid: c9\ndata: cut off")
		case 2:
			w.WriteHeader(http.StatusServiceUnavailable)
		case 3:
			w.Header().Set("Stream-Resume", "gap;reason=trimmed")
			fmt.Fprint(w, "event: gap\nid: c5\ndata: {\"reason\":\"trimmed\"}\n\n")
		default:
			fmt.Fprint(w, "id: c6\ndata: {\"id\":8}\n\n")
		}
	}, Config{URL: "/flows?filter=a", Authorization: "Basic eDp4"}, func(items, _ []string) bool { return len(items) == 3 })
	if err != nil || !slices.Equal(items, []string{`{"id":7}`, "", `{"id":8}`}) {
		t.Errorf("%q, %v", items, err)
	}
	if len(lost) != 2 || !strings.Contains(lost[0], "trimmed") || lost[1] != `{"reason":"trimmed"}` {
		t.Errorf("gaps told: %q", lost)
	}
	var cursors []string
	for _, r := range seen.list {
		cursors = append(cursors, r.Header.Get("Last-Event-ID"))
		if r.Header.Get("Authorization") != "Basic eDp4" || r.URL.RawQuery != "filter=a" {
			t.Errorf("asked with %v, %s", r.Header, r.URL)
		}
	}
	if !slices.Equal(cursors, []string{"", "c2", "c2", "c5"}) {
		t.Errorf("cursors presented: %q", cursors)
	}
}

func TestResumeByMessageID(t *testing.T) {
	var seen asked
	items, lost, _, err := follow(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		if seen.add(r) == 1 {
			fmt.Fprint(w, " {\"id\":7}\r {\"body\":null}\r{\"id\":99,")
			return
		}
		fmt.Fprint(w, "{\"type\":\"StreamGap\",\"id\":3}\r{\"id\":8}\r")
	}, Config{URL: "/room/1/live.json?x=1", Since: "5"}, func(items, _ []string) bool { return len(items) == 3 })
	if err != nil || !slices.Equal(items, []string{`{"id":7}`, `{"body":null}`, `{"id":8}`}) || len(lost) != 1 {
		t.Errorf("%q, %q, %v", items, lost, err)
	}
	for i, want := range []string{"since_message_id=5&x=1", "since_message_id=7&x=1"} {
		if got := seen.list[i].URL.RawQuery; got != want {
			t.Errorf("request %d has the query %q, want %q", i, got, want)
		}
	}
}

func TestRefusals(t *testing.T) {
	for status, advice := range map[int]string{
		204: "nothing more", 302: "redirect", 400: "", 401: "--token", 403: "may not listen", 404: "no such stream",
	} {
		_, _, _, err := follow(t, func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(status) },
			Config{URL: "/?access_token=hush"}, func(_, _ []string) bool { return false })
		var refused *Refused
		if !errors.As(err, &refused) || refused.Status != status || !strings.Contains(err.Error(), advice) || strings.Contains(err.Error(), "hush") {
			t.Errorf("%d: %v", status, err)
		}
	}
	_, _, _, err := follow(t, func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, "<html>") },
		Config{URL: "/"}, func(_, _ []string) bool { return false })
	if !errors.Is(err, ErrContentType) {
		t.Errorf("a page: %v", err)
	}
}

// A dead connection is left, and no trouble tells the address.
func TestQuietStreamIsLeft(t *testing.T) {
	var seen asked
	items, _, notes, err := follow(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		if seen.add(r) == 1 {
			w.(http.Flusher).Flush()
			<-r.Context().Done()
			return
		}
		fmt.Fprint(w, "{}\r")
	}, Config{URL: "/?access_token=hush", Quiet: 50 * time.Millisecond}, func(items, _ []string) bool { return len(items) == 1 })
	if err != nil || len(items) != 1 || !strings.Contains(strings.Join(notes, "\n"), "gone quiet") || strings.Contains(strings.Join(notes, "\n"), "hush") {
		t.Errorf("%q, %q, %v", items, notes, err)
	}
}

func TestPause(t *testing.T) {
	f := &follower{Config: Config{LongestWait: 4 * time.Second, Lost: func(string) {}}, wait: time.Second}
	for i, want := range []time.Duration{1, 2, 4, 4} {
		want *= time.Second
		if got := f.pause(); got < want || got > want+want/2+1 {
			t.Errorf("pause %d is %v", i, got)
		}
	}
	f.asked = time.Minute
	if got := f.pause(); got < time.Minute || got > 91*time.Second {
		t.Errorf("asked for a minute, the pause is %v", got)
	}
	f.take(Item{ID: "1", Gap: true})
	if f.since != "" {
		t.Error("the id of a gap is taken for that of a message")
	}
}

func TestLine(t *testing.T) {
	for payload, want := range map[string]string{
		`{"room_id":1,"created_at":"bad","body":"hi\u001b[2J\nyou","id":1,"user_id":2,"type":"TextMessage"}`: "bad  [1]  2: hi\ufffd[2J ⏎ you",
		`{"room_id":1,"created_at":"","body":null,"user_id":null,"type":"TimestampMessage"}`:                 "  [1]  (TimestampMessage) ",
		`{"room_id":1,"body":"x","user_id":2,"user":{"id":2,"name":"Ann"}}`:                                  "  [1]  Ann: x",
		`{"event":"message","flow":"a/b","user":"3","external_user_name":"Ann","content":"x"}`:               "  [a/b]  Ann: x",
		`{"event":"message","flow":"a/b","user":"3","content":"x"}`:                                          "  [a/b]  3: x",
		`{"event":"action","to":"4","external_user_name":"ann","content":{"type":"join"}}`:                   `  [private]  ann: (action) {"type":"join"}`,
		`<message><room-id type="integer">1</room-id><user-id>2</user-id><body>&lt;b&gt;</body></message>`:   "  [1]  2: <b>",
		`{"other":1}`: `{"other":1}`, "\u202eplain": "\ufffdplain", "<": "<", "": "",
	} {
		if got := Line([]byte(payload)); got != want {
			t.Errorf("%s\n got %q\nwant %q", payload, got, want)
		}
	}
}

// Headers of the user's own go along with each request, and take the place of ours.
func TestOwnHeaders(t *testing.T) {
	var seen asked
	_, _, _, err := follow(t, func(w http.ResponseWriter, r *http.Request) {
		if seen.add(r) > 2 {
			w.WriteHeader(http.StatusNoContent)
			return
		}
		w.Header().Set("Content-Type", "text/event-stream")
		fmt.Fprint(w, "id: c1\ndata: {\"id\":7}\n\n")
	}, Config{
		URL: "/flows?filter=1", Host: "chat.test",
		Header: http.Header{"Cookie": {"session=a"}, "X-Api-Key": {"k"}, "User-Agent": {"mine"}, "Last-Event-Id": {"c0"}},
	}, func([]string, []string) bool { return false })
	var refused *Refused
	if !errors.As(err, &refused) || len(seen.list) != 3 {
		t.Fatalf("%d requests, %v", len(seen.list), err)
	}
	for i, r := range seen.list {
		want := "c1"
		if i == 0 {
			want = "c0"
		}
		if r.Host != "chat.test" || r.Header.Get("Cookie") != "session=a" || r.Header.Get("X-Api-Key") != "k" || r.UserAgent() != "mine" || r.Header.Get("Last-Event-Id") != want {
			t.Errorf("request %d: %s %v", i, r.Host, r.Header)
		}
	}
}
