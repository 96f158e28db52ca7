package caddymodule

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
)

// The log says once that the app does not answer, why, and once that it does
// again; and metrics count who was refused meanwhile.
func TestAppThatIsGoneAndComesBack(t *testing.T) {
	s := newSite(t)
	s.load(basics)
	s.app.allow("tok", "1")
	s.app.answer = func(http.ResponseWriter, *http.Request) bool { panic(http.ErrAbortHandler) }
	for i := range 10 {
		if resp := s.get(fmt.Sprintf("/room/%d/live.json", i), asBearer); resp.StatusCode != 503 {
			t.Errorf("while the app is gone: %d", resp.StatusCode)
		}
	}
	s.app.mu.Lock()
	s.app.answer = nil
	s.app.mu.Unlock()
	eventually(t, "the app is asked again", func() bool {
		resp := s.get("/room/1/live.json", asBearer)
		defer resp.Body.Close()
		return resp.StatusCode == 200
	})
	s.open("/room/1/live.json", asBearer)
	warnings, returns := 0, 0
	for line := range strings.Lines(s.logs()) {
		switch {
		case strings.Contains(line, `"level":"warn"`) && strings.Contains(line, "cannot be reached"):
			warnings++
		case strings.Contains(line, "the backend answers again"):
			returns++
		}
	}
	if warnings != 1 || returns != 1 {
		t.Errorf("%d warnings, and %d lines about its return", warnings, returns)
	}
	if n := s.refused(503); n < 10 {
		t.Errorf("%d requests are counted as refused", n)
	}
}

// refused is how many requests were refused with the status.
func (s *site) refused(status int) uint64 {
	s.t.Helper()
	var n uint64
	gates.Range(func(_, v any) bool {
		n += v.(*pooledGate).refusals.counts()[status]
		return true
	})
	return n
}
