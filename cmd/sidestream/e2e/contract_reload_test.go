package e2e

import (
	"errors"
	"io"
	"os"
	"strings"
	"testing"
)

// A reload that changes how much is kept keeps the streams; one that changes
// where ends them, and their clients are told that the history is another one.
func TestReloadChangesHistory(t *testing.T) {
	history := func(store, more string) string {
		return openSite("drain 200ms\nhistory {\n store " + store + "\n" + more + "\n}")
	}
	s := start(t, history("file first.db", "per_channel 100"))
	streams := []*rawStream{s.open(campfireStream), s.open(sseStream), s.open(jsonStream)}
	// everybody hears a message, and the SSE client's cursor is returned.
	hear := func(text string) (cursor string) {
		t.Helper()
		s.say("1", text, text)
		for i, st := range streams {
			got := st.next()
			if !strings.Contains(got, text) {
				t.Fatalf("stream %d got %q instead of %q", i, got, text)
			}
			if id, ok := strings.CutPrefix(got, "id: "); ok {
				cursor, _, _ = strings.Cut(id, "\n")
			}
		}
		return cursor
	}
	hear("one")
	s.reload(history("file first.db", "per_channel 2"))
	hear("two")
	s.reload(history("file first.db", "per_channel 100 1h 1MiB\n keys 48h"))
	cursor := hear("three")
	resume := func(cursor string) string {
		t.Helper()
		st := s.open(sseStream, "Last-Event-ID: "+cursor)
		return st.header.Get("Stream-Resume")
	}
	if got := resume(cursor); got != "complete" {
		t.Errorf("after changes of the retention: %q", got)
	}

	for _, store := range []string{"file second.db", "memory", "file first.db", "file second.db", "file first.db"} {
		old := cursor
		s.reload(history(store, ""))
		for i, st := range streams {
			rest, err := st.rest()
			if !errors.Is(err, io.EOF) || strings.Contains(rest, "data: {") {
				t.Errorf("%s: stream %d ended with %q, %v", store, i, rest, err)
			}
		}
		if got := resume(old); got != "gap;reason=epoch-changed" {
			t.Errorf("%s: a client comes back to %q", store, got)
		}
		back := s.open(sseStream, "Last-Event-ID: "+old)
		if first := back.next(); !strings.HasPrefix(first, "event: gap\n") || !strings.Contains(first, `"reason":"epoch-changed"`) {
			t.Errorf("%s: a client comes back to %q", store, first)
		}
		streams = []*rawStream{s.open(campfireStream), back, s.open(jsonStream)}
		cursor = hear("in " + store + " after " + old)
		if got := resume(cursor); got != "complete" {
			t.Errorf("%s: its own cursor: %q", store, got)
		}
	}

	// A place that cannot be had changes nothing.
	if err := os.WriteFile(s.folder+"/occupied", nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, bad := range []string{"file occupied/hub.db", "file occupied", "paper"} {
		if err := s.tryReload(history(bad, "")); err == nil {
			t.Errorf("store %s was taken", bad)
		}
		hear("still here with " + bad)
	}
}

// Two channels may use the same id, as flows did: a client that comes back with
// one misses nothing, whichever it meant.
func TestSameIDInTwoChannels(t *testing.T) {
	s := start(t, openSite("history {\n store memory\n}"))
	s.say("a", "1", "a one")
	s.say("a", "5", "a five")
	s.say("b", "4", "b four")
	s.say("b", "5", "b five")
	for _, channels := range []string{"a,b", "b,a"} {
		st := s.open("/flows?filter=" + channels + "&since_message_id=5")
		got := strings.Join(st.until("b five"), "")
		if strings.Contains(got, "a one") || !strings.Contains(got, "b four") {
			t.Errorf("%s: got %q", channels, got)
		}
	}
}
