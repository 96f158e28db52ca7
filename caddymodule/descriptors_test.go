package caddymodule

import (
	"context"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seed-078801ba/sidestream/stream"
)

// While descriptors run out, no stream is admitted. The log says so once a minute,
// and once that there are enough again.
func TestDescriptorsRunOut(t *testing.T) {
	s := newSite(t)
	s.load(basics)
	before := s.logs()
	synctest.Test(t, func(t *testing.T) {
		var short atomic.Bool
		d := &descriptors{probe: func() (bool, uint64) { return !short.Load(), 100 }}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() {
			defer close(done)
			d.watch(ctx)
		}()
		for _, is := range []bool{false, true, false} {
			short.Store(is)
			time.Sleep(100 * time.Second)
			synctest.Wait()
			if d.room() == is {
				t.Error("what the probe found is not what is told")
			}
		}
		cancel()
		<-done
	})
	log := strings.TrimPrefix(s.logs(), before)
	if n := strings.Count(log, "running out"); n != 2 { // in 100 seconds
		t.Errorf("the log says it %d times", n)
	}
	if n := strings.Count(log, "descriptors again"); n != 1 {
		t.Errorf("the log says %d times that it is over", n)
	}
	full := roomyHub{nil, &descriptors{probe: func() (bool, uint64) { return false, 100 }}}
	if _, err := full.Admit(stream.Candidate{}); err == nil || err.(*stream.LimitError).Policy {
		t.Errorf("a stream is admitted: %v", err)
	}
}

// The probe finds that this process has enough, also with some that are open.
func TestProbeDescriptors(t *testing.T) {
	for range 100 {
		f, err := os.Open(os.DevNull)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		if room, limit := probeDescriptors(); !room {
			t.Fatalf("no room, of %d", limit)
		}
	}
}
