package chatbackend

import (
	"encoding/base64"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strconv"
	"sync"
	"testing"
	"time"
)

// The vector is the one of the Standard Webhooks libraries' tests.
func TestSign(t *testing.T) {
	key, err := parseSecret("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
	if err != nil {
		t.Fatal(err)
	}
	got := sign(key, "msg_p5jXN8AQM9LWM0D4loKWxJek", time.Unix(1614265330, 0), []byte(`{"test": 2432232314}`))
	if want := "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestSecrets(t *testing.T) {
	if _, err := parseSecret(NewSecret()); err != nil {
		t.Error(err)
	}
	for _, s := range []string{"", "whsec_", "whsec_!", "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_" + base64.StdEncoding.EncodeToString(make([]byte, 23))} {
		if _, err := New(Config{Hook: "http://127.0.0.1:1", Secret: s}); err == nil {
			t.Errorf("%q was taken", s)
		}
	}
}

// receiver is the other end of webhooks: it answers what the test says.
type receiver struct {
	t      *testing.T
	key    []byte
	status func(room int64, attempt int) int
	got    chan taken

	mu       sync.Mutex
	attempts map[string]int
}

type taken struct {
	Message
	attempt int
}

func (rc *receiver) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	seconds, _ := strconv.ParseInt(r.Header.Get("webhook-timestamp"), 10, 64)
	id := r.Header.Get("webhook-id")
	if want := sign(rc.key, id, time.Unix(seconds, 0), body); r.Header.Get("webhook-signature") != want || id == "" {
		rc.t.Errorf("delivery %q has the signature %q, want %q", id, r.Header.Get("webhook-signature"), want)
	}
	var m Message
	if err := json.Unmarshal(body, &m); err != nil {
		rc.t.Errorf("%s: %v", body, err)
	}
	rc.mu.Lock()
	rc.attempts[id]++
	n := rc.attempts[id]
	rc.mu.Unlock()
	status := rc.status(m.RoomID, n)
	w.Header().Set("Location", "/elsewhere") // must not be followed
	w.WriteHeader(status)
	rc.got <- taken{m, n}
}

func newHooked(t *testing.T, status func(room int64, attempt int) int) (*Backend, chan taken) {
	t.Helper()
	secret := NewSecret()
	key, _ := parseSecret(secret)
	rc := &receiver{t: t, key: key, status: status, got: make(chan taken, 1000), attempts: make(map[string]int)}
	s := httptest.NewServer(rc)
	b, err := New(Config{Hook: s.URL, Secret: secret, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { b.Close(); s.Close() })
	return b, rc.got
}

func TestWebhooksAreOrderedInARoom(t *testing.T) {
	b, got := newHooked(t, func(int64, int) int { return 200 })
	const n = 50
	for range n {
		for room := int64(1); room <= 2; room++ {
			if _, err := b.chat.speak(room, 1, "", "x"); err != nil {
				t.Fatal(err)
			}
		}
	}
	last := map[int64]int64{}
	for range 2 * n {
		m := <-got
		if m.ID <= last[m.RoomID] || m.attempt != 1 {
			t.Errorf("room %d: %d after %d, attempt %d", m.RoomID, m.ID, last[m.RoomID], m.attempt)
		}
		last[m.RoomID] = m.ID
	}
}

// A delivery that failed comes again under its own id, before the next one of
// its room; other rooms do not wait.
func TestWebhooksAreRepeated(t *testing.T) {
	b, got := newHooked(t, func(room int64, attempt int) int {
		if room == 1 && attempt < 3 {
			return []int{0, 503, 429}[attempt]
		}
		return 204
	})
	for _, room := range []int64{1, 1, 2} {
		if _, err := b.chat.speak(room, 1, "", "x"); err != nil {
			t.Fatal(err)
		}
	}
	var room1 []taken
	for range 7 {
		if m := <-got; m.RoomID == 1 {
			room1 = append(room1, m)
		}
	}
	for i, want := range []taken{{Message{ID: 1}, 1}, {Message{ID: 1}, 2}, {Message{ID: 1}, 3}, {Message{ID: 2}, 1}, {Message{ID: 2}, 2}, {Message{ID: 2}, 3}} {
		if room1[i].ID != want.ID || room1[i].attempt != want.attempt {
			t.Errorf("try %d is message %d, attempt %d; want %d, %d", i, room1[i].ID, room1[i].attempt, want.ID, want.attempt)
		}
	}
}

// What the receiver refuses for good, redirects included, is not repeated and
// does not hold up the room.
func TestWebhooksRefusedAreDropped(t *testing.T) {
	statuses := []int{401, 302, 409, 200}
	b, got := newHooked(t, func(_ int64, attempt int) int {
		if attempt > 1 {
			return 500
		}
		s := statuses[0]
		statuses = statuses[1:]
		return s
	})
	for range 4 {
		if _, err := b.chat.speak(1, 1, "", "x"); err != nil {
			t.Fatal(err)
		}
	}
	for want := int64(1); want <= 4; want++ {
		if m := <-got; m.ID != want || m.attempt != 1 {
			t.Errorf("message %d, attempt %d; want %d, 1", m.ID, m.attempt, want)
		}
	}
}

// Close does not wait for a receiver that is down.
func TestCloseEndsRetries(t *testing.T) {
	b, got := newHooked(t, func(int64, int) int { return 500 })
	if _, err := b.chat.speak(1, 1, "", "x"); err != nil {
		t.Fatal(err)
	}
	<-got
	b.Close()
	if _, err := b.chat.speak(1, 1, "", "after the end"); err != nil {
		t.Fatal(err)
	}
}
