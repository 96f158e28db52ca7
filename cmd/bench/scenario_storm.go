//go:build linux

package main

import (
	"bufio"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/seed-078801ba/sidestream/cmd/bench/load"
)

// credentials is how many tokens the clients of a storm have among them.
const credentials = 100

func authorization(i int) string {
	return "Basic " + base64.StdEncoding.EncodeToString(fmt.Appendf(nil, "token%d:x", i%credentials))
}

var connectStorm = scenario{
	name:  "connect",
	about: "all streams connect at once, 100 credentials, nothing cached",
	measure: func(ctx context.Context, b *bench) (figures, error) {
		f := figures{}
		app, err := startBackend()
		if err != nil {
			return nil, err
		}
		defer app.stop(ctx)
		plain, err := b.startPlainCaddy(ctx, "respond ok")
		if err != nil {
			return nil, err
		}
		err = b.storm(ctx, f, "caddy", plain)
		plain.stop()
		if err != nil {
			return nil, err
		}
		s, err := b.startSidestream(ctx, sidestreamSite{store: "memory", auth: app.addr})
		if err != nil {
			return nil, err
		}
		err = b.storm(ctx, f, "sidestream", s)
		s.stop()
		f["asked"] = float64(app.calls.Load())
		return f, err
	},
	rows: func(b *bench, m measured) []row {
		ratio := m.ratio("sidestream p99", "caddy p99")
		return []row{{
			what: fmt.Sprintf("%s streams with %d credentials connect at once, cold access cache", countText(float64(b.streams)), credentials),
			bar:  "all open or told when to retry; p99 <= 2 x plain Caddy's `respond`",
			figure: fmt.Sprintf("p50 %s, p99 %s, %.2f x; %s open, %s told to retry, %s neither; backend asked %s times",
				timeText(m.median("sidestream p50")), timeText(m.median("sidestream p99")), ratio, countText(m.median("sidestream open")),
				countText(m.median("sidestream told")), countText(m.worst("sidestream neither")), countText(m.median("asked"))),
			sticks: fmt.Sprintf("`respond` p50 %s, p99 %s, %s failed", timeText(m.median("caddy p50")), timeText(m.median("caddy p99")), countText(m.worst("caddy neither"))),
			met:    meets(ratio <= 2 && m.worst("sidestream neither") == 0),
		}}
	},
}

// storm opens all streams at once, each credential with a channel of its own.
func (b *bench) storm(ctx context.Context, f figures, name string, s *server) error {
	client, err := load.Open(ctx, load.Config{
		Addr: s.addr, Streams: b.streams, AtOnce: b.streams,
		Request: func(i int) []byte {
			return fmt.Appendf(nil, "GET /room/%d/live.json HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: %s\r\n\r\n", i%credentials, authorization(i))
		},
		Channel: func(i int) int { return i % credentials }, Channels: credentials,
	})
	outcome := client.Close()
	if err != nil {
		return fmt.Errorf("%s: %w; first error: %v", s.name, err, outcome.FirstError)
	}
	f[name+" p50"], f[name+" p99"] = float64(outcome.Connect.Quantile(0.5)), float64(outcome.Connect.Quantile(0.99))
	f[name+" open"], f[name+" told"] = float64(outcome.Opened), float64(outcome.Told)
	f[name+" neither"] = float64(b.streams - outcome.Opened - outcome.Told)
	b.progress("%s: connected in p50 %s, p99 %s; %d open, %d told to retry, %d failed: %v", s.name, outcome.Connect.Quantile(0.5),
		outcome.Connect.Quantile(0.99), outcome.Opened, outcome.Told, outcome.Failed, outcome.FirstError)
	return nil
}

// resumeChannels is how many channels the resuming clients are spread over.
const resumeChannels = 100

var resumeStorm = scenario{
	name:  "resume",
	about: "all clients come back at once, each with 100 events missed",
	measure: func(ctx context.Context, b *bench) (figures, error) {
		app, err := startBackend()
		if err != nil {
			return nil, err
		}
		defer app.stop(ctx)
		s, err := b.startSidestream(ctx, sidestreamSite{store: "file", auth: app.addr})
		if err != nil {
			return nil, err
		}
		defer s.stop()
		cursor, missed, err := b.missEvents(ctx, s)
		if err != nil {
			return nil, err
		}
		app.calls.Store(0)
		f, err := b.resume(ctx, s, cursor, missed)
		if err == nil {
			f["asked"] = float64(app.calls.Load())
		}
		return f, err
	},
	rows: func(b *bench, m measured) []row {
		return []row{{
			what: fmt.Sprintf("%s clients resume at once, %d missed events each, file store: until all are at the head",
				countText(float64(b.streams)), b.resumes),
			bar: "<= 30 s; no call to the backend beyond auth",
			figure: fmt.Sprintf("%s, %s a delivery; %s lost, doubled or closed; backend asked %s times for %d credentials",
				timeText(m.median("time")), timeText(m.median("cpu")), countText(m.worst("wrong")), countText(m.worst("asked")), credentials),
			met: meets(m.worst("time") <= 30e9 && m.worst("wrong") == 0 && m.worst("asked") <= credentials),
		}}
	},
}

// missEvents publishes events that nobody hears, and returns the cursor from
// before them.
func (b *bench) missEvents(ctx context.Context, s *server) (cursor string, missed []load.Tally, err error) {
	publication := load.Publication{
		Addr: s.addr.String(), Path: s.publish, Channels: resumeChannels, Size: messageSize, Senders: 64,
		Messages: resumeChannels, Duration: time.Minute,
	}
	if p := load.Publish(ctx, publication); p.Failed > 0 {
		return "", nil, p.FirstError
	}
	if cursor, err = firstCursor(ctx, s); err != nil {
		return "", nil, err
	}
	publication.Messages = resumeChannels * b.resumes
	p := load.Publish(ctx, publication)
	if p.Failed > 0 || p.Acked < uint64(publication.Messages) {
		return "", nil, fmt.Errorf("%d of %d events published: %v", p.Acked, publication.Messages, p.FirstError)
	}
	return cursor, p.Sent, nil
}

// firstCursor is the id of the first thing that an event stream says.
func firstCursor(ctx context.Context, s *server) (string, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+s.addr.String()+"/flows?filter=0", nil)
	if err != nil {
		return "", err
	}
	r.Header.Set("Accept", "text/event-stream")
	r.Header.Set("Authorization", authorization(0))
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		return "", fmt.Errorf("asking for a cursor: %w", err)
	}
	defer answer.Body.Close()
	for lines := bufio.NewScanner(answer.Body); lines.Scan(); {
		if id, ok := strings.CutPrefix(lines.Text(), "id: "); ok {
			return id, nil
		}
	}
	return "", errors.New("asking for a cursor: the stream named none")
}

// resume opens all streams with a cursor and waits until they have everything.
func (b *bench) resume(ctx context.Context, s *server, cursor string, missed []load.Tally) (figures, error) {
	used, err := processorTime(s.pid)
	if err != nil {
		return nil, err
	}
	defer b.profile(ctx, s, b.duration)()
	begun := time.Now()
	client, err := load.Open(ctx, load.Config{
		Addr: s.addr, Streams: b.streams, AtOnce: b.streams,
		Request: func(i int) []byte {
			return fmt.Appendf(nil, "GET /flows?filter=%d HTTP/1.1\r\nHost: 127.0.0.1\r\nAccept: text/event-stream\r\nAuthorization: %s\r\nLast-Event-ID: %s\r\n\r\n",
				i%resumeChannels, authorization(i), cursor)
		},
		Channel: func(i int) int { return i % resumeChannels }, Channels: resumeChannels,
	})
	if err == nil {
		client.Await(ctx, uint64(b.streams*b.resumes), 3*time.Second)
	}
	elapsed := time.Since(begun)
	after, timeErr := processorTime(s.pid)
	deliveries := client.Received()
	outcome := client.Close()
	if err = errors.Join(err, timeErr); err != nil {
		return nil, fmt.Errorf("%w; first error: %v", err, outcome.FirstError)
	}
	lost, extra := client.Compare(missed)
	b.progress("%s: %d events in %s, %d lost, %d doubled, %d open: %v", s.name, deliveries, elapsed, lost, extra, outcome.Opened, outcome.FirstError)
	return figures{
		"time": float64(elapsed), "cpu": float64(after-used) / float64(max(deliveries, 1)),
		"wrong": float64(lost) + float64(extra) + float64(b.streams-outcome.Opened) + float64(outcome.Closed),
	}, nil
}
