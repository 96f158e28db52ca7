//go:build linux

package main

import (
	"context"
	"fmt"
	"math"
	"time"

	"github.com/seed-078801ba/sidestream/cmd/bench/load"
)

var idleHTTP1 = scenario{
	name:  "idle-h1",
	about: "memory, goroutines and processor time of idle streams over HTTP/1.1",
	measure: func(ctx context.Context, b *bench) (figures, error) {
		f := figures{}
		w := workload{streams: b.streams, channels: max(1, b.streams/10)}
		open := func(ctx context.Context, s *server) (func(), error) {
			client, err := b.openStreams(ctx, s, w)
			if err != nil {
				return nil, err
			}
			return func() { client.Close() }, nil
		}
		for _, kind := range []struct {
			name  string
			start func() (*server, error)
		}{
			{"epoll", func() (*server, error) { return b.startStick(ctx, stickEpoll) }},
			{"nethttp", func() (*server, error) { return b.startStick(ctx, stickNetHTTP) }},
			{"caddy", func() (*server, error) { return b.startPlainCaddy(ctx, "bench_stream") }},
			{"sidestream", func() (*server, error) { return b.startSidestream(ctx, sidestreamSite{store: "file"}) }},
		} {
			s, err := kind.start()
			if err != nil {
				return nil, err
			}
			if err := b.idle(ctx, s, f, kind.name, b.streams, open); err != nil {
				return nil, err
			}
		}
		return f, nil
	},
	rows: func(b *bench, m measured) []row {
		return []row{{
			what:   fmt.Sprintf("idle HTTP/1.1 stream, %s of them, access log on: memory", countText(float64(b.streams))),
			bar:    "<= 3 KB, no goroutine",
			figure: idleText(m, "sidestream") + fmt.Sprintf("; all together %.1f %% of a core", m.median("sidestream busy")*100),
			sticks: fmt.Sprintf("bare loop %s, net/http %s, plain handler in Caddy %s",
				bytesText(m.median("epoll")), bytesText(m.median("nethttp")), idleText(m, "caddy")),
			met: meets(m.median("sidestream") <= 3000 && noGoroutine(m)),
		}}
	},
}

var idleTLS = scenario{
	name:  "idle-tls",
	about: "the same over TLS 1.3",
	measure: func(ctx context.Context, b *bench) (figures, error) {
		f := figures{}
		open := func(ctx context.Context, s *server) (func(), error) {
			idle, err := load.OpenTLS(ctx, s.addr.String(), b.streams, streamRequest(0))
			if err != nil {
				idle.Close()
				return nil, err
			}
			return idle.Close, nil
		}
		return f, b.idleOverTLS(ctx, f, b.streams, open)
	},
	rows: func(b *bench, m measured) []row {
		return []row{{
			what:   fmt.Sprintf("the same over TLS 1.3, %s streams", countText(float64(b.streams))),
			bar:    "<= 8 KB, no goroutine",
			figure: idleText(m, "sidestream"),
			sticks: "plain handler in Caddy " + idleText(m, "caddy"),
			met:    meets(m.median("sidestream") <= 8_000 && noGoroutine(m)),
		}}
	},
}

// perConnection is how many HTTP/2 streams share a connection.
const perConnection = 100

var idleHTTP2 = scenario{
	name:  "idle-h2",
	about: "memory of idle streams over HTTP/2, 100 to a connection",
	measure: func(ctx context.Context, b *bench) (figures, error) {
		f := figures{}
		open := func(ctx context.Context, s *server) (func(), error) {
			idle, err := load.OpenHTTP2(ctx, "https://"+s.addr.String()+"/room/0/live.json", b.connects, perConnection)
			if err != nil {
				idle.Close()
				return nil, err
			}
			return idle.Close, nil
		}
		for _, within := range []string{"", "handle"} {
			for _, kind := range http2Kinds {
				st, binary := site{tls: true, body: kind.body}, b.plainCaddy
				if kind.body == "" {
					st.body, binary = sidestreamSite{store: "file"}.directives(), b.sidestream
				}
				if within != "" {
					st.body = within + " {\n" + st.body + "\n}"
				}
				s, err := b.startCaddy(ctx, kind.name, binary, st)
				if err != nil {
					return nil, err
				}
				if err := b.idle(ctx, s, f, kind.name+within, b.connects*perConnection, open); err != nil {
					return nil, err
				}
			}
		}
		return f, nil
	},
	rows: func(b *bench, m measured) []row {
		var rows []row
		for _, within := range []string{"", "handle"} {
			what := fmt.Sprintf("idle HTTP/2 stream, %d connections of 100: memory", b.connects)
			if within != "" {
				what = "the same, inside of a " + within + " block"
			}
			rows = append(rows, row{
				what: what, bar: "<= a plain handler's",
				figure: idleText(m, "sidestream"+within),
				sticks: "plain handler in Caddy that writes heartbeats " + idleText(m, "caddy-beats"+within) +
					"; one that never writes " + idleText(m, "caddy"+within),
				met: meets(m.ratio("sidestream"+within, "caddy-beats"+within) <= 1),
			})
		}
		return rows
	},
}

// http2Kinds are what HTTP/2 streams are measured of. A handler that never
// writes is there to be seen, and none to be compared with: of the 4 KB in which
// the server gathers what a stream writes, it never touches a byte.
var http2Kinds = []struct{ name, body string }{
	{"caddy", "bench_stream"}, {"caddy-beats", "bench_beats"}, {"sidestream", ""},
}

func idleText(m measured, name string) string {
	return fmt.Sprintf("%s, %s of it live, %.2f goroutines", bytesText(m.median(name)), bytesText(m.median(name+" live")), max(0, m.median(name+" goroutines")))
}

func noGoroutine(m measured) bool { return m.median("sidestream goroutines") < 0.01 }

// idleOverTLS measures the two that speak TLS.
func (b *bench) idleOverTLS(ctx context.Context, f figures, streams int, open func(context.Context, *server) (func(), error)) error {
	s, err := b.startCaddy(ctx, "caddy", b.plainCaddy, site{tls: true, body: "bench_stream"})
	if err != nil {
		return err
	}
	if err := b.idle(ctx, s, f, "caddy", streams, open); err != nil {
		return err
	}
	s, err = b.startCaddy(ctx, "sidestream", b.sidestream, site{tls: true, body: sidestreamSite{store: "file"}.directives()})
	if err != nil {
		return err
	}
	return b.idle(ctx, s, f, "sidestream", streams, open)
}

// idle measures what a server grows by when streams are opened, and stops it.
func (b *bench) idle(ctx context.Context, s *server, f figures, name string, streams int, open func(context.Context, *server) (func(), error)) error {
	defer s.stop()
	before, err := b.settledBytes(ctx, s)
	if err != nil {
		return err
	}
	goroutines, live, err := s.inside(ctx)
	if err != nil {
		return err
	}
	shut, err := open(ctx, s)
	if err != nil {
		return err
	}
	defer shut()
	after, err := b.settledBytes(ctx, s)
	if err != nil {
		return err
	}
	more, liveAfter, err := s.inside(ctx)
	if err != nil {
		return err
	}
	busy, err := b.busyShare(ctx, s)
	if err != nil {
		return err
	}
	f[name] = float64(after-before) / float64(streams)
	f[name+" live"] = float64(liveAfter-live) / float64(streams)
	f[name+" goroutines"] = float64(more-goroutines) / float64(streams)
	f[name+" busy"] = busy
	if b.profiles != "" && s.admin != nil {
		if err := s.admin.saveProfile(ctx, "heap", b.profileName(s, "heap")); err != nil {
			return err
		}
	}
	b.progress("%s: %s a stream, %s of it live, %.3f goroutines, %.1f %% of a core", s.name, bytesText(f[name]), bytesText(f[name+" live"]), f[name+" goroutines"], busy*100)
	return ctx.Err()
}

// goroutines of a Caddy; the sticks are not asked.
func (s *server) goroutines(ctx context.Context) (int, error) {
	if s.admin == nil {
		return 0, nil
	}
	return s.admin.goroutines(ctx)
}

// inside is what a Caddy says of itself: goroutines, and bytes in use. The
// sticks are not asked.
func (s *server) inside(ctx context.Context) (goroutines int, live int64, err error) {
	if goroutines, err = s.goroutines(ctx); err != nil || s.admin == nil {
		return 0, 0, err
	}
	live, err = s.admin.liveBytes(ctx)
	return goroutines, live, err
}

// settledBytes is the memory of a server that has been left alone for so long
// that it gives no more back. Sidestream looks every three seconds whether it
// is calm, and Go's own scavenger takes its time too.
func (b *bench) settledBytes(ctx context.Context, s *server) (int64, error) {
	const least, most = 8, 20
	var last int64 = math.MaxInt64
	for i := range most {
		if err := s.collectGarbage(ctx); err != nil {
			return 0, err
		}
		pause(ctx, b.settle)
		now, err := residentBytes(s.pid)
		if err != nil {
			return 0, err
		}
		if i >= least && now > last-last/200 { // less than half a percent
			return now, ctx.Err()
		}
		last = now
	}
	return last, ctx.Err()
}

// busyShare is the share of a core that a server takes when left alone.
func (b *bench) busyShare(ctx context.Context, s *server) (float64, error) {
	before, err := processorTime(s.pid)
	if err != nil {
		return 0, err
	}
	begun := time.Now()
	pause(ctx, 4*b.settle) // two of Campfire's heartbeats
	after, err := processorTime(s.pid)
	return float64(after-before) / float64(time.Since(begun)), err
}
