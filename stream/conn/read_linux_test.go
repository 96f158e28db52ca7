package conn

import (
	"crypto/tls"
	"runtime"
	"testing"
	"time"
)

// No goroutine stays with a peer that has said something, or half of something.
func TestHearingTLSEndsItsGoroutine(t *testing.T) {
	client, server := tlsPair(t)
	c := TakeOver(server, Plain, Options{})
	defer c.Close()
	p, err := NewPoller()
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	if err := c.Watch(p, 7); err != nil {
		t.Fatal(err)
	}
	go client.Write([]byte("hello"))
	hears(t, p, c, 5)
	client.(*tls.Conn).NetConn().Write([]byte{23, 3, 3, 0, 40, 1, 2, 3}) // a record begins
	until(t, p, c, "readable", func(e Event) bool { return e.Readable })
	untilUnread(t, c)
}

// untilUnread waits until no goroutine reads a connection over TLS.
func untilUnread(t *testing.T, c Conn) {
	t.Helper()
	idle := func() bool {
		a := c.(*tlsSocket).arrivals
		a.mu.Lock()
		defer a.mu.Unlock()
		return !a.reading
	}
	for deadline := time.Now().Add(20 * time.Second); !idle(); runtime.Gosched() {
		if time.Now().After(deadline) {
			t.Fatal("a goroutine waits for the rest of a record")
		}
	}
}
