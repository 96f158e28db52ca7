package conn

import (
	"context"
	"io"
	"testing"
)

// BenchmarkTLSWrite is a small message to a TLS client that keeps up.
func BenchmarkTLSWrite(b *testing.B) {
	client, server := tlsPair(b)
	c := TakeOver(server, Chunked, Options{SendBuffer: 64 << 10})
	p, err := NewPoller()
	if err != nil {
		b.Fatal(err)
	}
	defer p.Close()
	defer c.Close()
	if err := c.Watch(p, 7); err != nil {
		b.Fatal(err)
	}
	go io.Copy(io.Discard, client)
	bufs := [][]byte{make([]byte, 200)}
	b.ReportAllocs()
	for b.Loop() {
		for {
			n, err := c.Write(bufs)
			if err != nil {
				b.Fatal(err)
			}
			if n > 0 {
				break
			}
			p.Wait(nil, -1)
		}
	}
}

// nowhere takes everything at once.
type nowhere struct{ io.Writer }

func (nowhere) Flush() error { return nil }
func (nowhere) Abort()       {}
func (nowhere) Break()       {}

// BenchmarkResponder is a small message by way of a handler, without what the
// server makes of it.
func BenchmarkResponder(b *testing.B) {
	p, err := NewPoller()
	if err != nil {
		b.Fatal(err)
	}
	defer p.Close()
	r := NewResponder(nowhere{io.Discard})
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		r.Serve(context.Background())
	}()
	if err := r.Watch(p, 7); err != nil {
		b.Fatal(err)
	}
	bufs := [][]byte{make([]byte, 200)}
	b.ReportAllocs()
	for b.Loop() {
		for {
			n, err := r.Write(bufs)
			if err != nil {
				b.Fatal(err)
			}
			if n > 0 {
				break
			}
			p.Wait(nil, -1)
		}
	}
	r.Close()
	<-ended
}
