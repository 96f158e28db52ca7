//go:build linux

package main

import (
	"context"
	"fmt"
	"os"
	"time"
)

// bench is one run of the program.
type bench struct {
	options
	dir                    string // of everything that is written
	dirs                   int
	sidestream, plainCaddy string // binaries
	started                time.Time
	now                    string // what is being measured
}

// scenario is one thing that is measured, some times over, together with what
// it is compared with.
type scenario struct {
	name    string
	about   string
	measure func(ctx context.Context, b *bench) (figures, error)
	rows    func(b *bench, m measured) []row
}

var scenarios = []scenario{
	idleHTTP1, idleTLS, idleHTTP2,
	fanOut, fullSpeed, manyChannels, webSockets, slowReaders,
	connectStorm, opening, resumeStorm, reloads, reloadPosts, doubling,
	ingest, taps, redisNodes, presence,
}

func known(name string) bool {
	for _, s := range scenarios {
		if s.name == name {
			return true
		}
	}
	return false
}

// measure runs a scenario as often as was asked for.
func (b *bench) measure(ctx context.Context, s scenario) ([]row, error) {
	var m measured
	for i := range b.runs {
		b.now = fmt.Sprintf("%s %d/%d", s.name, i+1, b.runs)
		f, err := s.measure(ctx, b)
		if err != nil {
			return nil, err
		}
		m = append(m, f)
	}
	rows := s.rows(b, m)
	for i := range rows {
		rows[i].odd = m.oddText(rows[i].servers)
	}
	return rows, nil
}

// progress says what is going on.
func (b *bench) progress(format string, args ...any) {
	if b.started.IsZero() {
		b.started = time.Now()
	}
	fmt.Fprintf(os.Stderr, "%6.1fs %s: %s\n", time.Since(b.started).Seconds(), b.now, fmt.Sprintf(format, args...))
}

// pause waits, unless it is all over.
func pause(ctx context.Context, d time.Duration) {
	select {
	case <-time.After(d):
	case <-ctx.Done():
	}
}
