package stream

import (
	"context"
	"errors"
	"runtime"
	"slices"
	"testing"
	"time"

	"github.com/seed-078801ba/sidestream/stream/event"
	"github.com/seed-078801ba/sidestream/stream/log"
	"github.com/seed-078801ba/sidestream/stream/log/file"
)

// bring publishes as a way in does whose sender does not repeat.
func bring(t *testing.T, h *Hub, way, channel, body string) event.Cursor {
	t.Helper()
	receipts, err := h.Publish(t.Context(), event.Batch{Unrepeated: way, Events: []event.Event{{
		Channel: event.String(channel), ID: event.String(body), Body: body,
	}}})
	if err != nil {
		t.Fatal(err)
	}
	return receipts[0].Position
}

func interrupt(t *testing.T, h *Hub, way string) {
	t.Helper()
	if h.Interrupted(way); !h.uncertain.isSure() {
		t.Fatal("it was not noted")
	}
}

// Whoever resumes across an interruption is told so in the head and in the
// stream, once, and only of channels that the way in feeds. A restart in between
// changes nothing.
func TestInterruptionIsToldOnce(t *testing.T) {
	dir := t.TempDir()
	restart := func(h *Hub) *Hub {
		if h != nil {
			ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
			defer cancel()
			if err := h.Close(ctx); err != nil {
				t.Fatal(err)
			}
		}
		l, err := file.Open(dir+"/log", file.Options{})
		if err != nil {
			t.Fatal(err)
		}
		if h, err = Open("test", l, Config{Drain: time.Millisecond}); err != nil {
			t.Fatal(err)
		}
		return h
	}
	h := restart(nil)
	interrupt(t, h, "/hooks/a") // at the very first start nothing was fed
	bring(t, h, "/hooks/a", "fed", "1")
	elsewhere := bring(t, h, "/hooks/b", "other", "2")
	for _, how := range []string{"restart", "reload", "two restarts"} {
		at := bring(t, h, "/hooks/a", "fed", how)
		other := say(t, h, "other", how)[0].Position
		switch how {
		case "two restarts":
			h = restart(h)
			interrupt(t, h, "/hooks/a")
			fallthrough
		case "restart":
			h = restart(h)
		}
		interrupt(t, h, "/hooks/a")
		bring(t, h, "/hooks/a", "fed", "behind "+how)
		from := From{Cursor: at.String()}
		if start := resolve(t, h, "fed", from); start.Resume() != "gap;reason=ingest-uncertain" {
			t.Errorf("%s: the head says %q", how, start.Resume())
		}
		if start := resolve(t, h, "other", From{Cursor: other.String()}); start.Resume() != "complete" {
			t.Errorf("%s: of a channel that it does not feed, the head says %q", how, start.Resume())
		}
		if start := resolve(t, h, "fed", From{}); start.Resume() != "" || len(start.Missing) > 0 {
			t.Errorf("%s: somebody who resumes nothing is told %q", how, start.Resume())
		}
		l, s := listen(t, h, opening{format: resumable, channels: []string{"fed", "other"}, from: from})
		l.expect("GAP ingest-uncertain", "other "+how, "fed behind "+how)
		settle(t, s)
		if start := resolve(t, h, "fed", From{Cursor: h.Head().String()}); start.Resume() != "complete" {
			t.Errorf("%s: told again: %q", how, start.Resume())
		}
	}
	if start := resolve(t, h, "other", From{Cursor: elsewhere.String()}); start.Resume() != "complete" {
		t.Errorf("of a channel that another way in feeds, the head says %q", start.Resume())
	}
	h.Close(context.Background())
}

// Streams that are open over an interruption are told in order, without moving
// back; those that would not understand go on.
func TestInterruptionBesideOpenStreams(t *testing.T) {
	h := newHub(t, Config{}, log.Retention{})
	bring(t, h, "way", "a", "1")
	old, _ := listen(t, h, opening{channels: []string{"a"}})
	l, s := listen(t, h, opening{format: resumable, channels: []string{"a"}})
	other, _ := listen(t, h, opening{format: resumable, channels: []string{"b"}})
	r := h.NewReader(nil)
	defer r.Close()
	r.Join("a", resolve(t, h, "a", From{}))
	settle(t, s)
	interrupt(t, h, "way")
	settle(t, s)
	say(t, h, "a", "2")
	say(t, h, "b", "3")
	old.expect("a 2")
	l.expect("GAP ingest-uncertain", "a 2")
	other.expect("b 3")
	taken, err := r.Take(t.Context(), 10)
	if err != nil || !slices.Equal(bodies(taken), []string{"a GAP ingest-uncertain", "a 2"}) {
		t.Errorf("a reader is told %q, %v", bodies(taken), err)
	}
	r.Done(taken)
	say(t, h, "a", "4")
	if taken, err = r.Take(t.Context(), 10); err != nil || !slices.Equal(bodies(taken), []string{"a 4"}) {
		t.Errorf("then %q, %v", bodies(taken), err)
	}
}

// A stream that is being opened while a way in is interrupted is told in any case,
// and once.
func TestInterruptionWhileOpening(t *testing.T) {
	h := newHub(t, Config{}, log.Retention{})
	at := bring(t, h, "way", "a", "1")
	start := resolve(t, h, "a", From{Cursor: at.String()})
	interrupt(t, h, "way")
	late := resolve(t, h, "a", From{Cursor: at.String()})
	for _, start := range []Start{start, late} {
		l, s := listen(t, h, opening{format: resumable, channels: []string{"a"}, start: &start})
		settle(t, s)
		s.Send([]byte("- that was all\n"))
		l.expect("GAP ingest-uncertain", "that was all")
	}
}

// The head says what the stream will say: also of gaps that a source has told of
// before a restart, and of sources that cannot be heard yet.
func TestHeadSaysWhatTheStreamSays(t *testing.T) {
	h := newHub(t, Config{}, log.Retention{})
	at := say(t, h, "a", "1")[0].Position
	_, err := h.Publish(t.Context(), event.Batch{Events: []event.Event{{
		Channel: event.String("a"), Op: event.Gap, Type: string(event.IngestUncertain), Delivery: "gap:1",
	}}})
	if err != nil {
		t.Fatal(err)
	}
	check := func(when string) {
		t.Helper()
		from := From{Cursor: at.String()}
		if start := resolve(t, h, "a", from); start.Resume() != "gap;reason=ingest-uncertain" {
			t.Errorf("%s: the head says %q", when, start.Resume())
		}
		if start := resolve(t, h, "a", From{Cursor: h.Head().String()}); start.Resume() != "complete" {
			t.Errorf("%s, behind it: the head says %q", when, start.Resume())
		}
		l, s := listen(t, h, opening{format: resumable, channels: []string{"a"}, from: from})
		settle(t, s)
		s.Send([]byte("- that was all\n"))
		l.expect("GAP ingest-uncertain", "that was all")
	}
	check("at once")
	h.uncertain.begin(h.Head()) // as after a restart
	check("after a restart")

	never := make(chan struct{})
	h.OnInterest(func(string, bool) []<-chan struct{} { return []<-chan struct{}{never} })
	if start := resolve(t, h, "new", From{Cursor: h.Head().String()}); start.Resume() != "gap;reason=ingest-uncertain" {
		t.Errorf("while a source cannot be heard, the head says %q", start.Resume())
	}
	close(never)
	if start := resolve(t, h, "new", From{Cursor: h.Head().String()}); start.Resume() != "complete" {
		t.Errorf("when it is heard, the head says %q", start.Resume())
	}
}

// An interruption that the log does not take is noted as soon as it does; until
// then, what the way feeds is uncertain.
func TestInterruptionWaitsForTheLog(t *testing.T) {
	l := &refusing{tail: newSharedLog().tail()}
	h := openOn(t, l)
	at := bring(t, h, "way", "a", "1")
	l.refuse.Store(true)
	h.Interrupted("way")
	for range 2 {
		if start := resolve(t, h, "a", From{Cursor: at.String()}); start.Resume() != "gap;reason=ingest-uncertain" {
			t.Errorf("before it is noted: %q", start.Resume())
		}
	}
	l.refuse.Store(false)
	for deadline := time.Now().Add(20 * time.Second); !h.uncertain.isSure(); runtime.Gosched() {
		if time.Now().After(deadline) {
			t.Fatal("it is never noted")
		}
	}
	if start := resolve(t, h, "a", From{Cursor: at.String()}); start.Resume() != "gap;reason=ingest-uncertain" {
		t.Errorf("across it: %q", start.Resume())
	}
	if start := resolve(t, h, "a", From{Cursor: h.Head().String()}); start.Resume() != "complete" {
		t.Errorf("behind it: %q", start.Resume())
	}
}

// Nobody can ask for the channel in which interruptions stand.
func TestInterruptionsCannotBeAskedFor(t *testing.T) {
	if event.ValidChannel(interruptions) {
		t.Error("its name is valid")
	}
	h := newHub(t, Config{}, log.Retention{})
	_, err := h.Publish(t.Context(), event.Batch{Events: []event.Event{{Channel: event.String(interruptions), Op: event.Gap}}})
	if !errors.Is(err, event.ErrNameControl) {
		t.Errorf("somebody may publish there: %v", err)
	}
}
