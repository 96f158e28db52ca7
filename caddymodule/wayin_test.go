package caddymodule

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/seed-078801ba/sidestream/stream/event"
)

// A message that contradicts one of another way in is told with both names, and
// one that contradicts an earlier one of the same way in is not.
func TestConflictsBetweenWaysIn(t *testing.T) {
	s := newSite(t)
	s.load(basics + `
		webhook /hooks/other {
			verify bearer
			secret another-secret
			map channel {json.room}
			map id {json.id}
			map body {json.text}
		}`)
	post := func(path, secret, body string) int {
		resp := s.request("POST", path, body, "Authorization: Bearer "+secret, "Content-Type: application/json")
		return resp.StatusCode
	}
	post("/hooks/other", "another-secret", `{"room":"9","id":1,"text":"begins"}`)
	post("/hooks/own", "hook-secret", `{"room":"1","id":5,"text":"mine"}`)
	if status := post("/hooks/own", "hook-secret", `{"room":"1","id":5,"text":"mine, changed"}`); status != 409 {
		t.Errorf("a change of the same way in: %d", status)
	}
	if strings.Contains(s.logs(), "another way in brought") {
		t.Error("a conflict of one way in with itself is told as one of two")
	}
	if status := post("/hooks/other", "another-secret", `{"room":"1","id":5,"text":"not mine"}`); status != 409 {
		t.Errorf("another way in: %d", status)
	}
	eventually(t, "the log names both ways in", func() bool {
		log := s.logs()
		return strings.Contains(log, `"from":"webhook /hooks/other"`) && strings.Contains(log, `"earlier_from":"webhook /hooks/own"`)
	})
}

// What is remembered of where messages came from is bounded.
func TestOriginsAreBounded(t *testing.T) {
	var o origins
	a := o.way("a")
	o.way("b")
	for i := range 3 * maxOrigins {
		e := &event.Event{Channel: event.String("c"), ID: event.String(fmt.Sprint(i))}
		o.note(a, e, &event.Receipt{})
	}
	if n := len(o.newest) + len(o.older); n > 2*maxOrigins || n < maxOrigins {
		t.Errorf("%d are remembered", n)
	}
}

type countingPublisher struct{ n int }

func (p *countingPublisher) Publish(_ context.Context, b event.Batch) ([]event.Receipt, error) {
	p.n++
	return make([]event.Receipt, len(b.Events)), nil
}

// With one way in, nothing is remembered.
func TestOneWayInIsNotRemembered(t *testing.T) {
	var o origins
	o.way("webhook /a")
	w := &wayIn{Publisher: new(countingPublisher), name: "webhook /a", origins: &o}
	if _, err := w.Publish(context.Background(), event.Batch{Events: []event.Event{{Channel: event.String("c"), ID: event.String("1")}}}); err != nil {
		t.Fatal(err)
	}
	if len(o.newest) != 0 {
		t.Errorf("%d are remembered", len(o.newest))
	}
}

// Of each message it is known which way in was first, which brought it at all, and
// which alone.
func TestCoverageOfWaysIn(t *testing.T) {
	var o origins
	a, b := o.way("webhook /a"), o.way("tap")
	note := func(way int, id string, duplicate bool) {
		o.note(way, &event.Event{Channel: event.String("c"), ID: event.String(id)}, &event.Receipt{Duplicate: duplicate})
	}
	note(a, "1", false) // both, the webhook first
	note(b, "1", true)
	note(b, "1", true)  // sent again
	note(b, "2", false) // both, the tap first
	note(a, "2", true)
	note(b, "3", false) // the tap alone
	note(b, "", false)  // without an id
	note(a, "old", true)
	note(a, "4", true) // both, the tap first, which says so later
	note(b, "4", false)
	want := []WayCoverage{{Way: "webhook /a", First: 1, Seen: 3}, {Way: "tap", First: 4, Seen: 5, Alone: 2}}
	if got := o.coverage(); !slices.Equal(got, want) {
		t.Errorf("%+v, want %+v", got, want)
	}
}

// What is shown of paths that pass by has neither ids nor secrets in it.
func TestShapesOfPaths(t *testing.T) {
	for path, want := range map[string]string{
		"/hooks/3mqk8w1fxtgabcdefghijkl":   "/hooks/*",
		"/api/v4/posts/ephemeral":          "/api/v4/posts/ephemeral",
		"/rooms/12/messages.json":          "/rooms/*/messages.json",
		"/flows/Acme/main":                 "/flows/*/main",
		"/a/averyveryverylongsecretword/b": "/a/*/b",
	} {
		if got := shapeOf(path); got != want {
			t.Errorf("%s: %s, want %s", path, got, want)
		}
	}
	var s shapes
	for i := range 2 * maxShapes {
		s.add("POST", "/x"+strings.Repeat("/a", i%200))
	}
	if len(s.counts) > maxShapes {
		t.Errorf("%d shapes are kept", len(s.counts))
	}
}
