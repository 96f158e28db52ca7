//go:build linux

package main

import (
	"context"
	"fmt"
	"math"
	"path/filepath"
	"time"

	"github.com/seed-078801ba/sidestream/cmd/bench/load"
)

// workload is what a server is made to do.
type workload struct {
	streams, channels int
	size              int     // of a message
	senders           int     // that publish
	window            int     // messages on their way in a closed loop
	rate              float64 // messages a second instead
	duration          time.Duration
	stalled           int           // of the streams, that many read nothing
	watch             bool          // memory and descriptors, too
	settle            time.Duration // between opening and load; default: settleTime
}

// driven is what came of it.
type driven struct {
	perDelivery time.Duration // processor time of the server
	perSecond   float64       // deliveries
	p50, p99    time.Duration
	perMessage  time.Duration // wall time, when there is one at a time
	published   uint64
	lost, extra uint64
	repeated    uint64 // posts
	closed      int
	before      int64 // bytes of memory when all streams are open
	peak        int64 // the most that was seen since
	// files is how many descriptors the server has given back: a stalled client
	// never sees that it was closed, the FIN is behind what it does not read.
	files int
}

// drive opens streams, publishes to them, and keeps book.
func (b *bench) drive(ctx context.Context, s *server, w workload) (*driven, error) {
	client, err := b.openStreams(ctx, s, w)
	if err != nil {
		return nil, err
	}
	d, published, err := b.publishTo(ctx, s, client, w)
	outcome := client.Close()
	if err != nil {
		return nil, err
	}
	d.lost, d.extra = client.Compare(published.Sent)
	d.p50, d.p99 = outcome.Latency.Quantile(0.5), outcome.Latency.Quantile(0.99)
	d.closed = outcome.Closed
	b.progress("%s: %s a delivery, %s deliveries/s, p50 %s, p99 %s, %d messages, lost %d, doubled %d, closed %d",
		s.name, d.perDelivery, countText(d.perSecond), d.p50, d.p99, d.published, d.lost, d.extra, d.closed)
	if published.Failed > 0 {
		return nil, fmt.Errorf("%s: %d messages could not be published: %w", s.name, published.Failed, published.FirstError)
	}
	return d, nil
}

// openStreams opens a workload's streams; all of them, or it is an error.
func (b *bench) openStreams(ctx context.Context, s *server, w workload) (*load.Client, error) {
	request := s.request
	if request == nil {
		request = streamRequest
	}
	client, err := load.Open(ctx, load.Config{
		Addr: s.addr, Streams: w.streams,
		Request: func(i int) []byte { return request(i % w.channels) },
		Channel: func(i int) int { return i % w.channels }, Channels: w.channels,
		Stalled: func(i int) bool { return i < w.stalled },
	})
	if err == nil && client.Opened() < w.streams {
		err = fmt.Errorf("%d of %d streams were opened", client.Opened(), w.streams)
	}
	if err != nil {
		outcome := client.Close()
		return nil, fmt.Errorf("%s: %w; first error: %v", s.name, err, outcome.FirstError)
	}
	return client, nil
}

// settleTime is how long a server is left alone between opening and load.
const settleTime = 500 * time.Millisecond

// publishTo is the load of a workload, measured.
func (b *bench) publishTo(ctx context.Context, s *server, client *load.Client, w workload) (*driven, *load.Published, error) {
	pause(ctx, max(settleTime, w.settle))
	before, err := readUsage(append([]int{s.pid}, s.workers...)...)
	if err != nil {
		return nil, nil, err
	}
	highest := func() int64 { return 0 }
	if w.watch {
		highest = watchMemory(ctx, s.pid)
	}
	profiled := b.profile(ctx, s, w.duration)
	readers := w.streams - w.stalled
	begun := time.Now()
	posts := s.addr
	if s.posts.IsValid() {
		posts = s.posts
	}
	published := load.Publish(ctx, load.Publication{
		Addr: posts.String(), Path: s.publish, Channels: w.channels, Size: w.size,
		Senders: w.senders, Rate: w.rate, Window: w.window, PerMessage: readers / w.channels,
		To: client, Duration: w.duration,
	})
	client.Await(ctx, published.Acked*uint64(readers/w.channels), 3*time.Second)
	elapsed := time.Since(begun)
	after, err := readUsage(append([]int{s.pid}, s.workers...)...)
	peak := highest()
	profiled()
	if err != nil {
		return nil, nil, err
	}
	deliveries := float64(client.Received())
	return &driven{
		published:   published.Acked,
		repeated:    published.Retried,
		perDelivery: time.Duration(float64(after.processor-before.processor) / max(deliveries, 1)),
		perSecond:   deliveries / elapsed.Seconds(),
		perMessage:  elapsed / time.Duration(max(published.Acked, 1)),
		before:      before.resident,
		peak:        max(peak, before.resident),
		files:       max(0, before.files-after.files),
	}, published, ctx.Err()
}

// watchMemory looks at a process's memory until the returned function is
// called, which tells the most that was seen.
func watchMemory(ctx context.Context, pid int) (highest func() int64) {
	ctx, stop := context.WithCancel(ctx)
	most := make(chan int64)
	go func() {
		var seen int64
		for ctx.Err() == nil {
			if now, err := residentBytes(pid); err == nil {
				seen = max(seen, now)
			}
			pause(ctx, 250*time.Millisecond)
		}
		most <- seen
	}()
	return func() int64 {
		stop()
		return <-most
	}
}

// profile begins to profile a Caddy's processor time, if that is wanted, and
// returns what waits for its end.
func (b *bench) profile(ctx context.Context, s *server, d time.Duration) (wait func()) {
	if b.profiles == "" || s.admin == nil {
		return func() {}
	}
	done := make(chan error, 1)
	go func() {
		kind := fmt.Sprintf("profile?seconds=%d", int(math.Ceil(d.Seconds())))
		done <- s.admin.saveProfile(ctx, kind, b.profileName(s, "cpu"))
	}()
	return func() {
		if err := <-done; err != nil {
			b.progress("%s: no profile: %v", s.name, err)
		}
	}
}

func (b *bench) profileName(s *server, kind string) string {
	return filepath.Join(b.profiles, fmt.Sprintf("%s-%s.pb.gz", filepath.Base(s.dir), kind))
}

// put stores a driven server's results under a prefix.
func (f figures) put(prefix string, d *driven) {
	f[prefix+" cpu"] = float64(d.perDelivery)
	f[prefix+" rate"] = d.perSecond
	f[prefix+" p50"] = float64(d.p50)
	f[prefix+" p99"] = float64(d.p99)
	f[prefix+" lost"], f[prefix+" doubled"], f[prefix+" closed"] = float64(d.lost), float64(d.extra), float64(d.closed)
	f[prefix+" repeated"] = float64(d.repeated)
	f[prefix+" wrong"] = float64(d.lost) + float64(d.extra) + float64(d.closed)
}
