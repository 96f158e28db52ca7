//go:build linux

package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"

	"github.com/seed-078801ba/sidestream/cmd/bench/load"
)

const (
	ingestSenders  = 64
	ingestChannels = 100
)

var ingest = scenario{
	name:  "ingest",
	about: "acknowledged events a second, next to what Caddy takes",
	measure: func(ctx context.Context, b *bench) (figures, error) {
		f := figures{}
		syncs, err := syncsPerSecond(b.dir, b.duration/2)
		if err != nil {
			return nil, err
		}
		f["syncs"] = syncs
		for _, part := range []struct {
			name    string
			senders int
			start   func() (*server, error)
		}{
			{"caddy", ingestSenders, func() (*server, error) { return b.startPlainCaddy(ctx, "bench_take") }},
			{"file", ingestSenders, func() (*server, error) { return b.startSidestream(ctx, sidestreamSite{store: "file", events: 100_000}) }},
			{"memory", ingestSenders, func() (*server, error) { return b.startSidestream(ctx, sidestreamSite{store: "memory"}) }},
			{"alone", 1, func() (*server, error) { return b.startSidestream(ctx, sidestreamSite{store: "file", events: 100_000}) }},
		} {
			s, err := part.start()
			if err != nil {
				return nil, err
			}
			err = b.ingest(ctx, f, part.name, s, part.senders)
			s.stop()
			if err != nil {
				return nil, err
			}
		}
		return f, nil
	},
	rows: func(b *bench, m measured) []row {
		caddy := fmt.Sprintf("plain Caddy %s, p99 %s, %s each", countText(m.median("caddy rate")), timeText(m.median("caddy p99")), timeText(m.median("caddy cpu")))
		figure := func(name string) string {
			return fmt.Sprintf("%s, %.2f x; p50 %s, p99 %s; %s each", countText(m.median(name+" rate")), m.ratio(name+" rate", "caddy rate"),
				timeText(m.median(name+" p50")), timeText(m.median(name+" p99")), timeText(m.median(name+" cpu")))
		}
		return []row{{
			what: fmt.Sprintf("acknowledged events a second, %d senders, file store with sync", ingestSenders), bar: ">= half of what plain Caddy takes",
			figure: figure("file") + fmt.Sprintf("; %s written to disk for each", bytesText(m.median("file written"))), sticks: caddy,
			met:     meets(m.ratio("file rate", "caddy rate") >= 0.5),
			servers: []string{"file", "caddy"},
		}, {
			what: "the same, memory store", figure: figure("memory"), sticks: caddy, servers: []string{"memory"},
		}, {
			what:    "one sender, file store: one sync for each event",
			figure:  fmt.Sprintf("%s; %s written to disk for each", countText(m.median("alone rate")), bytesText(m.median("alone written"))),
			sticks:  fmt.Sprintf("bare write and fdatasync %s a second", countText(m.median("syncs"))),
			servers: []string{"alone"},
		}}
	},
}

// ingest posts as fast as it is acknowledged, with nobody listening.
func (b *bench) ingest(ctx context.Context, f figures, name string, s *server, senders int) error {
	written, err := storageBytes(b.dir)
	if err != nil {
		return err
	}
	p, cpu, err := b.post(ctx, s, load.Publication{Channels: ingestChannels, Size: messageSize, Senders: senders, Duration: b.duration})
	if err != nil {
		return err
	}
	writtenAfter, err := storageBytes(b.dir)
	if err != nil {
		return err
	}
	events := float64(p.Acked)
	f[name+" rate"], f[name+" cpu"] = events/p.Elapsed.Seconds(), cpu
	f[name+" p50"], f[name+" p99"] = float64(p.Acknowledged.Quantile(0.5)), float64(p.Acknowledged.Quantile(0.99))
	f[name+" repeated"] = float64(p.Retried)
	f[name+" written"] = (writtenAfter - written) / events
	b.progress("%s: %s events/s, p50 %s, p99 %s, %s each, %s written", s.name, countText(f[name+" rate"]), timeText(f[name+" p50"]),
		timeText(f[name+" p99"]), timeText(f[name+" cpu"]), bytesText(f[name+" written"]))
	return ctx.Err()
}

// post publishes to a server, and says what processor time it took of an event,
// in nanoseconds.
func (b *bench) post(ctx context.Context, s *server, what load.Publication) (p *load.Published, cpu float64, err error) {
	defer b.profile(ctx, s, what.Duration)()
	what.Addr, what.Path = s.addr.String(), s.publish
	before, err := processorTime(s.pid)
	if err != nil {
		return nil, 0, err
	}
	p = load.Publish(ctx, what)
	after, err := processorTime(s.pid)
	if err != nil {
		return nil, 0, err
	}
	if p.Failed > 0 || p.Acked == 0 {
		return nil, 0, fmt.Errorf("%s: %d posts failed: %v", s.name, p.Failed, p.FirstError)
	}
	return p, float64(after-before) / float64(p.Acked), nil
}

// syncsPerSecond appends to a file and syncs it, over and over.
func syncsPerSecond(dir string, d time.Duration) (float64, error) {
	file, err := os.Create(filepath.Join(dir, "syncs"))
	if err != nil {
		return 0, err
	}
	defer os.Remove(file.Name())
	defer file.Close()
	line := make([]byte, messageSize)
	begun, n := time.Now(), 0
	for time.Since(begun) < d {
		if _, err := file.Write(line); err != nil {
			return 0, err
		}
		if err := unix.Fdatasync(int(file.Fd())); err != nil {
			return 0, err
		}
		n++
	}
	return float64(n) / time.Since(begun).Seconds(), nil
}
