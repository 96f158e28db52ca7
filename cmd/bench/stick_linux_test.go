package main

import (
	"os"
	"strings"
	"testing"
	"time"
)

// TestMain lets the test's own program be run as a stick, as bench's is.
func TestMain(m *testing.M) {
	if len(os.Args) == 3 && strings.HasPrefix(os.Args[1], "stick-") {
		fail(runStick(os.Args[1], os.Args[2]))
	}
	os.Exit(m.Run())
}

func TestSticksDeliverEverythingOnce(t *testing.T) {
	const streams, messages = 40, 30
	for _, kind := range []string{stickEpoll, stickBatch, stickNetHTTP} {
		t.Run(kind, func(t *testing.T) {
			b := &bench{dir: t.TempDir(), now: t.Name()}
			s, err := b.startStick(t.Context(), kind)
			if err != nil {
				t.Fatal(err)
			}
			defer s.stop()
			d, err := b.drive(t.Context(), s, workload{
				streams: streams, channels: 4, size: messageSize, senders: 3, rate: messages, duration: time.Second,
			})
			if err != nil {
				t.Fatal(err)
			}
			if d.published != messages || d.lost+d.extra != 0 || d.closed != 0 {
				t.Errorf("%d published, %d lost, %d doubled, %d closed", d.published, d.lost, d.extra, d.closed)
			}
		})
	}
}
