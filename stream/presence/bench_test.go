package presence

import (
	"fmt"
	"runtime"
	"testing"

	"github.com/seed-078801ba/sidestream/stream/bus"
)

// BenchmarkComeAndGo has users come and go in a channel with 10,000 streams.
func BenchmarkComeAndGo(b *testing.B) {
	r := New(bus.NewMemory(), Config{Grace: -1})
	defer r.Close()
	for i := range 10_000 {
		r.Enter("1", fmt.Sprint(i), Active)
	}
	b.ReportAllocs()
	b.ResetTimer()
	for i := range b.N {
		r.Enter("1", fmt.Sprint("x", i%1000), Active).Leave()
	}
}

// BenchmarkMemory tells what 10,000 streams take, each of another user, all in one
// channel.
func BenchmarkMemory(b *testing.B) {
	for range b.N {
		r := New(bus.NewMemory(), Config{})
		before := inUse()
		stays := make([]*Stay, 10_000)
		for i := range stays {
			stays[i] = r.Enter("1", fmt.Sprint("user", i), Active)
		}
		b.ReportMetric(float64(inUse()-before)/float64(len(stays)), "B/stream")
		runtime.KeepAlive(stays)
		r.Close()
	}
}

func inUse() uint64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}
