package pull

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/seed-078801ba/sidestream/stream/event"
)

// ringing runs a doorbell against an app, and gives what it pokes.
func ringing(t *testing.T, app http.Handler, c DoorbellConfig) <-chan string {
	t.Helper()
	server := httptest.NewServer(app)
	t.Cleanup(server.Close)
	pokes := make(chan string, 100)
	d, err := NewDoorbell(c, DoorbellOptions{
		Server: server.URL, Host: "chat.example.com", Logger: slog.New(slog.NewTextHandler(io.Discard, nil)),
		Poke: func(p event.Poke) { pokes <- p.Channel },
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); d.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		<-done
		http.DefaultClient.CloseIdleConnections()
	})
	return pokes
}

// expect waits for pokes, in order.
func expect(t *testing.T, pokes <-chan string, want ...string) {
	t.Helper()
	for _, w := range want {
		select {
		case got := <-pokes:
			if got != w {
				t.Errorf("poked %q, want %q", got, w)
			}
		case <-time.After(time.Minute):
			t.Fatalf("nothing poked %q", w)
		}
	}
}

// Each kind of doorbell pokes all when it begins, then the channels that are named, and
// comes back when the app has cut it off.
func TestDoorbells(t *testing.T) {
	webSocket := func(path, authorization string, messages ...string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path != path || r.Header.Get("Authorization") != authorization || r.Host != "chat.example.com" {
				t.Errorf("%s %s %v", r.Host, r.URL, r.Header)
			}
			c, err := websocket.Accept(w, r, nil)
			if err != nil {
				return
			}
			defer c.CloseNow()
			for _, m := range messages {
				if c.Write(r.Context(), websocket.MessageText, []byte(m)) != nil {
					return
				}
			}
		}
	}
	t.Run("mattermost", func(t *testing.T) {
		app := webSocket("/api/v4/websocket", "Bearer secret",
			`{"event":"hello"}`, `not JSON`, `{"event":"posted","broadcast":{"channel_id":"town"}}`,
			`{"event":"typing","broadcast":{"channel_id":"town"}}`, `{"event":"post_deleted","broadcast":{"channel_id":"off"}}`)
		pokes := ringing(t, app, DoorbellConfig{Kind: "mattermost", Token: "secret"})
		expect(t, pokes, "", "town", "off", "", "town", "off")
	})
	t.Run("websocket", func(t *testing.T) {
		var c DoorbellConfig
		for _, line := range [][]string{{"header", "Authorization", "Token {token}"}, {"poke", "{json.room}"}, {"send", `{"t":"{token}"}`}} {
			if err := c.Option(line[0], line[1:]); err != nil {
				t.Fatal(err)
			}
		}
		c.Kind, c.Address, c.Token = "websocket", "/live", "secret"
		app := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			c, err := websocket.Accept(w, r, nil)
			if err != nil {
				return
			}
			defer c.CloseNow()
			_, sent, err := c.Read(r.Context())
			if err != nil || string(sent) != `{"t":"secret"}` || r.Header.Get("Authorization") != "Token secret" {
				t.Errorf("%q, %v", sent, err)
			}
			_ = c.Write(r.Context(), websocket.MessageText, []byte(`{"room":7}`)) // the test ends
		})
		expect(t, ringing(t, app, c), "", "7", "")
	})
	t.Run("sse", func(t *testing.T) {
		c := DoorbellConfig{Kind: "sse", Address: "/events"}
		if err := c.Option("poke", []string{"{json.room}", "when", "{json.type}", "==", "new"}); err != nil {
			t.Fatal(err)
		}
		app := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "text/event-stream")
			fmt.Fprint(w, ": hello\n\nevent: x\ndata: {\"room\":\"1\",\ndata: \"type\":\"new\"}\n\ndata:{\"room\":\"2\",\"type\":\"old\"}\r\n\r\ndata: {\"room\":\"3\",\"type\":\"new\"}\n\n")
		})
		expect(t, ringing(t, app, c), "", "1", "3", "", "1", "3")
	})
	t.Run("zulip", func(t *testing.T) {
		queues := 0
		app := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if user, key, _ := r.BasicAuth(); user != "bot@example.com" || key != "secret" {
				t.Errorf("%v", r.Header)
			}
			switch {
			case r.URL.Path == "/api/v1/register" && r.Method == http.MethodPost:
				queues++
				fmt.Fprintf(w, `{"result":"success","queue_id":"q%d","last_event_id":-1}`, queues)
			case strings.Contains(r.URL.RawQuery, "last_event_id=-1"):
				fmt.Fprint(w, `{"result":"success","events":[{"id":4,"type":"message","message":{"stream_id":9}},{"id":5,"type":"heartbeat"}]}`)
			case strings.Contains(r.URL.RawQuery, "last_event_id=5"):
				fmt.Fprint(w, `{"result":"success","events":[{"id":6,"type":"update_message","stream_id":8}]}`)
			default:
				w.WriteHeader(http.StatusBadRequest)
				fmt.Fprint(w, `{"result":"error","code":"BAD_EVENT_QUEUE_ID"}`)
			}
		})
		expect(t, ringing(t, app, DoorbellConfig{Kind: "zulip", User: "bot@example.com", Token: "secret"}), "", "9", "8", "", "9", "8")
	})
}

func TestDoorbellsThatCannotWork(t *testing.T) {
	for _, c := range []struct {
		config DoorbellConfig
		server string
	}{
		{DoorbellConfig{Kind: "bell"}, "http://app"},
		{DoorbellConfig{Kind: "mattermost"}, "http://app"},
		{DoorbellConfig{Kind: "mattermost", Token: "x"}, ""},
		{DoorbellConfig{Kind: "sse"}, "http://app"},
		{DoorbellConfig{Kind: "websocket", Address: "/x"}, "http://app"},
		{DoorbellConfig{Kind: "zulip", Token: "x", Address: "ftp://app"}, ""},
	} {
		if _, err := NewDoorbell(c.config, DoorbellOptions{Server: c.server}); err == nil {
			t.Errorf("%+v was taken", c.config)
		}
	}
}
