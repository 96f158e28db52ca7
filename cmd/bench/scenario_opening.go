//go:build linux

package main

import (
	"context"
	"encoding/base64"
	"fmt"
	"time"

	"github.com/seed-078801ba/sidestream/cmd/bench/load"
)

// openings is how many streams are opened in each way, and then asked for
// again: enough to tell processor times apart.
const openings = 3000

// recheckEvery is the cadence of the re-checks that are measured. What one
// costs does not depend on it.
const recheckEvery = 10 * time.Second

var opening = scenario{
	name:  "opening",
	about: "processor time of an opening, asked and remembered, and of a re-check",
	measure: func(ctx context.Context, b *bench) (figures, error) {
		f := figures{}
		app, err := startBackend()
		if err != nil {
			return nil, err
		}
		defer app.stop(ctx)
		plain, err := b.startPlainCaddy(ctx, "reverse_proxy "+app.addr)
		if err != nil {
			return nil, err
		}
		_, err = b.open(ctx, f, "proxy", plain, func(i int) string { return token(i) })
		plain.stop()
		if err != nil {
			return nil, err
		}
		s, err := b.startSidestream(ctx, sidestreamSite{store: "memory", auth: app.addr, recheck: recheckEvery})
		if err != nil {
			return nil, err
		}
		defer s.stop()
		remembered, err := b.open(ctx, f, "remembered", s, func(int) string { return token(0) })
		if err != nil {
			return nil, err
		}
		remembered.Close()
		asked, err := b.open(ctx, f, "asked", s, func(i int) string { return token(i) })
		if err != nil {
			return nil, err
		}
		defer asked.Close()
		return f, b.rechecks(ctx, f, s, app)
	},
	rows: func(b *bench, m measured) []row {
		return []row{{
			what: "opening a stream: processor time",
			bar:  "(a figure)",
			figure: fmt.Sprintf("%s where the app is asked, %s where its answer is remembered",
				timeText(m.median("asked")), timeText(m.median("remembered"))),
			sticks: "a GET through plain `reverse_proxy` to the same app " + timeText(m.median("proxy")),
		}, {
			what:   fmt.Sprintf("re-checking open streams, %d credentials: processor time", openings),
			bar:    "(a figure)",
			figure: fmt.Sprintf("%s a question; %.1f %% of a core for 10,000 a minute", timeText(m.median("recheck")), m.median("recheck")*10_000/60e9*100),
		}}
	},
}

func token(i int) string {
	return "Basic " + base64.StdEncoding.EncodeToString(fmt.Appendf(nil, "opening%d:x", i))
}

// open opens streams, some at a time, and notes the server's processor time for
// each.
func (b *bench) open(ctx context.Context, f figures, name string, s *server, authorization func(i int) string) (*load.Client, error) {
	before, err := processorTime(s.pid)
	if err != nil {
		return nil, err
	}
	client, err := load.Open(ctx, load.Config{
		Addr: s.addr, Streams: openings, AtOnce: 16,
		Request: func(i int) []byte {
			return fmt.Appendf(nil, "GET /room/0/live.json HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: %s\r\n\r\n", authorization(i))
		},
		Channel: func(int) int { return 0 }, Channels: 1,
	})
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	after, err := processorTime(s.pid)
	f[name] = float64(after-before) / openings
	b.progress("%s: %s an opening", name, timeText(f[name]))
	return client, err
}

// rechecks waits for two rounds of re-checks and notes the processor time of
// one question.
func (b *bench) rechecks(ctx context.Context, f figures, s *server, app *backend) error {
	calls := app.calls.Load()
	before, err := processorTime(s.pid)
	if err != nil {
		return err
	}
	pause(ctx, 2*recheckEvery)
	after, err := processorTime(s.pid)
	if err != nil {
		return err
	}
	asked := app.calls.Load() - calls
	if asked < openings {
		return fmt.Errorf("only %d of %d open streams were asked for again in %s", asked, openings, 2*recheckEvery)
	}
	f["recheck"] = float64(after-before) / float64(asked)
	b.progress("%d re-checks, %s each", asked, timeText(f["recheck"]))
	return nil
}
