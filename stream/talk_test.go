package stream

import (
	"bytes"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/seed-078801ba/sidestream/stream/conn"
	"github.com/seed-078801ba/sidestream/stream/conn/certtest"
	"github.com/seed-078801ba/sidestream/stream/event"
	"github.com/seed-078801ba/sidestream/stream/format"
	"github.com/seed-078801ba/sidestream/stream/log"
)

// wordless is a format without a heartbeat, as those of WebSockets are.
type wordless struct{ lines }

func (wordless) Name() string                                  { return "wordless" }
func (wordless) Heartbeat(dst []byte, _ event.Cursor) []byte   { return dst }
func (wordless) Farewell(dst []byte, _ format.Farewell) []byte { return dst }

// sockets are the ways in which a WebSocket is carried.
var sockets = map[string]func(t *testing.T) (client net.Conn, server conn.Conn){
	"socket": func(t *testing.T) (net.Conn, conn.Conn) {
		c, s := tcpPair(t)
		return c, conn.TakeOver(s, conn.WebSocket, conn.Options{})
	},
	"goroutine": func(t *testing.T) (net.Conn, conn.Conn) {
		c, s := tcpPair(t)
		return c, conn.TakeOver(struct{ net.Conn }{s}, conn.WebSocket, conn.Options{})
	},
	"tls": func(t *testing.T) (net.Conn, conn.Conn) {
		c, s := tcpPair(t)
		certificate := certtest.New(t)
		server, client := tls.Server(s, certificate.Server()), tls.Client(c, certificate.Client())
		done := make(chan error)
		go func() { done <- server.Handshake() }()
		if err := errors.Join(client.Handshake(), <-done); err != nil {
			t.Fatal(err)
		}
		return client, conn.TakeOver(server, conn.WebSocket, conn.Options{})
	},
	"handler": func(t *testing.T) (net.Conn, conn.Conn) {
		c, s := tcpPair(t)
		d := conn.NewDuplex(unframed{s}, s, conn.WebSocket)
		go func() { // as a server does
			defer s.Close()
			d.Serve(t.Context())
		}()
		return c, d
	},
}

type unframed struct{ net.Conn }

func (unframed) Flush() error { return nil }
func (c unframed) Abort()     { c.Close() }
func (unframed) Break()       {}

// spoken is a frame as a client sends it: with a mask, of zeros here.
func spoken(kind conn.Opcode, payload string) []byte {
	b := conn.AppendWebSocket(nil, kind, []byte(payload))
	head := len(b) - len(payload)
	b[1] |= 0x80
	return append(append(bytes.Clone(b[:head]), 0, 0, 0, 0), payload...)
}

// talker is a WebSocket's client that leaves everything to the test.
type talker struct {
	t      *testing.T
	c      net.Conn
	closed chan Closed
}

// talk opens a WebSocket whose client is heard by m.
func talkTo(t *testing.T, h *Hub, kind string, beat time.Duration, m *Messages, take func(*Stream, []byte)) talker {
	t.Helper()
	c, server := sockets[kind](t)
	c.SetDeadline(time.Now().Add(30 * time.Second))
	closed := make(chan Closed, 1)
	_, err := h.Attach(Opening{
		Conn: server, Spec: &Spec{Format: wordless{}, Heartbeat: beat}, Standing: true, Input: m.Input(take),
		OnClose: func(c Closed) { closed <- c },
	})
	if err != nil {
		t.Fatal(err)
	}
	return talker{t, c, closed}
}

func (c talker) says(frames ...[]byte) {
	c.t.Helper()
	if _, err := c.c.Write(bytes.Join(frames, nil)); err != nil {
		c.t.Error(err)
	}
}

// gets wants these bytes next.
func (c talker) gets(want string) {
	c.t.Helper()
	got := make([]byte, len(want))
	if n, err := io.ReadFull(c.c, got); err != nil || string(got) != want {
		c.t.Errorf("got %q, %v; want %q", got[:n], err, want)
	}
}

// ends wants the connection to end, for a reason.
func (c talker) ends(reason CloseReason) {
	c.t.Helper()
	if rest, err := io.ReadAll(c.c); err != nil || len(rest) > 0 {
		c.t.Errorf("at the end: %q, %v", rest, err)
	}
	c.c.Close()
	if closed := <-c.closed; closed.Reason != reason {
		c.t.Errorf("ended: %s, want %s", closed.Reason, reason)
	}
}

func closing(code int, word string) string {
	return string(conn.WebSocket.AppendEnd(nil, conn.CloseCode(code), word))
}

func answer(s *Stream, text []byte) { s.Send([]byte("heard " + string(text))) }

func TestMessagesOfAWebSocket(t *testing.T) {
	for kind := range sockets {
		t.Run(kind, func(t *testing.T) {
			h := newHub(t, Config{}, log.Retention{})
			c := talkTo(t, h, kind, time.Hour, &Messages{Limit: 100, PerSecond: 100}, answer)
			c.says(spoken(conn.TextFrame, "a"), spoken(conn.PingFrame, "there?"), spoken(conn.TextFrame, "b"), spoken(conn.PongFrame, ""))
			c.gets("\x81\x07heard a\x8a\x06there?\x81\x07heard b")
			b := spoken(conn.TextFrame, "in pieces")
			c.says(b[:3])
			c.says(b[3:])
			c.gets("\x81\x0fheard in pieces")
			c.says(spoken(conn.CloseFrame, "\x0f\xa0bye"), spoken(conn.TextFrame, "too late"))
			c.gets(closing(4000, "client-left"))
			c.ends(ClientLeft)
		})
	}
}

func TestWebSocketsThatAreEnded(t *testing.T) {
	h := newHub(t, Config{}, log.Retention{})
	for name, test := range map[string]struct {
		says   []byte
		code   int
		reason CloseReason
	}{
		"closed without a code": {spoken(conn.CloseFrame, ""), 1000, ClientLeft},
		"no mask":               {conn.AppendWebSocket(nil, conn.TextFrame, []byte("x")), 1002, BadInput},
		"not UTF-8":             {spoken(conn.TextFrame, "\xff"), 1007, BadInput},
		"too big":               {spoken(conn.TextFrame, strings.Repeat("x", 101)), 1009, BadInput},
		"binary":                {spoken(conn.BinaryFrame, "x"), 1003, BadInput},
		"messages in a flood":   {bytes.Repeat(spoken(conn.TextFrame, ""), 25), 1008, Flooding},
		"pings in a flood":      {bytes.Repeat(spoken(conn.PingFrame, ""), 25), 1008, Flooding},
		"fragments in a flood":  {append([]byte{1, 0x80, 0, 0, 0, 0}, bytes.Repeat([]byte{0, 0x80, 0, 0, 0, 0}, 20_000)...), 1008, Flooding},
	} {
		t.Run(name, func(t *testing.T) {
			c := talkTo(t, h, "socket", time.Hour, &Messages{Limit: 100, PerSecond: 2}, func(*Stream, []byte) {})
			go c.c.Write(test.says)
			want := closing(test.code, string(test.reason))
			got, _ := io.ReadAll(c.c) // a peer that still talks may cut the end off
			if frames := bytes.ReplaceAll(got, []byte("\x8a\x00"), nil); string(frames) != want {
				t.Errorf("got %q, want %q", frames, want)
			}
			c.c.Close()
			if closed := <-c.closed; closed.Reason != test.reason {
				t.Errorf("ended: %s", closed.Reason)
			}
		})
	}
}

// A client may say much at once that has been silent for a while.
func TestWhoWasSilentMaySayMuch(t *testing.T) {
	h := newHub(t, Config{}, log.Retention{})
	c := talkTo(t, h, "socket", time.Hour, &Messages{Limit: 100, PerSecond: 2}, answer)
	var want string
	for i := range 9 {
		c.says(spoken(conn.TextFrame, fmt.Sprint(i)))
		want += fmt.Sprintf("\x81\x07heard %d", i)
	}
	c.gets(want)
}

// A client that answers no ping is gone, however well its connection is; one that
// does is not.
func TestWhoAnswersNoPingIsGone(t *testing.T) {
	h := newHub(t, Config{}, log.Retention{})
	m := &Messages{Limit: 100, PerSecond: 100}
	lively := talkTo(t, h, "socket", 100*time.Millisecond, m, answer)
	silent := talkTo(t, h, "socket", 100*time.Millisecond, m, answer)
	silent.gets("\x89\x00\x89\x00\x89\x00")
	for range 5 {
		lively.gets("\x89\x00")
		lively.says(spoken(conn.PongFrame, ""))
	}
	silent.ends(ClientGone)
	lively.says(spoken(conn.CloseFrame, ""))
	if closed := <-lively.closed; closed.Reason != ClientLeft {
		t.Errorf("the lively one ended: %s", closed.Reason)
	}
}
