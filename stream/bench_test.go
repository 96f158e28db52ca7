package stream

import (
	"fmt"
	"io"
	"net"
	"net/netip"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/seed-078801ba/sidestream/stream/conn"
	"github.com/seed-078801ba/sidestream/stream/event"
	"github.com/seed-078801ba/sidestream/stream/log"
	"github.com/seed-078801ba/sidestream/stream/log/memory"
)

// sink is a connection that takes everything and costs nothing: what is left is
// the engine's own work.
type sink struct{ n *atomic.Int64 }

func (sink) Watch(*conn.Poller, conn.Token) error { return nil }
func (s sink) Write(bufs [][]byte) (int, error) {
	n := 0
	for _, b := range bufs {
		n += len(b)
	}
	s.n.Add(int64(len(bufs)))
	return n, nil
}
func (sink) Read(func([]byte)) bool { return false }
func (sink) Framing() conn.Framing  { return conn.Chunked }
func (sink) Kind() conn.Kind        { return conn.Epoll }
func (sink) Finish()                {}
func (sink) Close()                 {}

func attachBench(b *testing.B, h *Hub, c conn.Conn, spec *Spec, channels ...string) {
	ticket, err := h.Admit(Candidate{Address: netip.MustParseAddr("192.0.2.1"), Channels: len(channels)})
	if err != nil {
		b.Fatal(err)
	}
	start, err := h.Resolve(channels, From{})
	if err != nil {
		b.Fatal(err)
	}
	if _, err := h.Attach(Opening{Conn: c, Spec: spec, Channels: channels, Start: start, Ticket: ticket}); err != nil {
		b.Fatal(err)
	}
}

// BenchmarkFanOut is the engine's own cost of one delivery, without the kernel.
func BenchmarkFanOut(b *testing.B) {
	for _, streams := range []int{100, 10_000} {
		b.Run(fmt.Sprint(streams), func(b *testing.B) {
			h, err := Open("bench", memory.New(log.Retention{Events: 1000}, time.Now), Config{})
			if err != nil {
				b.Fatal(err)
			}
			defer h.Close(b.Context())
			var n atomic.Int64
			spec := &Spec{Format: legacy, Heartbeat: time.Hour}
			for range streams {
				attachBench(b, h, sink{&n}, spec, "a")
			}
			for n.Load() < int64(streams) { // the first heartbeats
				runtime.Gosched()
			}
			n.Store(0)
			body := strings.Repeat("x", 200)
			b.ReportAllocs()
			b.ResetTimer()
			for i := range b.N {
				h.Publish(b.Context(), event.Batch{Events: []event.Event{{Channel: event.String("a"), ID: event.Number(fmt.Sprint(i)), Body: body}}})
				for n.Load() < int64(i+1)*int64(streams) {
					runtime.Gosched()
				}
			}
			b.StopTimer()
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(streams), "ns/delivery")
		})
	}
}

// BenchmarkIdleStream is what an open stream over a real socket keeps, in bytes
// of heap.
func BenchmarkIdleStream(b *testing.B) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	defer l.Close()
	h, err := Open("bench", memory.New(log.Retention{}, time.Now), Config{})
	if err != nil {
		b.Fatal(err)
	}
	defer h.Close(b.Context())
	spec := &Spec{Format: legacy, Heartbeat: time.Hour}
	const streams = 2000
	var clients []net.Conn
	var before, after runtime.MemStats
	for b.Loop() {
		runtime.GC()
		runtime.ReadMemStats(&before)
		goroutines := runtime.NumGoroutine()
		for range streams {
			c, err := net.Dial("tcp", l.Addr().String())
			if err != nil {
				b.Fatal(err)
			}
			s, err := l.Accept()
			if err != nil {
				b.Fatal(err)
			}
			clients = append(clients, c)
			attachBench(b, h, conn.TakeOver(s, conn.Chunked, conn.Options{SendBuffer: 64 << 10}), spec, "a")
		}
		for _, c := range clients {
			io.ReadFull(c, make([]byte, 6)) // the first heartbeat
		}
		if n := runtime.NumGoroutine() - goroutines; n > 2 {
			b.Errorf("%d goroutines for %d streams", n, streams)
		}
		// The clients' net.Conns are in this heap as well: about 450 bytes each.
		runtime.GC()
		runtime.ReadMemStats(&after)
		b.ReportMetric(float64(after.HeapInuse-before.HeapInuse)/streams, "B/stream-and-client")
		for _, c := range clients {
			c.Close()
		}
		clients = nil
		for h.Stats().Streams() > 0 {
			runtime.Gosched()
		}
	}
}
