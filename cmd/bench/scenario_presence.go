//go:build linux

package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/seed-078801ba/sidestream/cmd/bench/load"
)

// presenceIdle is how long idle streams are looked at.
const presenceIdle = 15 * time.Second

var presence = scenario{
	name:  "presence",
	about: "who is there, on two nodes that share Redis: memory, processor time and commands of idle streams, and from a join at one to who is told at the other",
	measure: func(ctx context.Context, b *bench) (figures, error) {
		redis, err := b.startRedis(ctx)
		if err != nil {
			return nil, err
		}
		defer redis.stop()
		app := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			user, _, _ := r.BasicAuth()
			fmt.Fprintf(w, `{"id":%q}`, user)
		}))
		defer app.Close()
		f := figures{}
		for _, way := range []struct{ name, directive string }{{"without", ""}, {"with", "presence {\nnames 2000\n}"}} {
			if err := b.presence(ctx, f, redis, strings.TrimPrefix(app.URL, "http://"), way.name, way.directive); err != nil {
				return nil, err
			}
		}
		return f, nil
	},
	rows: func(b *bench, m measured) []row {
		n := countText(float64(b.streams))
		return []row{{
			what:   fmt.Sprintf("an idle stream of a user who is shown to be there, %s of them, at the node that has it", n),
			figure: bytesText(m.median("with memory")),
			sticks: "without presence " + bytesText(m.median("without memory")),
		}, {
			what:   fmt.Sprintf("processor time of %s such streams, each second", n),
			figure: timeText(m.median("with cpu")),
			sticks: "without presence " + timeText(m.median("without cpu")),
		}, {
			what:   fmt.Sprintf("commands that Redis gets each second, two nodes, with no stream and with %s", n),
			figure: fmt.Sprintf("%.1f and %.1f", m.median("with none"), m.median("with all")),
			sticks: fmt.Sprintf("without presence %.1f and %.1f", m.median("without none"), m.median("without all")),
		}, {
			what:   "from a join at one node to who is told at the other",
			figure: fmt.Sprintf("p50 %s, p99 %s", timeText(m.median("with p50")), timeText(m.median("with p99"))),
		}}
	},
}

// presence measures two nodes with or without it.
func (b *bench) presence(ctx context.Context, f figures, redis *server, app, name, directive string) error {
	site := fmt.Sprintf(`sidestream %s {
		hub %s
		auth GET /may/{channel} {
			user json id
		}
		heartbeat campfire 1h
		history {
			store redis redis://%s
		}
		%s
	}`, app, name, redis.addr, directive)
	var nodes []*server
	for range 2 {
		s, err := b.startCaddy(ctx, "presence-"+name, b.sidestream, quietSite(site))
		if err != nil {
			return err
		}
		defer s.stop()
		nodes = append(nodes, s)
	}
	var err error
	pause(ctx, 3*time.Second)
	if f[name+" none"], err = commandsPerSecond(ctx, redis); err != nil {
		return err
	}
	memory, err := b.settledBytes(ctx, nodes[0])
	if err != nil {
		return err
	}
	streams, err := openAs(nodes[0].addr.String(), b.streams, func(i int) string { return fmt.Sprint("/room/", i%100, "/live.json") })
	defer streams.close()
	if err != nil {
		return err
	}
	pause(ctx, 3*time.Second)
	after, err := b.settledBytes(ctx, nodes[0])
	if err != nil {
		return err
	}
	f[name+" memory"] = float64(after-memory) / float64(b.streams)
	before, err := processorTime(nodes[0].pid)
	if err != nil {
		return err
	}
	if f[name+" all"], err = commandsPerSecond(ctx, redis); err != nil {
		return err
	}
	used, err := processorTime(nodes[0].pid)
	if err != nil {
		return err
	}
	f[name+" cpu"] = float64(used-before) / presenceIdle.Seconds()
	b.progress("%s: %s a stream, %s a second, %.1f and %.1f commands a second", name, bytesText(f[name+" memory"]), timeText(f[name+" cpu"]), f[name+" none"], f[name+" all"])
	if directive == "" {
		return nil
	}
	return b.joinToTold(ctx, f, name, nodes)
}

// quietSite is a site without an access log.
func quietSite(body string) site { return site{quiet: true, body: body} }

// commandsPerSecond asks Redis how many commands it has got.
func commandsPerSecond(ctx context.Context, redis *server) (float64, error) {
	count := func() (float64, error) {
		out, err := exec.CommandContext(ctx, "redis-cli", "-p", strconv.Itoa(int(redis.addr.Port())), "INFO", "stats").Output()
		if err != nil {
			return 0, fmt.Errorf("asking Redis: %w", err)
		}
		_, rest, _ := strings.Cut(string(out), "total_commands_processed:")
		text, _, _ := strings.Cut(rest, "\r")
		return strconv.ParseFloat(text, 64)
	}
	before, err := count()
	if err != nil {
		return 0, err
	}
	pause(ctx, presenceIdle)
	after, err := count()
	return (after - before - 1) / presenceIdle.Seconds(), err
}

// heldOpen are connections that are held open, and not read.
type heldOpen struct {
	mu    sync.Mutex
	conns []net.Conn
}

func (h *heldOpen) close() {
	for _, c := range h.conns {
		c.Close()
	}
}

// openAs opens streams, each as another user.
func openAs(addr string, n int, target func(i int) string) (*heldOpen, error) {
	h := new(heldOpen)
	var work sync.WaitGroup
	var first error
	for worker := range 32 {
		work.Go(func() {
			for i := worker; i < n; i += 32 {
				conn, err := openStreamAs(addr, fmt.Sprint("user", i), target(i), "")
				h.mu.Lock()
				if err != nil {
					first = errors.Join(first, err)
				} else {
					h.conns = append(h.conns, conn)
				}
				failed := first != nil
				h.mu.Unlock()
				if failed {
					return
				}
			}
		})
	}
	work.Wait()
	return h, first
}

// openStreamAs opens one, and reads its head.
func openStreamAs(addr, user, target, accept string) (net.Conn, error) {
	conn, err := net.DialTimeout("tcp", addr, 30*time.Second)
	if err != nil {
		return nil, err
	}
	r, err := http.NewRequest(http.MethodGet, "http://"+addr+target, nil)
	if err != nil {
		return nil, err
	}
	r.SetBasicAuth(user, "x")
	r.Header.Set("Accept", accept)
	conn.SetDeadline(time.Now().Add(30 * time.Second))
	if err := r.Write(conn); err != nil {
		return nil, err
	}
	line := make([]byte, 12)
	if _, err := io.ReadFull(conn, line); err != nil || string(line) != "HTTP/1.1 200" {
		return nil, fmt.Errorf("opening a stream: %q, %w", line, err)
	}
	conn.SetDeadline(time.Time{})
	return conn, nil
}

// joinToTold has users join at the first node, and listens at the second.
func (b *bench) joinToTold(ctx context.Context, f figures, name string, nodes []*server) error {
	watcher, err := openStreamAs(nodes[1].addr.String(), "watcher", "/flows?filter=joins&presence=1", "text/event-stream")
	if err != nil {
		return err
	}
	defer watcher.Close()
	var told load.Histogram
	lines := bufio.NewScanner(watcher)
	joins := max(int(4*b.duration.Seconds()), 10)
	for i := range joins {
		user := fmt.Sprint("joins", i)
		conn, err := openStreamAs(nodes[0].addr.String(), user, "/room/joins/live.json", "")
		if err != nil {
			return err
		}
		defer conn.Close()
		joined := load.Now()
		watcher.SetReadDeadline(time.Now().Add(30 * time.Second))
		for lines.Scan() && !strings.Contains(lines.Text(), `"`+user+`"`) {
		}
		if lines.Err() != nil {
			return fmt.Errorf("waiting for %s: %w", user, lines.Err())
		}
		told.Add(max(load.Now()-joined, 1))
		pause(ctx, 60*time.Millisecond)
	}
	f[name+" p50"], f[name+" p99"] = float64(told.Quantile(0.5)), float64(told.Quantile(0.99))
	b.progress("%d joins: p50 %s, p99 %s", joins, timeText(f[name+" p50"]), timeText(f[name+" p99"]))
	return ctx.Err()
}
