//go:build linux

package main

import (
	"context"
	"fmt"

	"github.com/seed-078801ba/sidestream/cmd/bench/load"
)

// messageSize is that of all messages but those to slow readers.
const messageSize = 200

var fanOut = scenario{
	name:  "fanout",
	about: "a 200-byte message to all streams, one at a time: processor time",
	measure: func(ctx context.Context, b *bench) (figures, error) {
		w := workload{streams: b.streams, channels: 1, size: messageSize, senders: 1, window: 1, duration: b.duration}
		return b.compare(ctx, w, stickEpoll)
	},
	rows: func(b *bench, m measured) []row {
		what := fmt.Sprintf("200-byte message to %s streams, one at a time: processor time of a delivery", countText(float64(b.streams)))
		return eachStore(m, func(store string) row {
			return row{
				what: what, bar: "<= 1.3 x the bare loop",
				figure: fmt.Sprintf("%s, %.2f x", timeText(m.median(store+" cpu")), m.ratio(store+" cpu", stickEpoll+" cpu")),
				sticks: fmt.Sprintf("bare loop %s, net/http %s", timeText(m.median(stickEpoll+" cpu")), timeText(m.median(stickNetHTTP+" cpu"))) +
					b.besideText(func(name string) string { return timeText(m.median(name + " cpu")) }),
				servers: b.driven(store, stickEpoll),
				met:     meets(m.ratio(store+" cpu", stickEpoll+" cpu") <= 1.3),
			}
		})
	},
}

var fullSpeed = scenario{
	name:  "fullspeed",
	about: "the same as fast as it goes: deliveries a second",
	measure: func(ctx context.Context, b *bench) (figures, error) {
		const window = 64
		w := workload{streams: b.streams, channels: 1, size: messageSize, senders: window, window: window, duration: b.duration}
		return b.compare(ctx, w, stickBatch)
	},
	rows: func(b *bench, m measured) []row {
		return eachStore(m, func(store string) row {
			return row{
				what: "the same, published as fast as it goes: deliveries a second", bar: ">= half of the bare loop that batches",
				figure: fmt.Sprintf("%s, %.2f x; %s each", countText(m.median(store+" rate")), m.ratio(store+" rate", stickBatch+" rate"), timeText(m.median(store+" cpu"))),
				sticks: fmt.Sprintf("batching loop %s, %s each; net/http %s, %s each",
					countText(m.median(stickBatch+" rate")), timeText(m.median(stickBatch+" cpu")),
					countText(m.median(stickNetHTTP+" rate")), timeText(m.median(stickNetHTTP+" cpu"))) +
					b.besideText(func(name string) string {
						return fmt.Sprintf("%s, %s each", countText(m.median(name+" rate")), timeText(m.median(name+" cpu")))
					}),
				servers: b.driven(store, stickBatch),
				met:     meets(m.ratio(store+" rate", stickBatch+" rate") >= 0.5),
			}
		})
	},
}

var manyChannels = scenario{
	name:  "channels",
	about: "1,000 channels of 10 streams, 2,000 messages a second",
	measure: func(ctx context.Context, b *bench) (figures, error) {
		channels := max(1, b.streams/10)
		rate := 0.2 * float64(b.streams) // 2,000 for 10,000 streams
		w := workload{streams: channels * 10, channels: channels, size: messageSize, senders: 32, rate: rate, duration: b.duration}
		f, err := b.compare(ctx, w, stickEpoll)
		if err != nil {
			return nil, err
		}
		if err := b.takeOnly(ctx, f, w); err != nil {
			return nil, err
		}
		s, err := b.startSidestream(ctx, sidestreamSite{store: "memory"})
		if err != nil {
			return nil, err
		}
		return f, b.driveInto(ctx, f, "logged", s, w)
	},
	rows: func(b *bench, m measured) []row {
		rows := eachStore(m, func(store string) row {
			cpu, p99 := m.ratio(store+" cpu", stickEpoll+" cpu"), m.ratio(store+" p99", stickEpoll+" p99")
			r := row{
				what: fmt.Sprintf("%s channels x 10 streams, %s messages a second", countText(float64(b.streams/10)), countText(0.2*float64(b.streams))),
				bar:  "processor time <= 2 x the bare loop's, p99 <= 3 x",
				figure: fmt.Sprintf("%s a delivery, %.2f x; p50 %s, p99 %s, %.2f x", timeText(m.median(store+" cpu")), cpu,
					timeText(m.median(store+" p50")), timeText(m.median(store+" p99")), p99),
				sticks: fmt.Sprintf("bare loop %s, p50 %s, p99 %s; net/http %s, p99 %s; plain Caddy that takes the POSTs and delivers nothing %s",
					timeText(m.median(stickEpoll+" cpu")), timeText(m.median(stickEpoll+" p50")), timeText(m.median(stickEpoll+" p99")),
					timeText(m.median(stickNetHTTP+" cpu")), timeText(m.median(stickNetHTTP+" p99")), timeText(m.median("take cpu"))) +
					b.besideText(func(name string) string {
						return fmt.Sprintf("%s, p99 %s", timeText(m.median(name+" cpu")), timeText(m.median(name+" p99")))
					}),
				servers: b.driven(store, stickEpoll),
				met:     meets(cpu <= 2 && p99 <= 3),
			}
			if store == "file" { // each of its messages waits for the disk
				r.bar, r.met = "(memory store only)", noBar
			}
			return r
		})
		return append(rows, row{
			what: "the same, memory store, with an access log of the POSTs",
			figure: fmt.Sprintf("%s a delivery, %.2f x; p99 %s", timeText(m.median("logged cpu")), m.ratio("logged cpu", stickEpoll+" cpu"),
				timeText(m.median("logged p99"))),
			servers: []string{"logged"},
		})
	},
}

// compare puts one workload on a bare loop, on net/http, and on Sidestream with
// either store. None of them writes an access log.
func (b *bench) compare(ctx context.Context, w workload, loop string) (figures, error) {
	f := figures{}
	for _, kind := range []string{loop, stickNetHTTP} {
		s, err := b.startStick(ctx, kind)
		if err != nil {
			return nil, err
		}
		if err := b.driveInto(ctx, f, kind, s, w); err != nil {
			return nil, err
		}
	}
	if err := b.driveBeside(ctx, f, w); err != nil {
		return nil, err
	}
	for _, store := range []string{"memory", "file"} {
		s, err := b.startSidestream(ctx, sidestreamSite{store: store, quiet: true})
		if err != nil {
			return nil, err
		}
		if err := b.driveInto(ctx, f, store, s, w); err != nil {
			return nil, err
		}
	}
	return f, nil
}

// driven are the servers that compare drives for a row.
func (b *bench) driven(store, loop string) []string {
	servers := []string{store, loop, stickNetHTTP}
	for _, p := range b.beside {
		servers = append(servers, p.name)
	}
	return servers
}

// takeOnly measures what a plain Caddy needs for the POSTs of a workload, for
// each delivery that there would be.
func (b *bench) takeOnly(ctx context.Context, f figures, w workload) error {
	s, err := b.startCaddy(ctx, "caddy", b.plainCaddy, site{quiet: true, body: "bench_take"})
	if err != nil {
		return err
	}
	defer s.stop()
	_, cpu, err := b.post(ctx, s, load.Publication{
		Channels: w.channels, Size: w.size, Senders: w.senders, Rate: w.rate, Duration: w.duration,
	})
	f["take cpu"] = cpu / float64(w.streams/w.channels)
	return err
}

// driveInto drives a server, files the results, and stops it.
func (b *bench) driveInto(ctx context.Context, f figures, prefix string, s *server, w workload) error {
	defer s.stop()
	d, err := b.drive(ctx, s, w)
	if err == nil {
		f.put(prefix, d)
	}
	return err
}

// eachStore makes a row for either store. What was lost, doubled or closed on
// the way spoils it.
func eachStore(m measured, make func(store string) row) []row {
	var rows []row
	for _, store := range []string{"memory", "file"} {
		r := make(store)
		r.what += ", " + store + " store"
		if n := m.worst(store + " wrong"); n > 0 {
			r.figure += fmt.Sprintf("; **%s lost, doubled or closed**", countText(n))
			r.met = missed
		}
		rows = append(rows, r)
	}
	return rows
}
