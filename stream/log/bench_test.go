package log

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/seed-078801ba/sidestream/stream/event"
)

const benchChannels = 20

// benchBatch is like what a chat's webhooks bring: events of 300 bytes, ids
// that count up, a few busy channels.
func benchBatch(from, n int) []event.Event {
	batch := make([]event.Event, n)
	for i := range batch {
		id := strconv.Itoa(from + i)
		batch[i] = event.Event{
			Channel: event.Number(strconv.Itoa((from + i) % benchChannels)), ID: event.Number(id), User: event.Number("7"),
			Body: "Lorem ipsum dolor sit amet, consetetur sadipscing elitr", Shape: event.Campfire,
			Payload: []byte(`{"id":` + id + `,"type":"TextMessage","body":"Lorem ipsum dolor sit amet, consetetur sadipscing elitr","room_id":1,"user_id":7,"created_at":"2012/02/15 12:01:54 +0000","starred":false,"padding":"` + strings.Repeat("x", 60) + `"}`),
		}
	}
	return batch
}

func BenchmarkAppend(b *testing.B) {
	for _, s := range stores {
		for _, size := range []int{1, 16, 64} {
			b.Run(fmt.Sprintf("%s/%d", s.name, size), func(b *testing.B) {
				l := s.open(b, Retention{Events: 1000}, nil)
				b.ReportAllocs()
				n := 0
				for b.Loop() {
					if _, err := l.Append(benchBatch(n, size), nil); err != nil {
						b.Fatal(err)
					}
					n += size
				}
				b.ReportMetric(float64(n)/b.Elapsed().Seconds(), "events/s")
				b.ReportMetric(0, "ns/op")
			})
		}
	}
}

// BenchmarkResume is a client that reads the 100 events that it missed of one
// channel; events/s is over all processors.
func BenchmarkResume(b *testing.B) {
	for _, s := range stores[:2] {
		b.Run(s.name, func(b *testing.B) {
			l := s.open(b, Retention{Events: 1000}, nil)
			for n := 0; n < benchChannels*1000; n += 500 {
				put(b, l, benchBatch(n, 500)...)
			}
			head := l.Head().Seq
			b.ReportAllocs()
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					entries, _, err := l.Read([]string{"7"}, head-100*benchChannels, head, 1000, 0)
					if err != nil || len(entries) != 100 {
						b.Error(len(entries), err)
					}
				}
			})
			b.ReportMetric(100*float64(b.N)/b.Elapsed().Seconds(), "events/s")
		})
	}
}

// BenchmarkStorm is 10,000 clients that resume 100 events each, at once.
func BenchmarkStorm(b *testing.B) {
	l := stores[1].open(b, Retention{Events: 1000}, nil)
	for n := 0; n < benchChannels*1000; n += 500 {
		put(b, l, benchBatch(n, 500)...)
	}
	head := l.Head().Seq
	for b.Loop() {
		var clients sync.WaitGroup
		for i := range 10_000 {
			clients.Go(func() {
				entries, _, err := l.Read([]string{strconv.Itoa(i % benchChannels)}, head-100*benchChannels, head, 1000, 0)
				if err != nil || len(entries) != 100 {
					b.Error(len(entries), err)
				}
			})
		}
		clients.Wait()
	}
}

// BenchmarkMillion fills a file and opens it again. A million events take a
// while: SIDESTREAM_LOG_EVENTS says how many, 20,000 if it does not.
func BenchmarkMillion(b *testing.B) {
	events := 20_000
	if text := os.Getenv("SIDESTREAM_LOG_EVENTS"); text != "" {
		events, _ = strconv.Atoi(text)
	}
	for b.Loop() {
		path := b.TempDir() + "/log.db"
		f := openFile(b, path, Options{})
		before, start := written(b), time.Now()
		payload := 0
		for n := 0; n < events; n += 64 {
			batch := benchBatch(n, 64)
			for i := range batch {
				payload += len(batch[i].Payload)
			}
			put(b, f, batch...)
		}
		took := time.Since(start)
		stats := f.Stats()
		must(b, f.Close())
		b.ReportMetric(float64(stats.Events)/took.Seconds(), "events/s")
		b.ReportMetric(float64(stats.FileSize)/1e6, "MB-file")
		b.ReportMetric(float64(stats.Bytes)/1e6, "MB-encoded")
		b.ReportMetric(float64(payload)/1e6, "MB-payload")
		b.ReportMetric(float64(written(b)-before)/float64(stats.Bytes), "x-written")
		start = time.Now()
		f = openFile(b, path, Options{})
		if _, _, err := f.Read([]string{"1"}, uint64(events)-1000, uint64(events), 100, 0); err != nil {
			b.Fatal(err)
		}
		b.ReportMetric(float64(time.Since(start).Microseconds())/1000, "ms-open-and-read")
		put(b, f, benchBatch(events+64, 1)...)
		b.ReportMetric(float64(time.Since(start).Microseconds())/1000, "ms-open-to-first-append")
		must(b, f.Close())
	}
}

// written is how many bytes this process had the disk write, as far as the
// system tells.
func written(b *testing.B) (bytes int64) {
	text, err := os.ReadFile("/proc/self/io")
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(text)) {
		if value, ok := strings.CutPrefix(line, "wchar: "); ok {
			bytes, err = strconv.ParseInt(strings.TrimSpace(value), 10, 64)
			must(b, err)
		}
	}
	return bytes
}
