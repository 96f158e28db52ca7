package e2e

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// listApp is an app that only has lists of messages: GET /room/{room}/recent.json,
// oldest first, and says who may listen. No webhook, nothing else.
type listApp struct {
	*httptest.Server

	mu      sync.Mutex
	last    int
	rooms   map[string][]listedMessage
	asked   []string // the addresses, of the lists alone
	inList  int      // questions that are being answered
	most    int      // of them at the same time
	delay   time.Duration
	refuse  func(room string) (status int, header map[string]string)
	perPage int
}

// listedMessage is a message of a listApp.
type listedMessage struct {
	ID        int    `json:"id"`
	RoomID    string `json:"room_id"`
	UserID    int    `json:"user_id"`
	Type      string `json:"type"`
	Body      string `json:"body"`
	CreatedAt string `json:"created_at"`
	hidden    bool   // not committed yet
}

const readerToken = "reader-token-0123456789"

func newListApp(t *testing.T) *listApp {
	t.Helper()
	a := &listApp{rooms: map[string][]listedMessage{}, perPage: 100}
	a.Server = httptest.NewServer(a)
	t.Cleanup(a.Close)
	return a
}

func (a *listApp) address() string { return strings.TrimPrefix(a.URL, "http://") }

// say puts a message into a room.
func (a *listApp) say(room, text string) int { return a.write(room, text, false) }

func (a *listApp) write(room, text string, hidden bool) int {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.last++
	a.rooms[room] = append(a.rooms[room], listedMessage{
		ID: a.last, RoomID: room, UserID: 7, Type: "TextMessage", Body: text, hidden: hidden,
		CreatedAt: time.Now().UTC().Format("2006/01/02 15:04:05 +0000"),
	})
	return a.last
}

// commit shows a message that was written before.
func (a *listApp) commit(room string, id int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for i := range a.rooms[room] {
		if m := &a.rooms[room][i]; m.ID == id {
			m.hidden = false
		}
	}
}

// forget deletes a message.
func (a *listApp) forget(room string, id int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.rooms[room] = slices.DeleteFunc(a.rooms[room], func(m listedMessage) bool { return m.ID == id })
}

// questions are those for lists, so far.
func (a *listApp) questions() []string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return slices.Clone(a.asked)
}

// refuseBy has lists refused, where f has a status.
func (a *listApp) refuseBy(f func(room string) (int, map[string]string)) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.refuse = f
}

func (a *listApp) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if strings.HasPrefix(r.URL.Path, "/may/") {
		w.Write([]byte(`{"user_id":"7"}`))
		return
	}
	user, _, _ := r.BasicAuth()
	parts := strings.Split(strings.Trim(r.URL.Path, "/"), "/")
	if len(parts) != 3 || parts[2] != "recent.json" || user != readerToken {
		http.Error(w, "not for you", http.StatusForbidden)
		return
	}
	a.mu.Lock()
	a.asked = append(a.asked, r.URL.RequestURI())
	a.inList++
	a.most = max(a.most, a.inList)
	delay, refuse := a.delay, a.refuse
	a.mu.Unlock()
	defer func() {
		a.mu.Lock()
		a.inList--
		a.mu.Unlock()
	}()
	if delay > 0 {
		select {
		case <-time.After(delay):
		case <-r.Context().Done():
			return
		}
	}
	if refuse != nil {
		if status, header := refuse(parts[1]); status != 0 {
			for name, value := range header {
				w.Header().Set(name, value)
			}
			w.WriteHeader(status)
			return
		}
	}
	a.list(w, r, parts[1])
}

func (a *listApp) list(w http.ResponseWriter, r *http.Request, room string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	visible := slices.DeleteFunc(slices.Clone(a.rooms[room]), func(m listedMessage) bool { return m.hidden })
	page := visible[max(0, len(visible)-a.perPage):]
	if since, err := strconv.Atoi(r.FormValue("since_message_id")); err == nil {
		if !slices.ContainsFunc(visible, func(m listedMessage) bool { return m.ID == since }) {
			http.NotFound(w, r)
			return
		}
		page = slices.DeleteFunc(visible, func(m listedMessage) bool { return m.ID <= since })
		page = page[:min(a.perPage, len(page))]
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(map[string]any{"messages": append([]listedMessage{}, page...)})
}

// pulled is a site in front of the app with a pull as its only way in.
func (a *listApp) pulled(more, options string) string {
	return fmt.Sprintf(`sidestream %[1]s {
		pull preset campfire_classic {
			token `+readerToken+`
			every 200ms
			%[3]s
		}
		auth GET /may/{channel} {
			user json user_id
		}
		%[2]s
	}
	reverse_proxy %[1]s`, a.address(), more, options)
}

// What an app that tells nothing says in its lists reaches those who listen: nothing
// from before they came, everything after, once, also what is committed late, and over
// a crash.
func TestPullAlone(t *testing.T) {
	a := newListApp(t)
	a.say("1", "before")
	s := start(t, a.pulled("", ""))
	st := s.open("/flows?filter=1", "Accept: text/event-stream", basic("anyone"))
	a.say("1", "first")
	late := a.write("1", "late", true)
	a.say("1", "second")
	got := strings.Join(st.until("second"), "")
	if strings.Contains(got, "before") || !strings.Contains(got, "first") || strings.Contains(got, "gap") {
		t.Errorf("the stream has %q", got)
	}
	a.commit("1", late)
	got = strings.Join(st.until("late"), "")
	if strings.Contains(got, "second") || strings.Contains(got, "first") {
		t.Errorf("again: %q", got)
	}
	cursor := lastID(got)
	for i := range 3 {
		s.stop(syscall.SIGKILL)
		a.say("1", fmt.Sprint("while away ", i))
		s.begin()
		st = s.open("/flows?filter=1", "Accept: text/event-stream", basic("anyone"), "Last-Event-ID: "+cursor)
		if resume := st.header.Get("Stream-Resume"); resume != "complete" {
			t.Errorf("Stream-Resume: %q", resume)
		}
		got = strings.Join(st.until(fmt.Sprint("while away ", i)), "")
		if strings.Count(got, "data:") != 1 {
			t.Errorf("after a crash: %q", got)
		}
		cursor = lastID(got)
	}
}

// lastID is the last id of server-sent events.
func lastID(text string) (id string) {
	for line := range strings.Lines(text) {
		if value, ok := strings.CutPrefix(line, "id: "); ok {
			id = strings.TrimSpace(value)
		}
	}
	return id
}

// A room that is empty when the first listener comes is read like any other.
func TestPullAnEmptyRoom(t *testing.T) {
	a := newListApp(t)
	s := start(t, a.pulled("", ""))
	st := s.open("/room/9/live.json", basic("anyone"))
	a.say("9", "the first of all")
	st.until("the first of all")
}

// Rooms that nobody listens to are left alone, unless the configuration says so.
func TestPullLeavesAloneWhatNobodyHears(t *testing.T) {
	a := newListApp(t)
	s := start(t, a.pulled("", "always 5"))
	st := s.open("/room/1/live.json", basic("anyone"))
	a.say("1", "x")
	st.until(`"x"`)
	eventually(t, "room 5 is read", func() bool {
		return slices.ContainsFunc(a.questions(), func(q string) bool { return strings.HasPrefix(q, "/room/5/") })
	})
	for _, q := range a.questions() {
		if !strings.HasPrefix(q, "/room/1/") && !strings.HasPrefix(q, "/room/5/") {
			t.Errorf("asked %s", q)
		}
	}
}

// The message behind which is asked may be deleted: then nothing is missed, and
// nothing comes twice.
func TestPullBehindADeletedMessage(t *testing.T) {
	a := newListApp(t)
	s := start(t, a.pulled("", "overlap 1ms"))
	st := s.open("/room/1/live.json", basic("anyone"))
	for i := range 5 {
		id := a.say("1", fmt.Sprintf("message %d.", i))
		if got := strings.Join(st.until(fmt.Sprintf("message %d.", i)), ""); strings.Count(got, `"body"`) != 1 {
			t.Errorf("message %d: %q", i, got)
		}
		a.forget("1", id)
	}
}

// More than the configured pages is passed over, and told.
func TestPullTooFarBehind(t *testing.T) {
	a := newListApp(t)
	a.perPage = 20
	s := start(t, a.pulled("", "pages 2\noverlap 1ms"))
	st := s.open("/flows?filter=1", "Accept: text/event-stream", basic("anyone"))
	a.say("1", "begin")
	cursor := lastID(strings.Join(st.until("begin"), ""))
	st.conn.Close()
	s.stop(syscall.SIGKILL)
	for i := range 200 {
		a.say("1", fmt.Sprintf("flood %d.", i))
	}
	s.begin()
	st = s.open("/flows?filter=1", "Accept: text/event-stream", basic("anyone"), "Last-Event-ID: "+cursor)
	got := strings.Join(st.until("flood 199."), "")
	if !strings.Contains(got, "event: gap") || !strings.Contains(got, "flood 0.") || strings.Index(got, "flood 0.") > strings.Index(got, "event: gap") {
		t.Errorf("the stream has %q", got)
	}
}

// The app says that it has enough: nothing is asked until it says.
func TestPullHonoursRetryAfter(t *testing.T) {
	a := newListApp(t)
	s := start(t, a.pulled("", ""))
	st := s.open("/room/1/live.json", basic("anyone"))
	a.say("1", "one")
	st.until("one")
	limited := time.Now()
	var first time.Time
	a.refuseBy(func(string) (int, map[string]string) {
		if time.Since(limited) < 3*time.Second {
			if first.IsZero() {
				first = time.Now()
			}
			return http.StatusTooManyRequests, map[string]string{"Retry-After": "3"}
		}
		return 0, nil
	})
	before := len(a.questions())
	a.say("1", "two")
	st.until("two")
	if n := len(a.questions()) - before; n > 6 {
		t.Errorf("%d questions while the app had enough", n)
	}
}
