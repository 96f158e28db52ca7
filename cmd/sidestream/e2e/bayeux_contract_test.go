package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/net/websocket"
)

// hopper is a client with acknowledgements that changes its transport, and is cut off,
// again and again.
type hopper struct {
	session *bayeuxSession
	ack     int
	got     map[string][]string // bodies, by channel
	wrong   error
}

// take notes the replies of one connect, and tells whether the connect was answered.
func (h *hopper) take(replies []bayeuxReply) (answered bool) {
	for _, r := range replies {
		switch {
		case r.is("/meta/connect"):
			if !r.ok() {
				h.wrong = fmt.Errorf("a connect failed: %v", r)
				return true
			}
			if n, ok := r.object("ext")["ack"].(float64); ok {
				h.ack = int(n)
			}
			answered = true
		case r["data"] != nil:
			h.got[r.text("channel")] = append(h.got[r.text("channel")], fmt.Sprint(r.object("data")["content"]))
		default:
			h.wrong = fmt.Errorf("unexpected: %v", r)
			return true
		}
	}
	return answered
}

// message is the next connect.
func (h *hopper) message(kind string) string {
	h.session.sent++
	return fmt.Sprintf(`[{"channel":"/meta/connect","clientId":%q,"connectionType":%q,"id":"h%d","ext":{"ack":%d}}]`, h.session.id, kind, h.session.sent, h.ack)
}

// poll is one connect over HTTP, which may be cut off before it is answered.
func (h *hopper) poll() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Duration(5+rand.IntN(200))*time.Millisecond)
	defer cancel()
	resp, err := http.DefaultTransport.RoundTrip(h.session.request(h.message("long-polling")).WithContext(ctx))
	if err != nil {
		return
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	var replies []bayeuxReply
	if err == nil && resp.StatusCode == http.StatusOK && json.Unmarshal(body, &replies) == nil {
		h.take(replies)
	}
}

// socket is some connects over a WebSocket.
func (h *hopper) socket() {
	config, err := websocket.NewConfig("ws"+strings.TrimPrefix(h.session.server.url, "http")+"/faye", h.session.server.url)
	if err != nil {
		panic(err) // the test's own mistake
	}
	ws, err := websocket.DialConfig(config)
	if err != nil {
		return
	}
	defer ws.Close()
	for range 1 + rand.IntN(5) {
		ws.SetDeadline(time.Now().Add(time.Duration(5+rand.IntN(300)) * time.Millisecond))
		if websocket.Message.Send(ws, h.message("websocket")) != nil {
			return
		}
		for answered := false; !answered; {
			var frame string
			if websocket.Message.Receive(ws, &frame) != nil {
				return
			}
			var replies []bayeuxReply
			if json.Unmarshal([]byte(frame), &replies) != nil {
				h.wrong = fmt.Errorf("a frame is %q", frame)
				return
			}
			answered = h.take(replies)
		}
	}
}

// Clients that change their transports and are cut off all the time get everything
// once and in order, over reloads as well.
func TestBayeuxContract(t *testing.T) {
	const clients, messages = 50, 300
	b := newBackend(t)
	directives := b.directives("bayeux {\n timeout 20s\n}\nhistory {\n store memory\n}")
	s := start(t, directives)
	channels := []string{"a", "b", "a/below"}
	last := fmt.Sprint("message ", messages)
	var running sync.WaitGroup
	var hoppers []*hopper
	deadline := time.Now().Add(2 * time.Minute)
	for range clients {
		c := newSession(t, s, goodToken)
		c.handshake(`{"ack":true}`)
		if e := c.subscribe("/rooms/a", "/rooms/b", "/rooms/a/*"); e != "" {
			t.Fatal(e)
		}
		h := &hopper{session: c, ack: -1, got: map[string][]string{}}
		hoppers = append(hoppers, h)
		running.Go(func() {
			done := func() bool {
				for _, channel := range channels {
					if got := h.got["/rooms/"+channel]; len(got) == 0 || got[len(got)-1] != last {
						return false
					}
				}
				return true
			}
			for h.wrong == nil && !done() && time.Now().Before(deadline) {
				if rand.IntN(2) == 0 {
					h.poll()
				} else {
					h.socket()
				}
			}
		})
	}
	for i := 1; i <= messages; i++ {
		for _, channel := range channels {
			s.publish(channel, i, fmt.Sprint("message ", i))
		}
		if i%100 == 0 {
			s.reload(strings.Replace(directives, "20s", fmt.Sprintf("%ds", 20+i), 1))
		}
	}
	running.Wait()
	var want []string
	for i := 1; i <= messages; i++ {
		want = append(want, fmt.Sprint("message ", i))
	}
	for i, h := range hoppers {
		if h.wrong != nil {
			t.Errorf("client %d: %v", i, h.wrong)
		}
		for _, channel := range channels {
			if got := h.got["/rooms/"+channel]; fmt.Sprint(got) != fmt.Sprint(want) {
				t.Errorf("client %d, channel %s: got %d messages that are not those that were said: %.600q", i, channel, len(got), got)
			}
		}
	}
}
