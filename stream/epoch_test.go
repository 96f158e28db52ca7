package stream

import (
	"bytes"
	"strings"
	"testing"

	"github.com/seed-078801ba/sidestream/stream/event"
	"github.com/seed-078801ba/sidestream/stream/log"
)

// A number is a position only together with its epoch. These tests let two
// epochs use the same numbers.

// inShard calls f as the shard would.
func inShard(sh *shard, f func()) {
	sh.working.Lock()
	defer sh.working.Unlock()
	f()
}

func TestHeartbeatIsOfTheStreamsEpoch(t *testing.T) {
	h := openOn(t, newSharedLog().tail())
	client, s := listen(t, h, opening{channels: []string{"a"}, format: resumable})
	beat := func() string {
		inShard(s.shard, func() { s.shard.heartbeat(s) })
		return client.message()
	}
	client.message() // the first one, on opening
	if got, want := beat(), h.Head().String()+" HEARTBEAT\n"; got != want {
		t.Fatalf("got %q, want %q", got, want)
	}
	h.follower.Reset(event.Cursor{Epoch: event.NewEpoch()}, event.EpochChanged) // as empty as the first was
	client.expect("GAP epoch-changed")
	if got, want := beat(), h.Head().String()+" HEARTBEAT\n"; got != want {
		t.Errorf("after another epoch began: got %q, want %q", got, want)
	}
	inShard(s.shard, func() { s.cursor++ }) // a stream that is not at the head has no cursor to give
	if got := beat(); got != "\n" {
		t.Errorf("a stream that is not at the head: got %q", got)
	}
}

// nextEpoch makes the hub's channel begin a new epoch with one message, without
// telling the shards, as it is for a moment when a shared log begins anew.
func nextEpoch(h *Hub, ch *channel, seq uint64, body string) event.Cursor {
	h.mu.Lock()
	defer h.mu.Unlock()
	head := event.Cursor{Epoch: event.NewEpoch(), Seq: seq - 1}
	ch.reset(head)
	ch.append(&item{Entry: event.Entry{Seq: seq, Event: event.Event{Channel: event.String(ch.name), Body: body}}}, h.config())
	head.Seq = seq
	return head
}

func TestMessagesAreOfTheStreamsEpoch(t *testing.T) {
	h := newHub(t, Config{}, log.Retention{})
	client, s := listen(t, h, opening{channels: []string{"a"}})
	say(t, h, "a", "1")
	client.expect("a 1")
	ch := s.subs[0].ch
	old := h.Head()
	inShard(s.shard, func() {
		head := nextEpoch(h, ch, 1, "of the next epoch")
		collect := func(within event.Epoch) string {
			other := *s
			other.within, other.cursor = within, 0
			return string(bytes.Join(s.shard.collect(&other).bufs, nil))
		}
		if got := collect(old.Epoch); strings.Contains(got, "of the next epoch") {
			t.Errorf("a stream of the old epoch, before the hub has left it, is given %q", got)
		}
		h.head.Store(&head)
		if got := collect(head.Epoch); !strings.Contains(got, "of the next epoch") {
			t.Errorf("a stream of the next epoch is given %q", got)
		}
		if got := collect(old.Epoch); got != "" {
			t.Errorf("a stream of the old epoch is given %q", got)
		}
	})
}

func TestWindowIsFilledFromItsOwnEpoch(t *testing.T) {
	h := newHub(t, Config{}, log.Retention{})
	before := event.Cursor{Epoch: event.NewEpoch(), Seq: 5}
	ch := newChannel("a", 1, before)
	read := ch.recent()
	ch.reset(event.Cursor{Epoch: event.NewEpoch(), Seq: before.Seq})
	ch.prepend([]event.Entry{{Seq: 4}}, 3, read, h.config())
	if w := ch.recent(); len(w.items) != 0 || w.base.Seq != before.Seq {
		t.Errorf("events of an epoch that is over are in the window: %d, from %d on", len(w.items), w.base.Seq)
	}
}

func TestWaitingForAPosition(t *testing.T) {
	one, two, three := event.NewEpoch(), event.NewEpoch(), event.NewEpoch()
	at := func(epoch event.Epoch, seq uint64) event.Cursor { return event.Cursor{Epoch: epoch, Seq: seq} }
	h := openOn(t, newSharedLog().tail())
	h.reset(at(one, 10), event.EpochChanged)
	waits := func(c event.Cursor) func() bool {
		done := make(chan struct{}, 1)
		h.follower.await(c, func() { done <- struct{}{} })
		return func() bool { return len(done) == 0 }
	}
	if waits(at(one, 10))() {
		t.Error("what is shown is waited for")
	}
	same, next, later := waits(at(one, 11)), waits(at(two, 3)), waits(at(two, 5))
	if !same() || !next() {
		t.Error("what is not shown, though its number is low, is not waited for")
	}
	h.follower.Reset(at(two, 4), event.EpochChanged)
	if same() {
		t.Error("what stands in an epoch that is over is still waited for")
	}
	if next() || !later() {
		t.Error("of the new epoch, not that is waited for which is not shown")
	}
	if waits(at(one, 11))() {
		t.Error("somebody who came late waits for an epoch that is over")
	}
	if !waits(at(three, 1))() {
		t.Error("an epoch that has yet to come is not waited for")
	}
	h.follower.Entries(nil, at(two, 5))
	if later() {
		t.Error("what is shown is waited for")
	}
}
