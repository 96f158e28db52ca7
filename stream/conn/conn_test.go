package conn

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"runtime"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/seed-078801ba/sidestream/stream/conn/certtest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func pair(t testing.TB, network string) (client, server net.Conn) {
	t.Helper()
	addr := "127.0.0.1:0"
	if network == "unix" {
		addr = t.TempDir() + "/s"
	}
	l, err := net.Listen(network, addr)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if client, err = net.Dial(network, l.Addr().String()); err != nil {
		t.Fatal(err)
	}
	if server, err = l.Accept(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { client.Close() })
	return client, server
}

func tlsPair(t testing.TB) (client, server net.Conn) {
	t.Helper()
	c, s := pair(t, "tcp")
	certificate := certtest.New(t)
	tc, ts := tls.Client(c, certificate.Client()), tls.Server(s, certificate.Server())
	done := make(chan error, 1)
	go func() { done <- ts.Handshake() }()
	if err := errors.Join(tc.Handshake(), <-done); err != nil {
		t.Fatal(err)
	}
	return tc, ts
}

// connections are all kinds, over real sockets.
var connections = map[string]struct {
	kind Kind
	make func(t *testing.T) (net.Conn, Conn)
}{
	"tcp": {Epoll, func(t *testing.T) (net.Conn, Conn) {
		c, s := pair(t, "tcp")
		return c, TakeOver(s, Plain, Options{SendBuffer: 16 << 10, UnackedMillis: 1000})
	}},
	"unix": {Epoll, func(t *testing.T) (net.Conn, Conn) {
		c, s := pair(t, "unix")
		return c, TakeOver(s, Plain, Options{SendBuffer: 16 << 10})
	}},
	"tls": {TLS, func(t *testing.T) (net.Conn, Conn) {
		c, s := tlsPair(t)
		return c, TakeOver(s, Plain, Options{SendBuffer: 16 << 10})
	}},
	"wrapped": {Goroutine, func(t *testing.T) (net.Conn, Conn) {
		c, s := pair(t, "tcp")
		return c, TakeOver(struct{ net.Conn }{s}, Plain, Options{})
	}},
	"handler": {Handler, func(t *testing.T) (net.Conn, Conn) {
		c, s := pair(t, "tcp")
		r := NewResponder(plain{s})
		ctx, cancel := context.WithCancel(context.Background())
		go func() {
			defer cancel()
			io.Copy(io.Discard, s)
		}()
		go func() {
			defer s.Close()
			r.Serve(ctx)
		}()
		return c, r
	}},
}

func forAll(t *testing.T, test func(t *testing.T, client net.Conn, c Conn, p *Poller)) {
	for name, k := range connections {
		t.Run(name, func(t *testing.T) {
			p, err := NewPoller()
			if err != nil {
				t.Fatal(err)
			}
			client, c := k.make(t)
			if c.Kind() != k.kind {
				t.Errorf("kind %s", c.Kind())
			}
			if err := c.Watch(p, 7); err != nil {
				t.Fatal(err)
			}
			test(t, client, c, p)
			c.Close()
			c.Close()
			p.Close()
		})
	}
}

// until waits for an event that satisfies the condition.
func until(t *testing.T, p *Poller, c Conn, what string, is func(Event) bool) {
	t.Helper()
	deadline := time.Now().Add(20 * time.Second)
	for time.Now().Before(deadline) {
		events, err := p.Wait(nil, time.Second)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range events {
			if e.Token != 7 {
				t.Fatalf("event for token %d", e.Token)
			}
			if e.Readable && c.Read(nil) {
				e.Gone = true
			}
			if is(e) {
				return
			}
		}
	}
	t.Fatalf("never %s", what)
}

// Whatever is taken arrives, in order and whole, however slowly it is read.
func TestEverythingTakenArrives(t *testing.T) {
	forAll(t, func(t *testing.T, client net.Conn, c Conn, p *Poller) {
		want := make([]byte, 4<<20)
		rand.Read(want)
		got := make(chan []byte)
		go func() {
			b, _ := io.ReadAll(client)
			client.Close()
			got <- b
		}()
		for sent := 0; sent < len(want); {
			var bufs [][]byte
			for rest := want[sent:min(len(want), sent+100_000)]; len(rest) > 0; {
				n := min(len(rest), 1+len(rest)/7)
				bufs, rest = append(bufs, rest[:n]), rest[n:]
			}
			n, err := c.Write(bufs)
			if err != nil {
				t.Fatal(err)
			}
			sent += n
			if n < size(bufs) {
				until(t, p, c, "writable", func(e Event) bool { return e.Writable })
			}
		}
		for n, err := c.Write([][]byte{{'!'}}); n == 0 && err == nil; n, err = c.Write([][]byte{{'!'}}) {
			until(t, p, c, "writable", func(e Event) bool { return e.Writable })
		}
		c.Finish()
		if b := <-got; !bytes.Equal(b, append(want, '!')) {
			t.Errorf("%d bytes arrived and are not the %d that were taken", len(b), len(want)+1)
		}
		until(t, p, c, "gone", func(e Event) bool { return e.Gone })
	})
}

// A peer that takes nothing never makes Write wait, and is given up at once.
func TestWriteNeverWaits(t *testing.T) {
	forAll(t, func(t *testing.T, client net.Conn, c Conn, p *Poller) {
		piece := [][]byte{make([]byte, 10_000)}
		for taken, refused := 0, 0; refused < 100; {
			n, err := c.Write(piece)
			if err != nil {
				t.Fatal(err)
			}
			if taken += n; taken > 64<<20 {
				t.Fatal("it takes everything")
			}
			if n == 0 {
				refused++
			}
		}
		c.Close() // with writes under way; goleak sees whether they end
	})
}

func TestPeerLeaves(t *testing.T) {
	forAll(t, func(t *testing.T, client net.Conn, c Conn, p *Poller) {
		client.Write([]byte("\r\n"))
		if n, err := c.Write([][]byte{[]byte("hello")}); n != 5 || err != nil {
			t.Fatal(n, err)
		}
		b := make([]byte, 5)
		if _, err := io.ReadFull(client, b); err != nil {
			t.Fatal(err)
		}
		client.Close()
		until(t, p, c, "gone", func(e Event) bool { return e.Gone })
	})
}

// A stream is not the place to send things to.
func TestFloodEndsTheConnection(t *testing.T) {
	forAll(t, func(t *testing.T, client net.Conn, c Conn, p *Poller) {
		if c.Kind() == Handler {
			return // the server's business
		}
		go func() {
			for b := make([]byte, 32<<10); ; {
				if _, err := client.Write(b); err != nil {
					return
				}
			}
		}()
		until(t, p, c, "gone", func(e Event) bool { return e.Gone })
	})
}

func TestIdleCostsNoGoroutine(t *testing.T) {
	for _, name := range []string{"tcp", "tls"} {
		t.Run(name, func(t *testing.T) {
			p, err := NewPoller()
			if err != nil {
				t.Fatal(err)
			}
			defer p.Close()
			before := runtime.NumGoroutine()
			for range 50 {
				client, c := connections[name].make(t)
				defer c.Close()
				if err := c.Watch(p, 7); err != nil {
					t.Fatal(err)
				}
				if n, err := c.Write([][]byte{[]byte("hello")}); n != 5 || err != nil {
					t.Fatal(n, err)
				}
				if _, err := io.ReadFull(client, make([]byte, 5)); err != nil {
					t.Fatal(err)
				}
			}
			// The handshakes' goroutines may be about to end.
			for deadline := time.Now().Add(20 * time.Second); runtime.NumGoroutine() > before; runtime.Gosched() {
				if time.Now().After(deadline) {
					t.Fatalf("%d goroutines more for 50 idle connections", runtime.NumGoroutine()-before)
				}
			}
		})
	}
}

// TestNoWakeIsLost has a wake-up follow each answer, so that it meets the owner
// before, while and after it goes to sleep.
func TestNoWakeIsLost(t *testing.T) {
	p, err := NewPoller()
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	const rounds = 100_000
	var asked atomic.Int64
	answered := make(chan int64, 1)
	go func() {
		for n := range int64(rounds) {
			for spin := n % 50; spin > 0; spin-- {
				runtime.Gosched()
			}
			asked.Add(1)
			p.Wake()
			for m := range answered {
				if m > n {
					break
				}
			}
		}
	}()
	for seen := int64(0); seen < rounds; {
		// Without the timeout, a lost one would be a test that hangs.
		const patience = 20 * time.Second
		before := time.Now()
		if _, err := p.Wait(nil, patience); err != nil {
			t.Fatal(err)
		}
		if time.Since(before) >= patience {
			t.Fatalf("wake-up %d of %d was lost", seen, rounds)
		}
		if now := asked.Load(); now > seen {
			seen = now
			answered <- seen
		}
	}
}

// A peer that does something wakes the owner as well, and time does.
func TestWaitEnds(t *testing.T) {
	p, err := NewPoller()
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	client, server := pair(t, "tcp")
	c := TakeOver(server, Plain, Options{})
	defer c.Close()
	if err := c.Watch(p, 7); err != nil {
		t.Fatal(err)
	}
	until(t, p, c, "writable at first", func(e Event) bool { return e.Writable })
	for _, timeout := range []time.Duration{0, time.Millisecond, 20 * time.Millisecond} {
		begun := time.Now()
		if events, err := p.Wait(nil, timeout); len(events) > 0 || err != nil {
			t.Fatalf("%v, %v", events, err)
		}
		if waited := time.Since(begun); waited < timeout {
			t.Errorf("%s instead of %s", waited, timeout)
		}
	}
	go client.Write([]byte("x"))
	until(t, p, c, "readable", func(e Event) bool { return e.Readable })
	go client.Close()
	until(t, p, c, "gone", func(e Event) bool { return e.Gone })
}

func TestWake(t *testing.T) {
	p, err := NewPoller()
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		p.Wait(nil, -1)
	}()
	p.Wake()
	<-done
	p.Close()
	p.Close()
	p.Wake() // of a closed one: nothing
}

// broken panics in the middle of a write.
type broken struct{ plain }

func (broken) Flush() error { panic("flushed") }

// A panic of the server's comes out where the server expects it.
func TestResponderPanics(t *testing.T) {
	client, server := net.Pipe()
	defer client.Close()
	defer server.Close()
	go io.Copy(io.Discard, client)
	r := NewResponder(broken{plain{server}})
	if n, err := r.Write([][]byte{[]byte("x")}); n != 1 || err != nil {
		t.Fatal(n, err)
	}
	defer func() {
		if p := recover(); p != "flushed" {
			t.Errorf("Serve panicked with %v", p)
		}
	}()
	r.Serve(t.Context())
}

// Serve does not return, and the response is not given up, while a write is
// under way.
func TestResponderWaitsForItsWrite(t *testing.T) {
	client, server := net.Pipe()
	defer client.Close()
	defer server.Close()
	r := NewResponder(stubborn{plain{server}})
	if _, err := r.Write([][]byte{[]byte("x")}); err != nil {
		t.Fatal(err)
	}
	ctx, gone := context.WithCancel(t.Context())
	gone()
	served := make(chan struct{})
	go func() {
		defer close(served)
		r.Serve(ctx)
	}()
	select {
	case <-served:
		t.Fatal("Serve returned in the middle of a write")
	case <-time.After(50 * time.Millisecond):
	}
	client.Read(make([]byte, 1))
	<-served
}

// stubborn cannot be aborted.
type stubborn struct{ plain }

func (stubborn) Abort() {}

// breaking counts what it is asked to break off.
type breaking struct {
	plain
	broken *int
}

func (b breaking) Break() { *b.broken++ }

// A response of which a part is missing does not end like a whole one, unless the
// peer has gone anyway.
func TestTornResponseIsBrokenOff(t *testing.T) {
	for _, c := range []struct {
		name string
		end  func(r *Responder, client net.Conn, gone func())
		want int
	}{
		{"closed in the middle of a write", func(r *Responder, _ net.Conn, _ func()) { r.Close() }, 1},
		{"the write fails", func(_ *Responder, client net.Conn, _ func()) { client.Close() }, 1},
		{"the peer has gone", func(_ *Responder, _ net.Conn, gone func()) { gone() }, 0},
		{"closed after it", func(r *Responder, client net.Conn, _ func()) {
			io.ReadFull(client, make([]byte, 1<<20))
			for written := false; !written; {
				r.mu.Lock()
				written = !r.busy
				r.mu.Unlock()
			}
			r.Close()
		}, 0},
		{"finished", func(r *Responder, client net.Conn, _ func()) {
			r.Finish()
			io.ReadFull(client, make([]byte, 1<<20))
		}, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			client, server := net.Pipe()
			defer client.Close()
			defer server.Close()
			broken := 0
			r := NewResponder(breaking{plain{server}, &broken})
			ctx, gone := context.WithCancel(t.Context())
			defer gone()
			if _, err := r.Write([][]byte{make([]byte, 1<<20)}); err != nil {
				t.Fatal(err)
			}
			go c.end(r, client, gone)
			r.Serve(ctx)
			if broken != c.want {
				t.Errorf("broken off %d times, want %d", broken, c.want)
			}
		})
	}
}
