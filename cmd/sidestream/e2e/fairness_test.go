package e2e

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// fairSite asks again every two seconds, and remembers little.
func fairSite(b *testBackend, more string) string {
	return strings.Replace(b.directives("history {\n store memory\n}"), "user  json user_id",
		"user  json user_id\n cache 1s\n negative 1s\n recheck 2s\n"+more, 1)
}

// hammer sends so many requests a second, each on a connection of its own, and
// lets each wait for its answer for the time given. The result ends it.
func (s *server) hammer(perSecond int, wait time.Duration, request func(i int) string) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	var work sync.WaitGroup
	send := func(i int) {
		conn, err := net.Dial("tcp", "127.0.0.1:"+s.port)
		if err != nil {
			return
		}
		defer conn.Close()
		conn.SetDeadline(time.Now().Add(wait))
		fmt.Fprintf(conn, "%s\r\nHost: %s\r\n\r\n", request(i), strings.TrimPrefix(s.url, "http://"))
		io.Copy(io.Discard, conn)
	}
	work.Go(func() {
		tick := time.NewTicker(time.Second / time.Duration(perSecond))
		defer tick.Stop()
		for i := 0; ctx.Err() == nil; i++ {
			select {
			case <-tick.C:
				work.Go(func() { send(i) })
			case <-ctx.Done():
			}
		}
	})
	return func() { cancel(); work.Wait() }
}

// tryOpen asks for a stream and tells the status; it leaves the stream open if
// there is one.
func (s *server) tryOpen(target, token string) int {
	s.t.Helper()
	st := s.open(target, basic(token))
	return st.status
}

// Rooms for which the app fails or hangs are the trouble of those who ask for
// them, and of nobody else: beside 50 failing and 50 hanging questions a second
// from the same address, good clients open, and streams that are denied end in
// time.
func TestFailuresOfSomeShutOutNobody(t *testing.T) {
	b := newBackend(t)
	never := make(chan struct{})
	t.Cleanup(func() { close(never) })
	var mu sync.Mutex
	deny := false
	b.decideBy(func(q question) (verdict, bool) {
		switch {
		case strings.HasPrefix(q.channel, "fail"):
			return verdict{status: 500, body: "no"}, true
		case strings.HasPrefix(q.channel, "hang"):
			return verdict{until: never}, true
		case q.channel == "secret":
			mu.Lock()
			defer mu.Unlock()
			if deny {
				return verdict{status: 403}, true
			}
		}
		return verdict{}, true
	})
	s := start(t, fairSite(b, ""))
	var denied []*rawStream
	for i := range 10 {
		st := s.open("/room/secret/live.json", basic(fmt.Sprint("listener", i)))
		if st.status != 200 {
			t.Fatalf("before the flood: %d", st.status)
		}
		denied = append(denied, st)
	}
	for _, kind := range []string{"fail", "hang"} {
		defer s.hammer(50, 5*time.Second, func(i int) string {
			return fmt.Sprintf("GET /room/%s%d/live.json HTTP/1.1\r\n%s", kind, i, basic(fmt.Sprint("mallory", i)))
		})()
	}
	eventually(t, "the flood is there", func() bool {
		hanging := slices.IndexFunc(b.asked(), func(q question) bool { return q.channel == "hang40" })
		failing := slices.IndexFunc(b.asked(), func(q question) bool { return q.channel == "fail40" })
		return hanging >= 0 && failing >= 0
	})
	refused := 0
	for i := range 60 {
		if status := s.tryOpen("/room/good/live.json", fmt.Sprint("good", i)); status != 200 {
			refused++
		}
	}
	if refused > 6 { // without turns, nearly all are
		t.Errorf("%d of 60 good clients were refused", refused)
	}
	mu.Lock()
	deny = true
	mu.Unlock()
	begun := time.Now()
	for _, st := range denied {
		st.rest() // an error is the stream's end as well
	}
	if took := time.Since(begun); took > 20*time.Second { // the machine may be busy; it was 48 s once
		t.Errorf("denied streams ran for %v more", took)
	}
}

// A client is refused at the first of many channels that it may not have, so
// that floods of such requests cost the app one question each and delay nobody.
func TestManyChannelsCostOneQuestion(t *testing.T) {
	b := newBackend(t)
	b.decideBy(func(q question) (verdict, bool) {
		if strings.HasPrefix(q.token, "mallory") {
			return verdict{status: 403}, true
		}
		return verdict{}, true
	})
	s := start(t, fairSite(b, ""))
	var rooms []string
	for i := range 60 {
		rooms = append(rooms, fmt.Sprint("closed", i))
	}
	filter := strings.Join(rooms, ",")
	stop := s.hammer(100, 10*time.Second, func(i int) string {
		return fmt.Sprintf("GET /flows?filter=%s HTTP/1.1\r\n%s", filter, basic(fmt.Sprint("mallory", i)))
	})
	eventually(t, "the flood is there", func() bool { return len(b.asked()) > 50 })
	for i := range 50 {
		if status := s.tryOpen("/room/good/live.json", fmt.Sprint("good", i)); status != 200 {
			t.Errorf("good client %d: %d", i, status)
		}
	}
	stop()
	perToken := map[string]int{}
	for _, q := range b.asked() {
		perToken[q.token]++
	}
	for token, n := range perToken {
		if n > 1 && strings.HasPrefix(token, "mallory") {
			t.Fatalf("the app was asked %d times about %s", n, token)
		}
	}
}

// A bad token counts when the app has answered, whether or not whoever sent it
// is still there: of 1,500, few reach the app.
func TestHangingUpHidesNoGuess(t *testing.T) {
	b := newBackend(t)
	b.decideBy(func(q question) (verdict, bool) {
		if strings.HasPrefix(q.token, "guess") {
			return verdict{status: 401}, true
		}
		return verdict{}, false
	})
	s := start(t, fairSite(b, ""))
	s.open("/room/1/live.json", basic(goodToken))
	host := strings.TrimPrefix(s.url, "http://")
	for i := range 1500 {
		conn, err := net.Dial("tcp", "127.0.0.1:"+s.port)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(conn, "GET /room/1/live.json HTTP/1.1\r\nHost: %s\r\n%s\r\n\r\n", host, basic(fmt.Sprint("guess", i)))
		conn.Close() // at once
	}
	eventually(t, "the address is blocked", func() bool { return s.tryOpen("/room/1/live.json", "guess-more") == 429 })
	guesses := 0
	for _, q := range b.asked() {
		if strings.HasPrefix(q.token, "guess") {
			guesses++
		}
	}
	if guesses > 60 {
		t.Errorf("%d guesses reached the app", guesses)
	}
	eventually(t, "the verdict on the good token is old", func() bool {
		before := len(b.asked())
		return s.tryOpen("/room/1/live.json", goodToken) == 200 && len(b.asked()) > before
	})
}

// How long an app takes to say no, and how it says it, does not tell whether
// there is such a room, where that is to be hidden.
func TestHiddenRoomsLookAlike(t *testing.T) {
	b := newBackend(t)
	b.decideBy(func(q question) (verdict, bool) {
		switch {
		case strings.HasPrefix(q.channel, "there"):
			slow := make(chan struct{})
			time.AfterFunc(40*time.Millisecond, func() { close(slow) })
			return verdict{status: 403, until: slow}, true
		case strings.HasPrefix(q.channel, "absent"):
			return verdict{status: 404}, true
		}
		return verdict{}, true
	})
	s := start(t, fairSite(b, "hide"))
	ask := func(target string) (answer string, took time.Duration) {
		conn, err := net.Dial("tcp", "127.0.0.1:"+s.port)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		begun := time.Now()
		fmt.Fprintf(conn, "GET %s HTTP/1.1\r\nHost: %s\r\n%s\r\n\r\n", target, strings.TrimPrefix(s.url, "http://"), basic("mallory"))
		resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil {
			t.Fatal(err)
		}
		took = time.Since(begun)
		text, _ := io.ReadAll(resp.Body)
		resp.Header.Del("Date")
		return fmt.Sprint(resp.StatusCode, resp.Header, string(text)), took
	}
	for _, form := range []string{"/room/%s/live.json", "/flows?filter=%s", "/flows?filter=open,%s"} {
		i := 0
		// On a busy machine some answers take longer, whatever they are.
		eventually(t, "both take the same time for "+form, func() bool {
			i++
			there, tookThere := ask(fmt.Sprintf(form, fmt.Sprint("there", i)))
			absent, tookAbsent := ask(fmt.Sprintf(form, fmt.Sprint("absent", i)))
			if there != absent || !strings.HasPrefix(there, "404") {
				t.Errorf("%s: %s; %s", form, there, absent)
			}
			r := float64(tookThere) / float64(tookAbsent)
			return r < 1.25 && r > 0.8
		})
	}
}
