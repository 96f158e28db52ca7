package conn

import (
	"io"
	"testing"
)

// BenchmarkTLSWrite is a small message to a TLS client that keeps up.
func BenchmarkTLSWrite(b *testing.B) {
	client, server := tlsPair(b)
	c := TakeOver(server, true, Options{SendBuffer: 64 << 10})
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
