package stream

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/seed-078801ba/sidestream/stream/access"
	"github.com/seed-078801ba/sidestream/stream/log"
)

// doorOf makes a door of a backend that allows what is in allowed.
func doorOf(t *testing.T, h *Hub, allowed *sync.Map, onEnd access.OnEnd) (*access.Gate, *Ticket, *Door) {
	t.Helper()
	gate := access.New(access.Config{}, func(_ context.Context, q access.Question) access.Verdict {
		if _, ok := allowed.Load(q.Channel); ok {
			return access.Verdict{Outcome: access.Allowed, User: "5"}
		}
		return access.Verdict{Outcome: access.Denied, Cause: access.Forbidden}
	})
	t.Cleanup(gate.Close)
	ticket, err := h.Admit(Candidate{Credential: "c"})
	if err != nil {
		t.Fatal(err)
	}
	return gate, ticket, NewDoor(gate, ticket, onEnd)
}

func TestDoor(t *testing.T) {
	h := newHub(t, Config{Limits: Limits{PerChannel: 1}}, log.Retention{})
	var allowed sync.Map
	allowed.Store("a", true)
	allowed.Store("b", true)
	lost := make(chan string, 10)
	gate, ticket, d := doorOf(t, h, &allowed, func(channel string, cause access.Cause, left int) {
		lost <- fmt.Sprint(channel, " ", cause, " ", left)
	})
	defer ticket.Release()
	defer d.Close()
	ask := func(channel string) (access.Verdict, error) {
		return d.Ask(t.Context(), access.Question{Channel: channel})
	}
	for _, channel := range []string{"a", "b", "a"} {
		if v, err := ask(channel); v.Outcome != access.Allowed || err != nil {
			t.Fatalf("%s: %v, %v", channel, v.Outcome, err)
		}
	}
	if v, err := ask("forbidden"); v.Outcome != access.Denied || err != nil {
		t.Errorf("forbidden: %v, %v", v.Outcome, err)
	}
	if n := h.admissions.channel["forbidden"]; n != 0 {
		t.Error("what was refused is counted")
	}
	other, err := h.Admit(Candidate{})
	if err != nil {
		t.Fatal(err)
	}
	defer other.Release()
	var limit *LimitError
	if _, err := NewDoor(gate, other, nil).Ask(t.Context(), access.Question{Channel: "a"}); !errors.As(err, &limit) || limit.Limit != "channel" {
		t.Errorf("a full channel: %v", err)
	}
	d.Leave("b")
	allowed.Delete("a") // nobody asks before it is revoked
	gate.Revoke("5", "")
	select {
	case l := <-lost:
		if l != "a forbidden 0" {
			t.Errorf("lost %s", l)
		}
	case <-time.After(20 * time.Second):
		t.Fatal("the loss was not told")
	}
	if len(lost) > 0 {
		t.Errorf("the loss of a channel that was left: %s", <-lost)
	}
}
