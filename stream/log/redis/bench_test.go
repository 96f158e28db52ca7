//go:build unix

package redis

import (
	"fmt"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/seed-078801ba/sidestream/stream/event"
	"github.com/seed-078801ba/sidestream/stream/log"
	"github.com/seed-078801ba/sidestream/stream/log/logtest"
	"github.com/seed-078801ba/sidestream/stream/redisconn"
	"github.com/seed-078801ba/sidestream/stream/redisconn/redistest"
)

// BenchmarkAppend appends batches, as a hub does when so many senders
// publish at once. "syncs" has a Redis that syncs every write.
func BenchmarkAppend(b *testing.B) {
	for _, syncs := range []string{"no", "always"} {
		for _, batch := range []int{1, 64, 512} {
			b.Run(fmt.Sprintf("appendfsync=%s/batch=%d", syncs, batch), func(b *testing.B) {
				s := redistest.Start(b, "--appendfsync", syncs)
				r := openRedis(b, Options{Address: redisconn.Address{Addrs: []string{s.Addr}}, Hub: "bench", Retention: log.Retention{Events: 1000}})
				events := make([]event.Event, batch)
				n := 0
				b.ReportAllocs()
				for b.Loop() {
					for i := range events {
						n++
						events[i] = logtest.Message(fmt.Sprint(n%20), fmt.Sprint(n), strings.Repeat("x", 100))
					}
					logtest.Put(b, r, events...)
				}
				b.ReportMetric(float64(n)/b.Elapsed().Seconds(), "events/s")
			})
		}
	}
}

// BenchmarkXADD is what Redis itself says it can do with XADD of entries
// of the same size, from 64 clients.
func BenchmarkXADD(b *testing.B) {
	for _, syncs := range []string{"no", "always"} {
		b.Run("appendfsync="+syncs, func(b *testing.B) {
			s := redistest.Start(b, "--appendfsync", syncs)
			host, port, _ := strings.Cut(s.Addr, ":")
			for b.Loop() {
				out, err := exec.Command("redis-benchmark", "-h", host, "-p", port, "-c", "64", "-n", "20000", "-q", "--csv",
					"XADD", "stream", "*", "e", strings.Repeat("x", 250)).CombinedOutput()
				if err != nil {
					b.Fatalf("%v: %s", err, out)
				}
				lines := strings.Split(strings.TrimSpace(string(out)), "\n")
				var rate float64
				fields := strings.Split(lines[len(lines)-1], "\",\"")
				if _, err := fmt.Sscan(fields[1], &rate); err != nil {
					b.Fatalf("%v: %s", err, out)
				}
				b.ReportMetric(rate, "events/s")
			}
		})
	}
}

// BenchmarkFollow is the time from the call of Append on one node until
// another one has the event.
func BenchmarkFollow(b *testing.B) {
	s := redistest.Start(b, "--appendfsync", "no")
	r := openRedis(b, Options{Address: redisconn.Address{Addrs: []string{s.Addr}}, Hub: "test"})
	n := newNode(b, Options{Address: redisconn.Address{Addrs: []string{s.Addr}}})
	n.untilConnected(true)
	arrived := make(chan time.Time, 1)
	n.telling.Lock()
	n.arrived = arrived
	n.telling.Unlock()
	i := 0
	for b.Loop() {
		i++
		logtest.Put(b, r, logtest.Message("a", fmt.Sprint(i), "x"))
		<-arrived
	}
}

// BenchmarkRead reads a page of a channel, as a client that comes back.
func BenchmarkRead(b *testing.B) {
	s := redistest.Start(b, "--appendonly", "no")
	r := openRedis(b, Options{Address: redisconn.Address{Addrs: []string{s.Addr}}, Hub: "bench"})
	for i := range 10 {
		var batch []event.Event
		for j := range 500 {
			batch = append(batch, logtest.Message(fmt.Sprint(j%20), fmt.Sprint(i, j), "x"))
		}
		logtest.Put(b, r, batch...)
	}
	b.ReportAllocs()
	for b.Loop() {
		entries, _, err := r.Read([]string{"7"}, 100, r.Head().Seq, 128, 64<<10)
		if err != nil || len(entries) != 128 {
			b.Fatal(len(entries), err)
		}
	}
}
