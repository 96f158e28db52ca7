package stream

import (
	"bytes"
	"context"
	"crypto/sha1"
	"encoding/base64"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/websocket"

	"github.com/seed-078801ba/sidestream/stream/conn"
	"github.com/seed-078801ba/sidestream/stream/log"
)

// webSocket opens a WebSocket to a stream of the hub, with a client that others
// wrote.
func webSocket(t *testing.T, h *Hub, o Opening) (*websocket.Conn, *Stream) {
	t.Helper()
	c, nc := tcpPair(t)
	go func() { // the server's side of the handshake, which is not this package's
		b := make([]byte, 4096)
		n, _ := nc.Read(b)
		_, rest, _ := strings.Cut(string(b[:n]), "Sec-WebSocket-Key: ")
		key, _, _ := strings.Cut(rest, "\r\n")
		fmt.Fprintf(nc, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: %s\r\n\r\n", acceptKey(key))
	}()
	config, err := websocket.NewConfig("ws://localhost/", "http://localhost/")
	if err != nil {
		t.Fatal(err)
	}
	ws, err := websocket.NewClient(config, c)
	if err != nil {
		t.Fatal(err)
	}
	o.Conn = conn.TakeOver(nc, conn.WebSocket, conn.Options{})
	o.Spec, o.Standing = &Spec{Format: resumable, Heartbeat: time.Hour}, true
	s, err := h.Attach(o)
	if err != nil {
		t.Fatal(err)
	}
	return ws, s
}

func TestWebSocketStream(t *testing.T) {
	h := newHub(t, Config{}, log.Retention{})
	plain, _ := listen(t, h, opening{format: resumable, channels: []string{"a"}})
	ws, s := webSocket(t, h, Opening{Prelude: [][]byte{[]byte("- hello\n")}})
	next := func() string {
		t.Helper()
		ws.SetReadDeadline(time.Now().Add(20 * time.Second))
		for {
			var m string
			if err := websocket.Message.Receive(ws, &m); err != nil {
				return err.Error()
			}
			if !strings.HasSuffix(m, "HEARTBEAT\n") {
				_, m, _ = strings.Cut(m, " ")
				return m
			}
		}
	}
	s.Join("a", resolve(t, h, "a", From{}))
	settle(t, s)
	long := strings.Repeat("x", 70_000)
	say(t, h, "a", "1", long)
	plain.expect("a 1", "a "+long)
	for _, want := range []string{"hello\n", "a 1\n", "a " + long + "\n"} {
		if got := next(); got != want {
			t.Fatalf("got %.100q, want %.100q", got, want)
		}
	}
	s.SendRaw(conn.AppendWebSocket(nil, conn.PingFrame, []byte("are you there")))
	h.Drain(context.Background())
	var raw []byte
	for {
		frame, err := nextFrame(ws)
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.HasSuffix(frame, []byte("HEARTBEAT\n")) { // its first may come at any time
			raw = append(raw, frame...)
		}
	}
	if want := "\x89\x0dare you there\x81\x04BYE\n\x88\x0f\x03\xe9shutting-down"; string(raw) != want {
		t.Errorf("at the end: %q, want %q", raw, want)
	}
}

// acceptKey is the server's proof that it speaks the protocol (RFC 6455, 4.2.2).
func acceptKey(key string) string {
	sum := sha1.Sum([]byte(key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"))
	return base64.StdEncoding.EncodeToString(sum[:])
}

// nextFrame is the next frame that the client has not read, with its header.
func nextFrame(ws *websocket.Conn) ([]byte, error) {
	frame, err := ws.NewFrameReader()
	if err != nil {
		return nil, err
	}
	head, err := io.ReadAll(frame.HeaderReader())
	if err != nil {
		return nil, err
	}
	payload, err := io.ReadAll(frame)
	return append(head, payload...), err
}
