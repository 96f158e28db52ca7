//go:build linux

package main

import (
	"context"
	"fmt"
)

// Messages to slow readers are large, so that the kernel's buffers fill up
// within the time of the load.
const (
	slowStreams = 1000
	slowSize    = 8000
	slowRate    = 20
)

var slowReaders = scenario{
	name:  "slow",
	about: "10 % of 1,000 clients read nothing: what the others notice",
	measure: func(ctx context.Context, b *bench) (figures, error) {
		f := figures{}
		w := workload{
			streams: min(slowStreams, b.streams), channels: 1, size: slowSize, senders: 4, rate: slowRate,
			duration: 3 * b.duration, watch: true,
		}
		with := w
		with.stalled = w.streams / 10
		// Each has its own server: what one leaves behind is not the other's.
		for _, half := range []struct {
			name string
			load workload
		}{{"without", w}, {"with", with}} {
			s, err := b.startSidestream(ctx, sidestreamSite{store: "memory"})
			if err != nil {
				return nil, err
			}
			d, err := b.drive(ctx, s, half.load)
			s.stop()
			if err != nil {
				return nil, err
			}
			f.put(half.name, d)
			f[half.name+" growth"] = float64(d.peak - d.before)
			f[half.name+" gone"] = float64(d.files)
			b.progress("%s: memory %s, at most %s more; %d of the slow were closed", half.name, bytesText(float64(d.before)), bytesText(float64(d.peak-d.before)), d.files)
		}
		return f, nil
	},
	rows: func(b *bench, m measured) []row {
		ratio := m.ratio("with p99", "without p99")
		return []row{{
			what: fmt.Sprintf("10 %% of %s clients read nothing, %d messages of %s a second: p99 of the others; growth of memory",
				countText(float64(min(slowStreams, b.streams))), slowRate, bytesText(slowSize)),
			bar: "within 20 % of without them; flat",
			figure: fmt.Sprintf("p99 %s, %.2f x; memory at most +%s; %s slow ones closed, %s of the others wronged", timeText(m.median("with p99")), ratio,
				bytesText(m.median("with growth")), countText(m.median("with gone")), countText(m.worst("with wrong"))),
			sticks:  fmt.Sprintf("without them p99 %s, memory at most +%s", timeText(m.median("without p99")), bytesText(m.median("without growth"))),
			servers: []string{"with", "without"},
			met:     meets(ratio <= 1.2 && m.median("with growth") <= m.median("without growth")+slowAllowance && m.worst("with wrong") == 0),
		}}
	},
}

// slowAllowance is what "flat" leaves to the garbage collector, in bytes.
const slowAllowance = 8e6
