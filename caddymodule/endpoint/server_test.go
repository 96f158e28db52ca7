package endpoint

import (
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"
)

// talk is an endpoint with sessions, at /talk below its place.
type talk struct{ Place }

func (e *talk) Claims(line Line, _ *http.Request) Claim {
	is := func(parts []string) bool { return len(parts) == 1 && parts[0] == "talk" }
	if parts, ok := line.Under(&e.Place); ok && is(parts) {
		return Ours
	}
	for _, parts := range line.LooselyUnder(&e.Place) {
		if is(parts) {
			return Crooked
		}
	}
	return NotOurs
}

func (e *talk) Serve(w http.ResponseWriter, _ *http.Request, _ Line, s *Server) func(context.Context) {
	if s == nil {
		panic("no server")
	}
	w.WriteHeader(http.StatusAccepted)
	return func(context.Context) {}
}

// An endpoint with sessions is offered requests beside those with streams, and
// serves its own.
func TestEndpointWithSessions(t *testing.T) {
	s := &Server{Logger: slog.New(slog.DiscardHandler)}
	s.Mount("campfire", new(Campfire).New(Site{Realm: "Test"}), new(Origins), time.Second)
	s.Mount("talk", &talk{Place{"/v1"}}, new(Origins), time.Second)
	for uri, want := range map[string]Claim{
		"/v1/talk": Ours, "/v1%2Ftalk": Crooked, "/v1/./talk": Crooked, "/talk": NotOurs, "/v1/talk/more": NotOurs, "/room/1/live.json": Ours,
	} {
		r := target(t, http.MethodPost, uri)
		if want == Ours && uri[1] == 'r' {
			r.Method = http.MethodGet
		}
		claimed, ok := s.Claim(r)
		if ok != (want != NotOurs) || ok && claimed.claim != want {
			t.Errorf("%s: %+v, want claim %d", uri, claimed, want)
		}
	}
	r := target(t, http.MethodPost, "/v1/talk")
	claimed, _ := s.Claim(r)
	w := httptest.NewRecorder()
	if wait := claimed.Serve(w, r); wait == nil || w.Code != http.StatusAccepted {
		t.Errorf("%d", w.Code)
	}
	claimed, _ = s.Claim(target(t, http.MethodPost, "/v1%2Ftalk"))
	w = httptest.NewRecorder()
	if wait := claimed.Serve(w, target(t, http.MethodPost, "/v1%2Ftalk")); wait != nil || w.Code != http.StatusBadRequest {
		t.Errorf("a crooked line: %d", w.Code)
	}
}
