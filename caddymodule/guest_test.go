package caddymodule

import (
	"runtime"
	"runtime/debug"
	"testing"
)

// The module is a guest in a Caddy that has more to do: what is set for the
// whole process stays as its owner has set it.
func TestModuleLeavesTheProcessAlone(t *testing.T) {
	const chosen = 73
	before := debug.SetGCPercent(chosen)
	t.Cleanup(func() { debug.SetGCPercent(before) })
	limit := debug.SetMemoryLimit(-1)

	s := newSite(t)
	s.load(basics)
	s.app.allow("tok", "1")
	s.open("/room/1/live.json", asBasic)
	for range 3 {
		runtime.GC() // what hangs on collections has its turn
	}
	if got := debug.SetGCPercent(chosen); got != chosen {
		t.Errorf("the garbage collector was set to %d", got)
	}
	if got := debug.SetMemoryLimit(-1); got != limit {
		t.Errorf("the memory limit was set to %d", got)
	}
}

func TestOpenStreams(t *testing.T) {
	s := newSite(t)
	s.load(basics)
	s.app.allow("tok", "1")
	eventually(t, "the streams of other tests are gone", func() bool { return OpenStreams() == 0 })
	stream := s.open("/room/1/live.json", asBasic)
	eventually(t, "the stream is counted", func() bool { return OpenStreams() == 1 })
	stream.Body.Close()
	eventually(t, "the stream is not counted any more", func() bool { return OpenStreams() == 0 })
}
