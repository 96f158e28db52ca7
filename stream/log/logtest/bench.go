package logtest

import (
	"strconv"
	"strings"
	"testing"

	"github.com/seed-078801ba/sidestream/stream/event"
	"github.com/seed-078801ba/sidestream/stream/log"
)

// BatchChannels is in how many channels the events of Batch are.
const BatchChannels = 20

// Batch is like what a chat's webhooks bring: events of 300 bytes, ids
// that count up, a few busy channels.
func Batch(from, n int) []event.Event {
	batch := make([]event.Event, n)
	for i := range batch {
		id := strconv.Itoa(from + i)
		batch[i] = event.Event{
			Channel: event.Number(strconv.Itoa((from + i) % BatchChannels)), ID: event.Number(id), User: event.Number("7"),
			Body: "Lorem ipsum dolor sit amet, consetetur sadipscing elitr", Shape: event.Campfire,
			Payload: []byte(`{"id":` + id + `,"type":"TextMessage","body":"Lorem ipsum dolor sit amet, consetetur sadipscing elitr","room_id":1,"user_id":7,"created_at":"2012/02/15 12:01:54 +0000","starred":false,"padding":"` + strings.Repeat("x", 60) + `"}`),
		}
	}
	return batch
}

// BenchmarkAppend appends batches of several sizes.
func BenchmarkAppend(b *testing.B, s Store) {
	for _, size := range []int{1, 16, 64} {
		b.Run(strconv.Itoa(size), func(b *testing.B) {
			l := s.Open(b, log.Retention{Events: 1000}, nil)
			b.ReportAllocs()
			n := 0
			for b.Loop() {
				if _, err := l.Append(Batch(n, size), nil); err != nil {
					b.Fatal(err)
				}
				n += size
			}
			b.ReportMetric(float64(n)/b.Elapsed().Seconds(), "events/s")
			b.ReportMetric(0, "ns/op")
		})
	}
}

// BenchmarkResume is a client that reads the 100 events that it missed of one
// channel; events/s is over all processors.
func BenchmarkResume(b *testing.B, s Store) {
	l := s.Open(b, log.Retention{Events: 1000}, nil)
	for n := 0; n < BatchChannels*1000; n += 500 {
		Put(b, l, Batch(n, 500)...)
	}
	head := l.Head().Seq
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			entries, _, err := l.Read([]string{"7"}, head-100*BatchChannels, head, 1000, 0)
			if err != nil || len(entries) != 100 {
				b.Error(len(entries), err)
			}
		}
	})
	b.ReportMetric(100*float64(b.N)/b.Elapsed().Seconds(), "events/s")
}
