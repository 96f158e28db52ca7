package file

import (
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/seed-078801ba/sidestream/stream/log"
	"github.com/seed-078801ba/sidestream/stream/log/logtest"
)

// BenchmarkStorm is 10,000 clients that resume 100 events each, at once.
func BenchmarkStorm(b *testing.B) {
	l := openFile(b, b.TempDir()+"/log.db", Options{Retention: log.Retention{Events: 1000}})
	for n := 0; n < logtest.BatchChannels*1000; n += 500 {
		logtest.Put(b, l, logtest.Batch(n, 500)...)
	}
	head := l.Head().Seq
	for b.Loop() {
		var clients sync.WaitGroup
		for i := range 10_000 {
			clients.Go(func() {
				entries, _, err := l.Read([]string{strconv.Itoa(i % logtest.BatchChannels)}, head-100*logtest.BatchChannels, head, 1000, 0)
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
			batch := logtest.Batch(n, 64)
			for i := range batch {
				payload += len(batch[i].Payload)
			}
			logtest.Put(b, f, batch...)
		}
		took := time.Since(start)
		stats := f.Stats()
		logtest.Must(b, f.Close())
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
		logtest.Put(b, f, logtest.Batch(events+64, 1)...)
		b.ReportMetric(float64(time.Since(start).Microseconds())/1000, "ms-open-to-first-append")
		logtest.Must(b, f.Close())
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
			logtest.Must(b, err)
		}
	}
	return bytes
}
