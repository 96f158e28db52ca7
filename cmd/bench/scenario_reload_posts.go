//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/seed-078801ba/sidestream/cmd/bench/load"
)

// reloadPosts counts the webhooks that reloads cut off. A sender that retries sends
// them again; for one that never does they are lost.
var reloadPosts = scenario{
	name:  "reload-posts",
	about: "webhooks that reloads cut off, next to Caddy's respond",
	measure: func(ctx context.Context, b *bench) (figures, error) {
		f := figures{}
		for _, part := range reloadPostParts {
			body := func(int) string { return part.directive }
			if part.directive == "" {
				body = func(int) string {
					site := sidestreamSite{store: "memory", neverRetries: part.closes}
					return site.directives()
				}
			}
			for _, careless := range []bool{false, true} {
				name := part.name
				if careless {
					name += "-careless"
				}
				if err := b.reloadUnderPosts(ctx, f, name, part.directive != "", careless, body); err != nil {
					return nil, err
				}
			}
		}
		return f, nil
	},
	rows: func(b *bench, m measured) []row {
		figure := func(name string) string {
			return fmt.Sprintf("%s of %s", countText(m.median(name+" cut")), countText(m.median(name+" posts")))
		}
		both := func(name string) string {
			return figure(name) + "; of senders that do not look whether their idle connection has ended, " + figure(name+"-careless")
		}
		what := fmt.Sprintf("posts cut off by %d reloads in %s, %d senders, %d posts a second", b.reloads, b.reloadTime, reloadSenders, reloadPostRate)
		return []row{{
			what: what + "; a webhook with never_retries", bar: "no more than respond", figure: both("close"), sticks: "Caddy's respond " + both("respond"),
			met: meets(m.median("close cut")+m.median("close-careless cut") <= m.median("respond cut")+m.median("respond-careless cut")),
		}, {
			what: what + "; a webhook without it", figure: both("keep"),
		}}
	},
}

// reloadPostParts are what is posted to: Caddy's respond, or Sidestream.
var reloadPostParts = []struct {
	name, directive string
	closes          bool
}{
	{name: "respond", directive: "respond /publish 200"},
	{name: "keep"},
	{name: "close", closes: true},
}

const (
	reloadSenders  = 32
	reloadPostRate = 500
)

// reloadUnderPosts reloads a Caddy while it is posted to.
func (b *bench) reloadUnderPosts(ctx context.Context, f figures, name string, plain, careless bool, body func(reload int) string) error {
	binary := b.sidestream
	if plain {
		binary = b.plainCaddy
	}
	s, err := b.startCaddy(ctx, name, binary, site{quiet: true, body: body(0)})
	if err != nil {
		return err
	}
	defer s.stop()
	published := make(chan *load.Published, 1)
	go func() {
		published <- load.Publish(ctx, load.Publication{
			Addr: s.addr.String(), Path: s.publish, Channels: 1, Size: messageSize, Senders: reloadSenders, Rate: reloadPostRate,
			Careless: careless, Duration: b.reloadTime,
		})
	}()
	_, err = b.reloadAll(ctx, s, body)
	p := <-published
	if err != nil {
		return err
	}
	if p.Failed > 0 || p.Acked == 0 {
		return errors.Join(fmt.Errorf("%s: %d of %d posts failed for good", name, p.Failed, p.Acked), p.FirstError)
	}
	b.progress("%s: %d of %d posts were cut off (%v)", name, p.Retried, p.Acked, p.FirstError)
	f[name+" cut"], f[name+" posts"] = float64(p.Retried), float64(p.Acked)
	return ctx.Err()
}

// reloadAll spreads the reloads over their time. Each has a configuration that
// differs, because Caddy skips what is the same.
// It returns how long they took in all.
func (b *bench) reloadAll(ctx context.Context, s *server, body func(reload int) string) (took time.Duration, err error) {
	gap := b.reloadTime / time.Duration(b.reloads+1)
	begun := time.Now()
	for i := range b.reloads {
		pause(ctx, time.Until(begun.Add(time.Duration(i+1)*gap)))
		changed := s.site
		changed.body = fmt.Sprintf("%s\n\theader X-Reload %d", body(i+1), i+1)
		start := time.Now()
		if err := s.admin.reload(ctx, changed.caddyfile()); err != nil {
			return 0, fmt.Errorf("reload %d: %w", i+1, err)
		}
		took += time.Since(start)
	}
	return took, nil
}
