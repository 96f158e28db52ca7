//go:build linux

package main

import (
	"context"
	"encoding/csv"
	"fmt"
	"net"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/redis/rueidis"

	"github.com/seed-078801ba/sidestream/cmd/bench/load"
)

const (
	// redisRate is the messages a second at which latency and processor time
	// are measured.
	redisRate    = 1000
	redisSenders = 32
)

// redisChannels are the numbers of channels among which the processor time of
// an event is compared; the latency is that of the first.
var redisChannels = []int{10, 100, 1000}

var redisNodes = scenario{
	name:  "redis",
	about: "two nodes that share a log in Redis: from a webhook at one to a stream at the other",
	measure: func(ctx context.Context, b *bench) (figures, error) {
		redis, err := b.startRedis(ctx)
		if err != nil {
			return nil, err
		}
		defer redis.stop()
		f := figures{}
		if err := b.barePubSub(ctx, f, redis); err != nil {
			return nil, err
		}
		var nodes []*server
		for range 2 {
			store := fmt.Sprintf("redis redis://%s {\ndurable\n}", redis.addr)
			s, err := b.startCaddy(ctx, "sidestream-redis", b.sidestream, site{
				body: sidestreamSite{store: store}.directives(),
			})
			if err != nil {
				return nil, err
			}
			defer s.stop()
			nodes = append(nodes, s)
		}
		for _, channels := range redisChannels {
			if err := b.acrossNodes(ctx, f, redis, nodes, channels); err != nil {
				return nil, err
			}
		}
		if err := b.ingest(ctx, f, "redis", nodes[0], ingestSenders); err != nil {
			return nil, err
		}
		return f, b.bareXADD(ctx, f, redis)
	},
	rows: func(b *bench, m measured) []row {
		first := fmt.Sprint(redisChannels[0])
		rows := []row{{
			what:   fmt.Sprintf("from a webhook at one node to a stream at another, %s messages a second, Redis with a sync for each write", countText(redisRate)),
			figure: fmt.Sprintf("p50 %s, p99 %s", timeText(m.median(first+" p50")), timeText(m.median(first+" p99"))),
			sticks: fmt.Sprintf("bare PUBLISH and SUBSCRIBE p50 %s, p99 %s", timeText(m.median("bare p50")), timeText(m.median("bare p99"))),
		}, {
			what: fmt.Sprintf("acknowledged events a second, %d senders, one node, Redis with a sync for each write", ingestSenders),
			figure: fmt.Sprintf("%s, %.2f x; p50 %s, p99 %s; %s each", countText(m.median("redis rate")), m.ratio("redis rate", "xadd rate"),
				timeText(m.median("redis p50")), timeText(m.median("redis p99")), timeText(m.median("redis cpu"))),
			sticks: fmt.Sprintf("redis-benchmark, XADD by %d clients: %s", ingestSenders, countText(m.median("xadd rate"))),
		}}
		for _, channels := range redisChannels {
			name := fmt.Sprint(channels)
			r := row{
				what: fmt.Sprintf("processor time of an event, %s a second, %s channels with a stream at the other node", countText(redisRate), countText(float64(channels))),
				figure: fmt.Sprintf("%s where it is posted, %s where it is delivered; p50 %s, p99 %s", timeText(m.median(name+" posted")),
					timeText(m.median(name+" delivered")), timeText(m.median(name+" p50")), timeText(m.median(name+" p99"))),
				sticks:  fmt.Sprintf("redis-server %s", timeText(m.median(name+" redis"))),
				servers: []string{name},
			}
			if n := m.worst(name + " wrong"); n > 0 {
				r.figure, r.met = r.figure+fmt.Sprintf("; **%s lost, doubled or closed**", countText(n)), missed
			}
			rows = append(rows, r)
		}
		return rows
	},
}

// startRedis runs a redis-server that syncs every write.
func (b *bench) startRedis(ctx context.Context) (*server, error) {
	addr, err := freeAddr()
	if err != nil {
		return nil, err
	}
	dir, err := b.newDir("redis")
	if err != nil {
		return nil, err
	}
	return start(ctx, server{name: "redis", addr: addr, dir: dir}, "redis-server", "--bind", "127.0.0.1", "--port", strconv.Itoa(int(addr.Port())),
		"--dir", dir, "--save", "", "--appendonly", "yes", "--appendfsync", "always")
}

// acrossNodes posts to the first node and listens at the second.
func (b *bench) acrossNodes(ctx context.Context, f figures, redis *server, nodes []*server, channels int) error {
	w := workload{streams: channels, channels: channels, size: messageSize, senders: redisSenders, rate: redisRate, duration: b.duration}
	client, err := b.openStreams(ctx, nodes[1], w)
	if err != nil {
		return err
	}
	pause(ctx, settleTime)
	processes := map[string]int{"posted": nodes[0].pid, "delivered": nodes[1].pid, "redis": redis.pid}
	before := map[string]time.Duration{}
	for name, pid := range processes {
		if before[name], err = processorTime(pid); err != nil {
			return err
		}
	}
	p := load.Publish(ctx, load.Publication{
		Addr: nodes[0].addr.String(), Path: nodes[0].publish, Channels: channels, Size: w.size, Senders: w.senders, Rate: w.rate,
		PerMessage: 1, To: client, Duration: w.duration,
	})
	client.Await(ctx, p.Acked, 3*time.Second)
	name := fmt.Sprint(channels)
	for process, pid := range processes {
		after, err := processorTime(pid)
		if err != nil {
			return err
		}
		f[name+" "+process] = float64(after-before[process]) / float64(max(p.Acked, 1))
	}
	outcome := client.Close()
	if p.Failed > 0 || p.Acked == 0 {
		return fmt.Errorf("%d posts failed: %v", p.Failed, p.FirstError)
	}
	lost, extra := client.Compare(p.Sent)
	f[name+" lost"], f[name+" doubled"], f[name+" closed"] = float64(lost), float64(extra), float64(outcome.Closed)
	f[name+" repeated"] = float64(p.Retried)
	f[name+" wrong"] = float64(lost) + float64(extra) + float64(outcome.Closed)
	f[name+" p50"], f[name+" p99"] = float64(outcome.Latency.Quantile(0.5)), float64(outcome.Latency.Quantile(0.99))
	b.progress("%s channels: p50 %s, p99 %s; an event costs %s where posted, %s where delivered, %s in Redis; lost %d, doubled %d", name,
		timeText(f[name+" p50"]), timeText(f[name+" p99"]), timeText(f[name+" posted"]), timeText(f[name+" delivered"]), timeText(f[name+" redis"]), lost, extra)
	return ctx.Err()
}

// barePubSub publishes at the same rate, and listens, with nothing between.
func (b *bench) barePubSub(ctx context.Context, f figures, redis *server) error {
	var clients [2]rueidis.Client
	for i := range clients {
		c, err := rueidis.NewClient(rueidis.ClientOption{
			InitAddress: []string{redis.addr.String()}, ForceSingleClient: true, DisableCache: true,
		})
		if err != nil {
			return fmt.Errorf("connecting to Redis: %w", err)
		}
		defer c.Close()
		clients[i] = c
	}
	var heard load.Histogram // of the one goroutine that reads
	listening, stop := context.WithCancel(ctx)
	defer stop()
	confirmed := make(chan struct{}, 1)
	done := make(chan error, 1)
	go func() {
		hooked := rueidis.WithOnSubscriptionHook(listening, func(rueidis.PubSubSubscription) { confirmed <- struct{}{} })
		done <- clients[0].Receive(hooked, clients[0].B().Subscribe().Channel("bench").Build(), func(m rueidis.PubSubMessage) {
			text, _, _ := strings.Cut(m.Message, " ")
			if sent, err := strconv.ParseInt(text, 10, 64); err == nil {
				heard.Add(load.Now() - sent)
			}
		})
	}()
	select {
	case <-confirmed:
	case err := <-done:
		return fmt.Errorf("subscribing: %w", err)
	}
	filler := strings.Repeat("x", messageSize-20)
	var senders sync.WaitGroup
	end := time.Now().Add(b.duration)
	for i := range redisSenders {
		senders.Go(func() {
			const each = time.Second * redisSenders / redisRate
			for next := time.Now().Add(each * time.Duration(i) / redisSenders); next.Before(end) && ctx.Err() == nil; next = next.Add(each) {
				pause(ctx, time.Until(next))
				c := clients[1]
				c.Do(ctx, c.B().Publish().Channel("bench").Message(strconv.FormatInt(load.Now(), 10)+" "+filler).Build())
			}
		})
	}
	senders.Wait()
	pause(ctx, settleTime)
	stop()
	<-done
	f["bare p50"], f["bare p99"] = float64(heard.Quantile(0.5)), float64(heard.Quantile(0.99))
	b.progress("bare PUBLISH and SUBSCRIBE: p50 %s, p99 %s", timeText(f["bare p50"]), timeText(f["bare p99"]))
	return ctx.Err()
}

// bareXADD asks redis-benchmark.
func (b *bench) bareXADD(ctx context.Context, f figures, redis *server) error {
	host, port, _ := net.SplitHostPort(redis.addr.String())
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	n := int(10_000 * b.duration.Seconds())
	out, err := exec.CommandContext(ctx, "redis-benchmark", "-h", host, "-p", port, "-c", strconv.Itoa(ingestSenders), "-n", strconv.Itoa(n),
		"--csv", "XADD", "bench", "*", "payload", strings.Repeat("x", messageSize)).Output()
	if err != nil {
		return fmt.Errorf("redis-benchmark: %w", err)
	}
	table, err := csv.NewReader(strings.NewReader(string(out))).ReadAll()
	if err != nil || len(table) == 0 || len(table[len(table)-1]) < 2 {
		return fmt.Errorf("redis-benchmark said %q", out)
	}
	f["xadd rate"], err = strconv.ParseFloat(table[len(table)-1][1], 64)
	b.progress("redis-benchmark: %s XADD a second", countText(f["xadd rate"]))
	return err
}
