//go:build unix

package redis

import (
	"context"
	"testing"
	"time"

	"github.com/seed-078801ba/sidestream/stream/log"
	"github.com/seed-078801ba/sidestream/stream/redisconn"
	"github.com/seed-078801ba/sidestream/stream/redisconn/redistest"
)

// One process at a time has a turn, and what was done need not be done again for a while.
func TestTurns(t *testing.T) {
	server := redistest.Start(t)
	at, err := redisconn.Parse("redis://" + server.Addr)
	if err != nil {
		t.Fatal(err)
	}
	open := func() *Log {
		l, err := Open(Options{Address: at, Hub: "turns"})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { l.Close() })
		return l
	}
	a, b := open(), open()
	ask := func(l *Log, name string, most time.Duration, again bool, want log.TurnOutcome) func(time.Duration) {
		t.Helper()
		free, got, err := l.Turn(context.Background(), name, most, again)
		if err != nil || got != want {
			t.Fatalf("outcome %d, %v; want %d", got, err, want)
		}
		return free
	}
	free := ask(a, "x", time.Hour, false, log.TurnMine)
	ask(b, "x", time.Hour, true, log.TurnTaken)
	ask(b, "y", time.Hour, true, log.TurnMine)
	free(time.Hour)
	ask(b, "x", time.Hour, false, log.TurnDone)
	free = ask(b, "x", time.Millisecond, true, log.TurnMine)
	redistest.Until(t, "the turn has ended", func() bool {
		_, got, err := a.Turn(context.Background(), "x", time.Hour, true)
		return err == nil && got == log.TurnMine
	})
	free(time.Hour) // of a turn that was lost
	ask(b, "x", time.Hour, true, log.TurnTaken)
}
