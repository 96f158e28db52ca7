package redis

import (
	"context"
	"errors"
	"testing"
	"time"
)

// A node that was halted for longer than signals count stores nothing of what it
// finds unread: it cannot know what the other nodes call it.
func TestLongHaltEndsTheSession(t *testing.T) {
	ctx, cancel := context.WithCancelCause(t.Context())
	n := &session{s: &Source{plan: &plan{probe: time.Second}, options: Options{SharedLog: "test"}}, window: "w", cancel: cancel}
	now := time.Now()
	n.noteHalt(now)
	n.noteHalt(now.Add(signalAge / 2))
	if n.window == "" || ctx.Err() != nil {
		t.Fatal("a short halt ends it")
	}
	n.noteHalt(now.Add(2 * signalAge))
	if n.window != "" || !errors.Is(context.Cause(ctx), errHalted) {
		t.Error("a long halt does not end it")
	}
}
