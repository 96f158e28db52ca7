//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"math"

	"github.com/seed-078801ba/sidestream/cmd/bench/load"
)

const (
	reloadStreams  = 2000
	reloadChannels = 20
	reloadRate     = 100 // messages a second
)

var reloads = scenario{
	name:  "reload",
	about: "50 reloads in a minute with 2,000 streams under load",
	measure: func(ctx context.Context, b *bench) (figures, error) {
		s, err := b.startSidestream(ctx, sidestreamSite{store: "file"})
		if err != nil {
			return nil, err
		}
		defer s.stop()
		w := workload{
			streams: min(reloadStreams, b.streams), channels: reloadChannels, size: messageSize, senders: 8, rate: reloadRate,
			duration: b.reloadTime,
		}
		client, err := b.openStreams(ctx, s, w)
		if err != nil {
			return nil, err
		}
		f, err := b.reloadUnderLoad(ctx, s, client, w)
		if err != nil {
			client.Close()
		}
		return f, err
	},
	rows: func(b *bench, m measured) []row {
		spoilt := m.worst("wrong")
		drift := max(math.Abs(m.median("goroutines")-1), math.Abs(m.median("descriptors")-1))
		return []row{{
			what: fmt.Sprintf("%d reloads in %s, %s streams, %d messages a second", b.reloads, b.reloadTime, countText(float64(min(reloadStreams, b.streams))), reloadRate),
			bar:  "0 closed, 0 lost, 0 doubled; goroutines and descriptors back within 10 %",
			figure: fmt.Sprintf("%s closed, lost or doubled; goroutines %+.1f %%, descriptors %+.1f %%; a reload took %s, %s posts were repeated",
				countText(spoilt), (m.median("goroutines")-1)*100, (m.median("descriptors")-1)*100, timeText(m.median("took")), countText(m.worst("retried"))),
			met: meets(spoilt == 0 && drift <= 0.1),
		}}
	},
}

// reloadUnderLoad publishes, reloads, and counts. It closes the client unless
// it returns an error.
func (b *bench) reloadUnderLoad(ctx context.Context, s *server, client *load.Client, w workload) (figures, error) {
	pause(ctx, settleTime)
	goroutines, files, err := s.census(ctx)
	if err != nil {
		return nil, err
	}
	ctx2, cancel := context.WithCancel(ctx)
	defer cancel()
	type publishing struct {
		d   *driven
		p   *load.Published
		err error
	}
	published := make(chan publishing, 1)
	go func() {
		d, p, err := b.publishTo(ctx2, s, client, w)
		published <- publishing{d, p, err}
	}()
	took, err := b.reloadAll(ctx, s, func(int) string { return sidestreamSite{store: "file"}.directives() })
	if err != nil {
		cancel()
		<-published
		return nil, err
	}
	p := <-published
	if p.err != nil {
		return nil, p.err
	}
	if p.p.Failed > 0 {
		return nil, errors.Join(fmt.Errorf("%d messages could not be published", p.p.Failed), p.p.FirstError)
	}
	if _, err := b.settledBytes(ctx, s); err != nil {
		return nil, err
	}
	goroutines2, files2, err := s.census(ctx)
	if err != nil {
		return nil, err
	}
	outcome := client.Close()
	lost, extra := client.Compare(p.p.Sent)
	b.progress("%s: %d messages, %d closed, %d lost, %d doubled, %d posts repeated (%v); goroutines %d -> %d, descriptors %d -> %d",
		s.name, p.p.Acked, outcome.Closed, lost, extra, p.p.Retried, p.p.FirstError, goroutines, goroutines2, files, files2)
	return figures{
		"wrong":      float64(lost) + float64(extra) + float64(outcome.Closed),
		"goroutines": float64(goroutines2) / float64(goroutines), "descriptors": float64(files2) / float64(files),
		"took": float64(took) / float64(b.reloads), "retried": float64(p.p.Retried),
	}, nil
}

// census counts a Caddy's goroutines and descriptors.
func (s *server) census(ctx context.Context) (goroutines, files int, err error) {
	if goroutines, err = s.goroutines(ctx); err != nil {
		return 0, 0, err
	}
	files, err = descriptors(s.pid)
	return goroutines, files, err
}
