//go:build linux

package main

import (
	"context"
	"fmt"
)

// doublings is how often the streams double; the last has 1.6 times the streams
// of the other scenarios.
const doublings = 4

// doublingStreams are 1k, 2k, 4k, 8k and 16k.
func doublingStreams(streams, i int) int { return streams / 10 << i }

var doubling = scenario{
	name:  "doubling",
	about: "time and memory as the streams double: 1k to 16k",
	measure: func(ctx context.Context, b *bench) (figures, error) {
		f := figures{}
		for i := range doublings + 1 {
			w := workload{
				streams: doublingStreams(b.streams, i), channels: 1, size: messageSize, senders: 1, window: 1, duration: b.duration,
			}
			if err := b.double(ctx, f, fmt.Sprint(i), w); err != nil {
				return nil, err
			}
		}
		return f, nil
	},
	rows: func(b *bench, m measured) []row {
		var rows []row
		for i := range doublings + 1 {
			n := fmt.Sprint(i)
			r := row{
				what: fmt.Sprintf("%s streams, one message at a time", countText(float64(doublingStreams(b.streams, i)))), bar: "linear",
				figure: fmt.Sprintf("%s a stream; %s a delivery; all have it after %s", bytesText(m.median(n+" bytes")),
					timeText(m.median(n+" cpu")), timeText(m.median(n+" message"))),
				met: noBar,
			}
			if i > 0 {
				last := fmt.Sprint(i - 1)
				r.sticks = fmt.Sprintf("%.2f x the memory, %.2f x the processor time, %.2f x the time of half as many",
					2*m.ratio(n+" bytes", last+" bytes"), 2*m.ratio(n+" cpu", last+" cpu"), m.ratio(n+" message", last+" message"))
			}
			rows = append(rows, r)
		}
		return rows
	},
}

// double measures one size on a server of its own.
func (b *bench) double(ctx context.Context, f figures, name string, w workload) error {
	s, err := b.startSidestream(ctx, sidestreamSite{store: "memory"})
	if err != nil {
		return err
	}
	defer s.stop()
	before, err := b.settledBytes(ctx, s)
	if err != nil {
		return err
	}
	client, err := b.openStreams(ctx, s, w)
	if err != nil {
		return err
	}
	defer client.Close()
	after, err := b.settledBytes(ctx, s)
	if err != nil {
		return err
	}
	d, published, err := b.publishTo(ctx, s, client, w)
	if err != nil {
		return err
	}
	if published.Failed > 0 {
		return fmt.Errorf("publishing: %w", published.FirstError)
	}
	f[name+" bytes"] = float64(after-before) / float64(w.streams)
	f[name+" cpu"], f[name+" message"] = float64(d.perDelivery), float64(d.perMessage)
	b.progress("%d streams: %s each, %s a delivery, %s a message", w.streams, bytesText(f[name+" bytes"]), d.perDelivery, d.perMessage)
	return nil
}
