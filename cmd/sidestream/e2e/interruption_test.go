package e2e

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"strings"
	"syscall"
	"testing"
)

// mattermost posts as Mattermost does, which sends nothing twice.
func (s *server) mattermost(room string, id int) {
	s.t.Helper()
	body := fmt.Sprintf(`{"token":"mattermost-token","channel_id":%q,"post_id":"p%d","user_id":"u","user_name":"ann","timestamp":1700000000000,"text":"message %d"}`, room, id, id)
	eventually(s.t, "posting", func() bool {
		req, err := http.NewRequest(http.MethodPost, s.url+"/hooks/mattermost", bytes.NewReader([]byte(body)))
		if err != nil {
			s.t.Fatal(err)
		}
		req.Header.Set("Content-Type", "application/json")
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			return false
		}
		defer resp.Body.Close()
		answer, _ := io.ReadAll(resp.Body)
		if resp.StatusCode != http.StatusOK {
			s.t.Fatalf("posting: %d %s", resp.StatusCode, answer)
		}
		return true
	})
}

// TestNothingIsCertainWhileTheWayInWasClosed: what an app that never repeats said
// while this server was away is lost. Whoever resumes across that is told so, in the
// head and in the stream alike, and once. Rooms that another way in feeds are not
// concerned.
func TestNothingIsCertainWhileTheWayInWasClosed(t *testing.T) {
	b := newBackend(t)
	site := b.directives(`webhook /hooks/mattermost {
			preset mattermost
			secret mattermost-token
		}`)
	s := start(t, site)
	s.mattermost("town", 1)
	s.publish("other", 1, "hello")
	const uncertain = "gap;reason=ingest-uncertain"
	resume := func(how, room, cursor, want string) (next string) {
		t.Helper()
		st := s.open("/flows?filter="+room, "Accept: text/event-stream", basic(goodToken), "Last-Event-ID: "+cursor)
		if st.status != http.StatusOK {
			t.Fatalf("%s: %d", how, st.status)
		}
		if got := st.header.Get("Stream-Resume"); got != want {
			t.Errorf("%s, %s: the head says %q, want %q", how, room, got, want)
		}
		gaps := 0
		for !strings.Contains(next, "message 1") && !strings.Contains(next, "for other") {
			if next = st.next(); strings.Contains(next, "event: gap") {
				gaps++
			}
		}
		if told := gaps > 0; told != (want == uncertain) {
			t.Errorf("%s, %s: the stream tells of %d gaps, the head says %q", how, room, gaps, want)
		}
		_, next, _ = strings.Cut(next, "id: ")
		next, _, _ = strings.Cut(next, "\n")
		return next
	}
	live := func(room string) (cursor string) {
		st := s.open("/flows?filter="+room, "Accept: text/event-stream", basic(goodToken))
		for cursor == "" {
			chunk, err := st.chunk()
			if err != nil {
				t.Fatal(err)
			}
			_, cursor, _ = strings.Cut(chunk, "id: ")
		}
		cursor, _, _ = strings.Cut(cursor, "\n")
		return cursor
	}
	for i, interruption := range []struct {
		how string
		do  func()
	}{
		{"SIGTERM", func() { s.restart(syscall.SIGTERM) }},
		{"kill", func() { s.restart(syscall.SIGKILL) }},
		{"reload", func() { s.reload(site + "\n\theader X-Again 1") }},
	} {
		town, other := live("town"), live("other")
		interruption.do()
		s.mattermost("town", 1000+i)
		s.publish("other", 1000+i, "for other")
		behind := resume(interruption.how, "town", town, uncertain)
		resume(interruption.how, "other", other, "complete")
		s.mattermost("town", 10000+i)
		resume(interruption.how+", again", "town", behind, "complete")
	}
}
