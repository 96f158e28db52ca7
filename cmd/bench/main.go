//go:build linux

// Command bench measures Sidestream and, in the same run, what it is to be
// measured against: a bare loop over epoll, the plainest fan-out with net/http,
// and Caddy without Sidestream. It prints a table in Markdown; how far it has
// come goes to standard error.
//
//	go run ./cmd/bench            all of it, three times: half an hour or more
//	go run ./cmd/bench -quick     small and once, to see that it works: a minute
//	go run ./cmd/bench -only idle-h1,fanout
//	go run ./cmd/bench -list
//
// Everything runs on this machine, over loopback addresses, for a bounded time.
// It needs as many descriptors as streams (ulimit -n), twice: in the server and
// in this process, which plays the clients.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/signal"
	"runtime"
	"strings"
	"syscall"
	"time"

	"github.com/seed-078801ba/sidestream/cmd/bench/stick"
)

func main() {
	if len(os.Args) == 3 && strings.HasPrefix(os.Args[1], "stick-") {
		fail(runStick(os.Args[1], os.Args[2]))
	}
	o, list := parseFlags()
	if list {
		for _, s := range scenarios {
			fmt.Printf("%-12s %s\n", s.name, s.about)
		}
		return
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, o); err != nil {
		stop()
		fail(err)
	}
}

func fail(err error) {
	fmt.Fprintln(os.Stderr, "bench:", err)
	os.Exit(1)
}

// runStick is this program's life as a measuring stick.
func runStick(kind, address string) error {
	addr, err := netip.ParseAddrPort(address)
	if err != nil {
		return err
	}
	// The memory of an idle stream is not the garbage that its opening made.
	collect := make(chan os.Signal, 1)
	signal.Notify(collect, syscall.SIGUSR1)
	go func() {
		for range collect {
			runtime.GC() // and no more: it is all that Caddy does when asked
		}
	}()
	switch kind {
	case stickEpoll, stickBatch:
		return stick.ServeEpoll(addr, kind == stickBatch)
	case stickNetHTTP:
		l, err := net.ListenTCP("tcp", net.TCPAddrFromAddrPort(addr))
		if err != nil {
			return err
		}
		return stick.ServeHTTP(l)
	}
	return fmt.Errorf("no stick %q", kind)
}

// options say how much is measured.
type options struct {
	streams    int           // of the large scenarios
	connects   int           // HTTP/2 connections, of 100 streams each
	duration   time.Duration // of each load
	runs       int
	reloads    int
	reloadTime time.Duration
	resumes    int           // events that each client has missed
	settle     time.Duration // how long a server's memory must stay the same
	quick      bool
	only       map[string]bool
	temp       string
	profiles   string // folder
	binary     string // of Sidestream; built if empty
	beside     []peer
}

// limit bounds the whole run.
const limit = 3 * time.Hour

func parseFlags() (o options, list bool) {
	only := ""
	flag.IntVar(&o.streams, "streams", 10_000, "`streams` of the large scenarios, 18000 at most")
	flag.DurationVar(&o.duration, "d", 5*time.Second, "`time` of each load")
	flag.IntVar(&o.runs, "runs", 3, "`times` that everything is measured; the table has the medians")
	flag.IntVar(&o.reloads, "reloads", 50, "`reloads` in a minute")
	flag.BoolVar(&o.quick, "quick", false, "small and once: shows that it works, and nothing else")
	flag.StringVar(&only, "only", "", "`scenarios` to run, with commas between; see -list")
	flag.StringVar(&o.temp, "dir", "", "`folder` for what the servers write, on the disk that is meant (default: the system's for temporary files)")
	flag.StringVar(&o.profiles, "profiles", "", "`folder` for profiles of Caddy's processor time and memory, for go tool pprof")
	flag.StringVar(&o.binary, "binary", "", "`program` to measure: a Caddy with Sidestream in it (default: it is built from ./cmd/sidestream)")
	flag.Func("beside", "`name=URL,URL` of a server that runs already, to be measured beside Sidestream in fanout, fullspeed and channels: "+
		"of a channel's stream, and where its messages are posted, each with {channel} in it; may be repeated", func(text string) error {
		p, err := parsePeer(text)
		o.beside = append(o.beside, p)
		return err
	})
	flag.BoolVar(&list, "list", false, "say which scenarios there are")
	flag.Parse()
	o.connects, o.resumes, o.settle = 20, 100, time.Second
	o.reloadTime = time.Duration(o.reloads) * time.Minute / 50
	if o.quick {
		o.streams, o.connects, o.duration, o.runs, o.reloads, o.resumes = min(o.streams, 200), 2, time.Second/2, 1, min(o.reloads, 5), 10
		o.reloadTime, o.settle = 2*time.Second, 100*time.Millisecond
	}
	o.streams = min(o.streams, 18_000)
	if only != "" {
		o.only = map[string]bool{}
		for name := range strings.SplitSeq(only, ",") {
			o.only[name] = true
		}
	}
	return o, list
}

// checkDescriptors looks whether the largest scenario can open its streams.
func checkDescriptors(o options) error {
	const others = 300 // senders, files, what Caddy has open
	need := o.streams
	if o.only == nil || o.only[doubling.name] {
		need = max(need, doublingStreams(o.streams, doublings))
	}
	var l syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &l); err != nil {
		return fmt.Errorf("asking for the limit of descriptors: %w", err)
	}
	if l.Max < uint64(need+others) {
		return fmt.Errorf("%d streams need %d descriptors, the limit is %d: raise it (ulimit -n), or choose fewer -streams", need, need+others, l.Max)
	}
	return nil
}

// run measures and prints.
func run(ctx context.Context, o options) (err error) {
	for name := range o.only {
		if !known(name) {
			return fmt.Errorf("no scenario %q; see -list", name)
		}
	}
	if err := checkDescriptors(o); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	if o.profiles != "" {
		if err := os.MkdirAll(o.profiles, 0o755); err != nil {
			return err
		}
	}
	b := &bench{options: o}
	if b.dir, err = os.MkdirTemp(o.temp, "sidestream-bench-"); err != nil {
		return err
	}
	defer os.RemoveAll(b.dir)
	if err := b.build(ctx); err != nil {
		return err
	}
	rep := &report{options: o, machine: describeMachine(b.dir)}
	var failures error
	for _, s := range scenarios {
		if o.only != nil && !o.only[s.name] {
			continue
		}
		rows, err := b.measure(ctx, s)
		if err != nil { // the others may still tell something
			failures = errors.Join(failures, fmt.Errorf("%s: %w", s.name, err))
			b.progress("%s: %v", s.name, err)
		}
		rep.rows = append(rep.rows, rows...)
		if ctx.Err() != nil {
			break
		}
	}
	if len(rep.rows) > 0 {
		rep.print(os.Stdout)
	}
	return failures
}
