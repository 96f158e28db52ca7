package conn

import (
	"bufio"
	"bytes"
	"io"
	"net/http/httputil"
	"strings"
	"testing"
)

func TestChunks(t *testing.T) {
	var b []byte
	want := ""
	for _, message := range []string{"a", "", strings.Repeat("b", 70_000), "c\r\n"} {
		before := len(b)
		b = Chunked.Append(b, []byte(message))
		if grown := len(b) - before; grown > len(message)+Overhead {
			t.Errorf("%d bytes around a message", grown-len(message))
		}
		want += message
	}
	got, err := io.ReadAll(httputil.NewChunkedReader(bytes.NewReader(Chunked.AppendEnd(b, CloseAway, "away"))))
	if err != nil || string(got) != want {
		t.Errorf("read %d bytes, %v", len(got), err)
	}
}

func TestPlain(t *testing.T) {
	if got := string(Plain.AppendEnd(Plain.Append(nil, []byte("x")), CloseAway, "away")); got != "x" {
		t.Errorf("got %q", got)
	}
}

// frame reads one frame as RFC 6455, 5.2 describes it.
func frame(t *testing.T, r *bufio.Reader) (kind Opcode, payload []byte) {
	t.Helper()
	next := func(n int) []byte {
		b := make([]byte, n)
		if _, err := io.ReadFull(r, b); err != nil {
			t.Fatal(err)
		}
		return b
	}
	head := next(2)
	if head[0]&0xf0 != 0x80 || head[1]&0x80 != 0 {
		t.Fatalf("head %x: not a whole message without a mask", head)
	}
	n := int(head[1])
	if extended := map[int]int{126: 2, 127: 8}[n]; extended > 0 {
		n = 0
		for _, d := range next(extended) {
			n = n<<8 | int(d)
		}
	}
	return Opcode(head[0] & 15), next(n)
}

func TestWebSocketFrames(t *testing.T) {
	var b []byte
	sizes := []int{1, 125, 126, 0xffff, 0x10000}
	for _, n := range sizes {
		b = WebSocket.Append(b, bytes.Repeat([]byte("x"), n))
	}
	b = WebSocket.Append(b, nil)
	b = AppendWebSocket(b, PongFrame, []byte("ping"))
	b = WebSocket.AppendEnd(b, CloseAway, strings.Repeat("y", 200))
	r := bufio.NewReader(bytes.NewReader(b))
	for _, n := range sizes {
		if kind, payload := frame(t, r); kind != TextFrame || len(payload) != n {
			t.Errorf("a frame of kind %d with %d bytes instead of %d", kind, len(payload), n)
		}
	}
	if kind, payload := frame(t, r); kind != PongFrame || string(payload) != "ping" {
		t.Errorf("pong: kind %d, %q", kind, payload)
	}
	if kind, payload := frame(t, r); kind != CloseFrame || string(payload[:5]) != "\x03\xe9yyy" || len(payload) != 125 {
		t.Errorf("close: kind %d, %q", kind, payload)
	}
	if _, err := r.ReadByte(); err != io.EOF {
		t.Error("something follows")
	}
}
