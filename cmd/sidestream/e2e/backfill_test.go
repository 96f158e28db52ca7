package e2e

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
)

// A client that comes back from before what the history keeps gets what is missing from
// the app, with its own credential, once, and then what is new, and nobody else does.
func TestBackfill(t *testing.T) {
	a := newListApp(t)
	a.perPage = 20
	s := start(t, a.pulled(`backfill preset campfire_classic
		history {
			per_channel 5
		}`, ""))
	other := s.open("/flows?filter=1", "Accept: text/event-stream", basic(readerToken))
	first := a.say("1", "message 0.")
	other.until("message 0.")
	for i := 1; i < 50; i++ {
		a.say("1", fmt.Sprintf("message %d.", i))
	}
	other.until("message 49.")
	for _, from := range []struct{ target, header string }{
		{fmt.Sprintf("/flows?filter=1&since_message_id=%d", first), "X-Nothing: 1"},
		{"/flows?filter=1", fmt.Sprintf("Last-Event-ID: %d", first)},
	} {
		st := s.open(from.target, "Accept: text/event-stream", basic(readerToken), from.header)
		if got := st.header.Get("Stream-Resume"); got != "complete" {
			t.Errorf("Stream-Resume: %q", got)
		}
		got := strings.Join(st.until("message 49."), "")
		for i := 1; i < 50; i++ {
			if n := strings.Count(got, fmt.Sprintf("message %d.", i)); n != 1 {
				t.Errorf("message %d comes %d times", i, n)
			}
		}
		if strings.Contains(got, "message 0.") || strings.Contains(got, "gap") {
			t.Errorf("the stream has %q", got)
		}
		// Cut off in the middle, it goes on by the id of the message.
		head, _, _ := strings.Cut(got, "message 20.")
		st = s.open("/flows?filter=1", "Accept: text/event-stream", basic(readerToken), "Last-Event-ID: "+lastID(head))
		got = strings.Join(st.until("message 49."), "")
		if strings.Contains(got, "message 19.") || !strings.Contains(got, "message 21.") {
			t.Errorf("after %s: %q", lastID(head), got)
		}
	}
	a.say("1", "and now")
	if got := strings.Join(other.until("and now"), ""); strings.Count(got, "data:") != 1 {
		t.Errorf("another client has %q", got)
	}
	// Whose credential the app does not take is told of a gap.
	st := s.open(fmt.Sprintf("/flows?filter=1&since_message_id=%d", first), "Accept: text/event-stream", basic("somebody-else"))
	if st.status != http.StatusOK || st.header.Get("Stream-Resume") != "gap;reason=trimmed" {
		t.Errorf("%d %v", st.status, st.header)
	}
}
