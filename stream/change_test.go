package stream

import (
	"context"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/seed-078801ba/sidestream/stream/event"
	"github.com/seed-078801ba/sidestream/stream/log"
	"github.com/seed-078801ba/sidestream/stream/log/memory"
)

// alter publishes an edit or a deletion of a message.
func alter(t *testing.T, h *Hub, op event.Op, channel, id, version, body string) event.Receipt {
	t.Helper()
	receipts, err := h.Publish(context.Background(), event.Batch{Events: []event.Event{
		{Channel: event.String(channel), ID: event.String(id), Op: op, Version: version, Body: body},
	}})
	if err != nil {
		t.Fatal(err)
	}
	return receipts[0]
}

// come is a client that begins somewhere.
func come(t *testing.T, h *Hub, from From, channels ...string) *listener {
	t.Helper()
	start, err := h.Resolve(channels, from)
	if err != nil {
		t.Fatal(err)
	}
	l, _ := listen(t, h, opening{format: resumable, channels: channels, start: &start})
	return l
}

// TestWhatWasTakenBackStaysBack: a message that was deleted or edited is replayed as
// what it is now, from wherever a client begins; live streams were told.
func TestWhatWasTakenBackStaysBack(t *testing.T) {
	for name, cfg := range map[string]Config{"in memory": {}, "from the log": {WindowEvents: 1}, "in part": {WindowEvents: 4}} {
		t.Run(name, func(t *testing.T) {
			h := newHub(t, cfg, log.Retention{})
			live, _ := listen(t, h, opening{format: resumable, channels: []string{"a"}})
			zero := say(t, h, "a", "zero")[0].Position
			deleted := say(t, h, "a", "deleted")[0].Position
			edited := say(t, h, "a", "edited")[0].Position
			say(t, h, "b", "edited") // another message
			say(t, h, "a", "other")
			live.expect("a zero", "a deleted", "a edited", "a other")
			// Somebody comes back now, so that it is in every cache.
			late := come(t, h, From{Cursor: zero.String()}, "a")
			late.expect("a deleted", "a edited", "a other")

			alter(t, h, event.Edit, "a", "edited", "1", "second text")
			live.expect("a second text")
			alter(t, h, event.Edit, "a", "edited", "2", "third text")
			gone := alter(t, h, event.Delete, "a", "deleted", "", "deleted").Position
			live.expect("a third text", "a ")

			want := []string{"a third text", "a other", "a third text", "a "}
			for begin, from := range map[string]From{
				"before all": {Cursor: zero.String()}, "at what is gone": {Cursor: deleted.String()},
				"behind an id": {MessageID: "zero"}, "behind an id that is gone": {MessageID: "deleted"},
			} {
				for _, channels := range [][]string{{"a"}, {"a", "c"}} {
					start, err := h.Resolve(channels, from)
					if err != nil || start.Resume() != "complete" {
						t.Errorf("%s: %s, %v", begin, start.Resume(), err)
					}
					come(t, h, from, channels...).expect(want...)
				}
			}
			all := append([]string{"a zero"}, want...)
			come(t, h, From{Since: time.Hour}, "a").expect(all...)
			another := event.Cursor{Epoch: event.NewEpoch(), Seq: 1}
			come(t, h, From{Cursor: another.String(), Oldest: true}, "a").expect(append([]string{"GAP epoch-changed"}, all...)...)
			// Between the message and its edits, a client is told of the last one.
			come(t, h, From{Cursor: edited.String()}, "a").expect("a other", "a third text", "a ")
			// In the other channel nothing has changed, and all numbers stand.
			come(t, h, From{Since: time.Hour}, "b").expect("b edited")
			if gone.Seq != 8 || h.Head() != gone || h.Log().Stats().Events != 8 {
				t.Errorf("the head is %v, %+v", gone, h.Log().Stats())
			}
		})
	}
}

// TestSlowReadBringsNothingBack: what was read from the log before a message was
// deleted is not shown to those who come after it.
func TestSlowReadBringsNothingBack(t *testing.T) {
	slow := &slowLog{Log: memory.New(log.Retention{}, time.Now)}
	h := openOn(t, slow)
	first := say(t, h, "a", "first")[0].Position
	say(t, h, "a", "secret")
	say(t, h, "a", "last")
	reading, goOn := make(chan struct{}), make(chan struct{})
	after := func() { close(reading); <-goOn }
	slow.after.Store(&after)
	early := come(t, h, From{Cursor: first.String()}, "a")
	<-reading
	slow.after.Store(nil)
	alter(t, h, event.Delete, "a", "secret", "", "")
	close(goOn)
	early.next() // it had begun before
	for i := range 3 {
		l := come(t, h, From{Cursor: first.String()}, "a")
		if got := []string{l.next(), l.next()}; !slices.Equal(got, []string{"a last", "a "}) {
			t.Errorf("client %d got %q", i, got)
		}
	}
}

// slowLog is a log whose reads may take long.
type slowLog struct {
	log.Log
	after atomic.Pointer[func()]
}

func (l *slowLog) Read(channels []string, after, upto uint64, limit, maxBytes int) ([]event.Entry, bool, error) {
	entries, more, err := l.Log.Read(channels, after, upto, limit, maxBytes)
	if f := l.after.Load(); f != nil {
		(*f)()
	}
	return entries, more, err
}
