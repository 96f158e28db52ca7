//go:build linux

package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"

	"github.com/seed-078801ba/sidestream/cmd/bench/load"
)

const (
	tapSenders = 16
	// tapRate is that of the part in which the machine has time to spare, posts a
	// second.
	tapRate = 1000
)

const tapDirective = `tap POST /tapped/{channel} 201 {
			map channel {res.room_id}
			map id {res.id}
			map user {res.user_id}
			map time {res.created_at}
			map body {res.body}
		}`

// taps compares a route of the app's that a tap is for with one that none is for: what
// it takes to look at the answer, and, as fast as it goes, to store its message too.
var taps = scenario{
	name:  "tap",
	about: "posts to the app through a tap, next to the same without one",
	measure: func(ctx context.Context, b *bench) (figures, error) {
		app, err := startEcho()
		if err != nil {
			return nil, err
		}
		defer app.Close()
		s, err := b.startSidestream(ctx, sidestreamSite{store: "memory", app: app.Addr, more: tapDirective})
		if err != nil {
			return nil, err
		}
		defer s.stop()
		f := figures{}
		// In turn, so that what the machine does beside it hits both.
		for _, part := range []struct {
			name, route string
			rate        float64
		}{
			{"", "plain", 0}, // warms up
			{"plain", "plain", tapRate}, {"tapped", "tapped", tapRate}, {"plain full", "plain", 0}, {"tapped full", "tapped", 0},
		} {
			s.publish = func(channel int) string { return "/" + part.route + "/" + strconv.Itoa(channel) }
			p, cpu, err := b.post(ctx, s, load.Publication{
				Channels: ingestChannels, Size: messageSize, Senders: tapSenders, Rate: part.rate, Duration: b.duration,
			})
			if err != nil {
				return nil, err
			}
			if part.name == "" {
				continue
			}
			f[part.name+" rate"], f[part.name+" cpu"] = float64(p.Acked)/p.Elapsed.Seconds(), cpu
			f[part.name+" p50"], f[part.name+" p99"] = float64(p.Acknowledged.Quantile(0.5)), float64(p.Acknowledged.Quantile(0.99))
			f[part.name+" repeated"] = float64(p.Retried)
			b.progress("%s: %s posts/s, p50 %s, p99 %s, %s each", part.name, countText(f[part.name+" rate"]), timeText(f[part.name+" p50"]),
				timeText(f[part.name+" p99"]), timeText(cpu))
		}
		return f, ctx.Err()
	},
	rows: func(b *bench, m measured) []row {
		figure := func(name, of string) string {
			return fmt.Sprintf("%s posts/s (%.2f x), p50 %s (%.2f x), p99 %s (%.2f x), %s each (%.2f x)",
				countText(m.median(name+" rate")), m.ratio(name+" rate", of+" rate"), timeText(m.median(name+" p50")), m.ratio(name+" p50", of+" p50"),
				timeText(m.median(name+" p99")), m.ratio(name+" p99", of+" p99"), timeText(m.median(name+" cpu")), m.ratio(name+" cpu", of+" cpu"))
		}
		beside := func(name string) string {
			return fmt.Sprintf("no tap: %s posts/s, p50 %s, p99 %s, %s each", countText(m.median(name+" rate")), timeText(m.median(name+" p50")),
				timeText(m.median(name+" p99")), timeText(m.median(name+" cpu")))
		}
		return []row{{
			what: fmt.Sprintf("posts to the app on a tapped route, %d a second", tapRate), bar: "p50 and p99 within 3 % of the same without a tap",
			figure: figure("tapped", "plain"), sticks: beside("plain"), servers: []string{"tapped", "plain"},
			met: meets(m.ratio("tapped p50", "plain p50") <= 1.03 && m.ratio("tapped p99", "plain p99") <= 1.03),
		}, {
			what:   fmt.Sprintf("the same as fast as it goes, %d senders; each message is stored beside it", tapSenders),
			figure: figure("tapped full", "plain full"), sticks: beside("plain full"), servers: []string{"tapped full", "plain full"},
		}}
	},
}

// echo is an app that answers every post with 201 and what was posted.
type echo struct {
	http.Server
	Addr string
}

func startEcho() (*echo, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	e := &echo{Addr: l.Addr().String()}
	e.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		posted, _ := io.ReadAll(r.Body) // what cannot be read is not answered
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Content-Length", strconv.Itoa(len(posted)))
		w.WriteHeader(http.StatusCreated)
		_, _ = w.Write(posted)
	})
	go e.Serve(l)
	return e, nil
}
