package redis

import (
	"bytes"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/seed-078801ba/sidestream/stream/redisconn/redistest"
)

// proxy stands before Redis and can make subscriptions deaf: their connections
// stay open, and all others work.
type proxy struct {
	addr string
	deaf atomic.Bool
}

func newProxy(t *testing.T, server string) *proxy {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &proxy{addr: l.Addr().String()}
	var all sync.WaitGroup
	t.Cleanup(func() { l.Close(); all.Wait() })
	all.Go(func() {
		for {
			client, err := l.Accept()
			if err != nil {
				return
			}
			all.Go(func() { p.forward(client, server) })
		}
	})
	return p
}

func (p *proxy) forward(client net.Conn, addr string) {
	defer client.Close()
	server, err := net.Dial("tcp", addr)
	if err != nil {
		return
	}
	var subscribed atomic.Bool
	var back sync.WaitGroup
	back.Go(func() {
		defer client.Close()
		b := make([]byte, 4096)
		for {
			n, err := server.Read(b)
			if err != nil {
				return
			}
			if !subscribed.Load() || !p.deaf.Load() {
				if _, err := client.Write(b[:n]); err != nil {
					return
				}
			}
		}
	})
	b := make([]byte, 4096)
	for {
		n, err := client.Read(b)
		if err == nil {
			if bytes.Contains(b[:n], []byte("SUBSCRIBE")) {
				subscribed.Store(true)
			}
			_, err = server.Write(b[:n])
		}
		if err != nil {
			break
		}
	}
	server.Close()
	back.Wait()
}

// A subscription that hears nothing, while everything else works, is found out
// by its probe, and given up for a new one.
func TestDeafSubscription(t *testing.T) {
	server := redistest.Start(t)
	p := newProxy(t, server.Addr)
	m := newMemory()
	s := run(t, rooms(p.addr), Options{Publisher: m}).connected()
	a := newApp(t, server.Addr)
	a.publish("room:1", "1")
	m.waitFor(t, "1", "1")
	p.deaf.Store(true)
	a.publish("room:1", "2")
	redistest.Until(t, "the source notices", func() bool { return !s.Connected() })
	p.deaf.Store(false)
	redistest.Until(t, "it says why", func() bool { // whichever of its two clocks runs out first
		return strings.Contains(s.log.String(), errSilent.Error()) || strings.Contains(s.log.String(), "i/o timeout")
	})
	s.connected()
	m.has(t, "1", "gap")
	a.publish("room:1", "3")
	m.waitFor(t, "1", "1", "gap", "3")
	s.end()
}
