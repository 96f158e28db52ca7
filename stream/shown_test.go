package stream

import (
	"context"
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"github.com/seed-078801ba/sidestream/stream/event"
	"github.com/seed-078801ba/sidestream/stream/log"
	"github.com/seed-078801ba/sidestream/stream/log/file"
)

// moves publishes that a user joined or left a channel.
func moves(t *testing.T, h *Hub, channel, user, kind string) event.Cursor {
	t.Helper()
	receipts, err := h.Publish(context.Background(), event.Batch{Events: []event.Event{
		{Channel: event.String(channel), User: event.String(user), Type: kind, Body: user + " " + kind},
	}})
	if err != nil {
		t.Fatal(err)
	}
	return receipts[0].Position
}

// since is how much of the past the user is shown.
func since(t *testing.T, h *Hub, user string, channels ...string) *Shown {
	t.Helper()
	s, err := h.ShowSince(context.Background(), user, channels)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// Whatever a client holds or asks for, it is shown nothing from before its user
// joined, and is told that something is left out.
func TestNothingFromBeforeTheJoinIsShown(t *testing.T) {
	var elsewhere, first event.Cursor
	past := func(t *testing.T) *Hub {
		h := newHub(t, Config{}, log.Retention{})
		elsewhere = say(t, h, "b", "elsewhere")[0].Position
		first = say(t, h, "a", "1", "2", "3")[0].Position
		moves(t, h, "a", "bob", "EnterMessage")
		say(t, h, "a", "4")
		moves(t, h, "a", "ann", "EnterMessage")
		say(t, h, "a", "5", "6")
		return h
	}
	lost := event.Cursor{Epoch: event.NewEpoch(), Seq: 1}
	cursor := func(c *event.Cursor) func() From { return func() From { return From{Cursor: c.String()} } }
	is := func(f From) func() From { return func() From { return f } }
	for _, x := range []struct {
		name string
		user string
		from func() From
		want []string
	}{
		{"a cursor", "ann", cursor(&first), []string{"GAP trimmed", "a ann EnterMessage", "a 5", "a 6"}},
		{"a cursor of another channel", "ann", cursor(&elsewhere), []string{"GAP trimmed", "a ann EnterMessage", "a 5", "a 6"}},
		{"an id", "ann", is(From{MessageID: "2"}), []string{"GAP trimmed", "a ann EnterMessage", "a 5", "a 6"}},
		{"the recent past", "ann", is(From{Since: time.Hour}), []string{"GAP trimmed", "a ann EnterMessage", "a 5", "a 6"}},
		{"the oldest", "ann", is(From{Cursor: lost.String(), Oldest: true}), []string{"GAP epoch-changed", "GAP trimmed", "a ann EnterMessage", "a 5", "a 6"}},
		{"an id from after the join", "ann", is(From{MessageID: "5"}), []string{"a 6"}},
		{"who joined earlier", "bob", is(From{MessageID: "3"}), []string{"a bob EnterMessage", "a 4", "a ann EnterMessage", "a 5", "a 6"}},
		{"who was never seen", "eve", is(From{MessageID: "5"}), []string{"GAP trimmed"}},
		{"nobody", "", cursor(&first), []string{"GAP trimmed"}},
	} {
		t.Run(x.name, func(t *testing.T) {
			h := past(t)
			from := x.from()
			from.Shown = since(t, h, x.user, "a")
			start, err := h.Resolve([]string{"a"}, from)
			if err != nil {
				t.Fatal(err)
			}
			if gap := len(x.want) > 0 && x.want[0][:3] == "GAP"; gap == (start.Resume() == "complete") {
				t.Errorf("the header says %q", start.Resume())
			}
			l, _ := listen(t, h, opening{format: resumable, channels: []string{"a"}, start: &start})
			say(t, h, "a", "the end of "+x.name)
			l.expect(append(x.want, "a the end of "+x.name)...)
		})
	}
}

// Each channel of a stream has a past of its own.
func TestEachChannelIsShownFromItsOwnJoin(t *testing.T) {
	h := newHub(t, Config{}, log.Retention{})
	first := say(t, h, "a", "1")[0].Position
	say(t, h, "b", "1")
	if _, err := h.Publish(context.Background(), event.Batch{Events: []event.Event{
		{Channel: event.String("user:ann"), To: event.String("ann"), Body: "1"},
	}}); err != nil {
		t.Fatal(err)
	}
	moves(t, h, "a", "ann", "EnterMessage")
	say(t, h, "b", "2")
	say(t, h, "a", "2")
	moves(t, h, "b", "ann", "EnterMessage")
	say(t, h, "a", "3")
	say(t, h, "b", "3")
	channels := []string{"a", "b", "user:ann"}
	start, err := h.Resolve(channels, From{Cursor: first.String(), Shown: since(t, h, "ann", channels...)})
	if err != nil {
		t.Fatal(err)
	}
	l, _ := listen(t, h, opening{format: resumable, channels: channels, start: &start})
	l.expect("GAP trimmed", "user:ann 1", "a ann EnterMessage", "a 2", "b ann EnterMessage", "a 3", "b 3")
	if len(start.Missing) != 1 || start.Missing[0].Channel != "b" {
		t.Errorf("missing %+v; of a there is nothing between the cursor and the join", start.Missing)
	}
}

// rightsHub is a hub on a file that can be opened again.
func rightsHub(t *testing.T, path string) *Hub {
	t.Helper()
	l, err := file.Open(path, file.Options{})
	if err != nil {
		t.Fatal(err)
	}
	h, err := Open("test", l, Config{Drain: time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func closeHub(t *testing.T, h *Hub) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if err := h.Close(ctx); err != nil {
		t.Error(err)
	}
}

// Where the log has no join, a right begins when it is first seen. It outlives
// the process, a leave, and a denial; what was said in between is never shown.
func TestRightsAsTheyAreSeen(t *testing.T) {
	path := filepath.Join(t.TempDir(), "rights.db")
	h := rightsHub(t, path)
	shows := func(name, from string, want ...string) {
		t.Helper()
		start, err := h.Resolve([]string{"a"}, From{MessageID: from, Shown: since(t, h, "ann", "a")})
		if err != nil {
			t.Fatal(err)
		}
		entries, _, err := h.Log().Read([]string{"a"}, max(start.Seq, start.behind["a"]), h.Head().Seq, 0, 1<<20)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, e := range entries {
			got = append(got, e.Body)
		}
		if fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("%s: shown %v, want %v", name, got, want)
		}
	}
	restart := func() {
		closeHub(t, h)
		h = rightsHub(t, path)
	}
	say(t, h, "a", "1", "2")
	shows("first seen", "1")
	say(t, h, "a", "3", "4")
	shows("seen before", "1", "3", "4")
	restart()
	shows("after a restart", "1", "3", "4")

	h.RightEnded("ann", "a") // the backend denies it
	h.rights.work.Wait()
	say(t, h, "a", "5")
	restart()
	say(t, h, "a", "6")
	shows("allowed again", "1")
	say(t, h, "a", "7")
	shows("after that", "1", "7")

	// What the log says of joins and leaves counts, also when nobody asked.
	moves(t, h, "a", "ann", "LeaveMessage")
	say(t, h, "a", "8")
	moves(t, h, "a", "ann", "EnterMessage")
	say(t, h, "a", "9")
	restart()
	shows("left and joined again", "1", "ann EnterMessage", "9")
	moves(t, h, "a", "ann", "KickMessage")
	say(t, h, "a", "10")
	shows("joined again in silence", "9")
	say(t, h, "a", "11")
	shows("and after that", "9", "11")

	// Others' rights are others'.
	h.RightEnded("bob", "a")
	h.RightEnded("ann", "b")
	h.rights.work.Wait()
	shows("nothing has changed for her", "9", "11")
	closeHub(t, h)
}

// In another life of the log positions mean nothing: nothing of the past is
// shown.
func TestShownOfAnotherEpoch(t *testing.T) {
	h := newHub(t, Config{}, log.Retention{})
	first := say(t, h, "a", "1", "2")[0].Position
	shown := since(t, h, "ann", "a")
	shown.epoch = event.NewEpoch()
	shown.after["a"] = 0
	start, err := h.Resolve([]string{"a"}, From{Cursor: first.String(), Shown: shown})
	if err != nil || start.Resume() != "gap;reason=trimmed" || start.Seq != h.Head().Seq {
		t.Errorf("%q at %d, %v", start.Resume(), start.Seq, err)
	}
	old := right{epoch: event.NewEpoch(), start: 1}
	h.keep(context.Background(), "ann", "a", old)
	if s := since(t, h, "ann", "a"); s.after["a"] != h.Head().Seq {
		t.Errorf("shown after %d", s.after["a"])
	}
}

func TestRightAsText(t *testing.T) {
	r := right{epoch: event.NewEpoch(), start: 1 << 40, ended: 7, scanned: 9}
	if got, ok := parseRight(r.String()); !ok || got != r {
		t.Errorf("%v became %v, %v", r, got, ok)
	}
	for _, text := range []string{"", "x", "0123456789abcdef", "0123456789abcdef 1", "0123456789abcdef 1 2", "0123456789abcde 1 2 3", "0123456789abcdef -1 2 3"} {
		if _, ok := parseRight(text); ok {
			t.Errorf("%q is taken", text)
		}
	}
	if r.source("a", "b:c") == r.source("a:b", "c") {
		t.Error("two rights have one name")
	}
}
