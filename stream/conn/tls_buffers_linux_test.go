package conn

import (
	"bytes"
	"crypto/tls"
	"errors"
	"net"
	"reflect"
	"testing"
	"unsafe"

	"github.com/seed-078801ba/sidestream/stream/conn/certtest"
)

// tlsMemory is what a tls.Conn holds for what the peer sends, in bytes.
func tlsMemory(tc *tls.Conn) (n int) {
	for _, offset := range tlsBuffers.buffers {
		n += (*bytes.Buffer)(unsafe.Add(unsafe.Pointer(tc), offset)).Cap()
	}
	return n
}

// This Go has the fields whose memory an idle stream must not keep. If this fails
// with a new Go, see what they are called there.
func TestTLSBuffersAreKnown(t *testing.T) {
	if len(tlsBuffers.buffers) != 2 || len(tlsBuffers.readers) != 1 {
		t.Errorf("crypto/tls has other fields: %+v", tlsBuffers)
	}
	if found := findTLSBuffers(reflect.TypeFor[struct{ rawInput, input, hand []byte }]()); found.buffers != nil || found.readers != nil {
		t.Errorf("fields of other types are taken for buffers: %+v", found)
	}
}

// halving is a connection on which each write goes out in two halves, the second one
// when it may.
type halving struct {
	net.Conn
	second chan struct{} // nil: writes are whole
}

func (h *halving) Write(b []byte) (int, error) {
	if h.second == nil {
		return h.Conn.Write(b)
	}
	if n, err := h.Conn.Write(b[:len(b)/2]); err != nil {
		return n, err
	}
	<-h.second
	n, err := h.Conn.Write(b[len(b)/2:])
	return len(b)/2 + n, err
}

// An idle stream keeps no buffer of the handshake, nor of what its peer said once,
// and hears the peer all the same, also where half a record came and nothing more.
func TestIdleTLSKeepsNoBuffers(t *testing.T) {
	c, s := pair(t, "tcp")
	certificate := certtest.New(t)
	halves := &halving{Conn: c}
	client, server := tls.Client(halves, certificate.Client()), tls.Server(s, certificate.Server())
	done := make(chan error, 1)
	go func() { done <- server.Handshake() }()
	if err := errors.Join(client.Handshake(), <-done); err != nil {
		t.Fatal(err)
	}
	if tlsMemory(server) == 0 {
		t.Fatal("the handshake left no buffers: there is nothing to see here")
	}
	taken := TakeOver(server, Plain, Options{})
	defer taken.Close()
	if n := tlsMemory(server); n > 0 {
		t.Errorf("%d bytes of the handshake are kept", n)
	}
	p, err := NewPoller()
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	if err := taken.Watch(p, 7); err != nil {
		t.Fatal(err)
	}
	halves.second = make(chan struct{}, 1)
	wrote := make(chan error, 1)
	for i := range 3 {
		go func() {
			_, err := client.Write(bytes.Repeat([]byte{byte('a' + i)}, 1000))
			wrote <- err
		}()
		until(t, p, taken, "half a record", func(e Event) bool { return e.Readable })
		halves.second <- struct{}{}
		if got := hears(t, p, taken, 1000); !bytes.Equal(got, bytes.Repeat([]byte{byte('a' + i)}, 1000)) {
			t.Fatalf("heard %d bytes, %.20q", len(got), got)
		}
		if err := <-wrote; err != nil {
			t.Fatal(err)
		}
	}
	untilUnread(t, taken)
	if n := tlsMemory(server); n > 0 {
		t.Errorf("%d bytes are kept of what was said", n)
	}
}
