package operator

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/seed-078801ba/sidestream/stream"
	"github.com/seed-078801ba/sidestream/stream/event"
)

// The paths of the API.
const (
	HubsPath     = "/sidestream/hubs"
	StreamsPath  = "/sidestream/streams"
	ChannelsPath = "/sidestream/channels"
	HistoryPath  = "/sidestream/channels/history"
	EventsPath   = "/sidestream/events"
	TracePath    = "/sidestream/trace"
)

// Hub is a hub of this process, and what is known of it outside of the engine.
type Hub struct {
	*stream.Hub
	// Store says where its history is, in words.
	Store string
	// Live tells what happens in it.
	Live *Live
	// Names is how names of channels are written.
	Names event.Names
	// Sources are its ways in, with their state.
	Sources []Source
	// Unhealthy says why it cannot have traffic, in sentences; empty if it can.
	Unhealthy []string
}

// Error is what an operator did wrong, with the status that says so.
type Error struct {
	Status int
	Text   string
}

func (e *Error) Error() string { return e.Text }

func wrong(status int, format string, args ...any) error {
	return &Error{status, fmt.Sprintf(format, args...)}
}

// API serves requests. Safe for concurrent use.
type API struct {
	// Hubs lists the hubs that are open now.
	Hubs func() []Hub
}

// Paths are the patterns of what Serve answers.
func (*API) Paths() []string {
	return []string{HubsPath, HubsPath + "/", StreamsPath, ChannelsPath, HistoryPath, EventsPath, TracePath}
}

// Serve answers a request. What is wrong with it is an *Error, and nothing has been
// written then.
func (a *API) Serve(w http.ResponseWriter, r *http.Request) error {
	w.Header().Set("Cache-Control", "no-store")
	method, known := map[string]map[string]func(http.ResponseWriter, *http.Request) error{
		HubsPath:     {http.MethodGet: a.hubs},
		StreamsPath:  {http.MethodGet: a.streams, http.MethodDelete: a.endStreams},
		ChannelsPath: {http.MethodGet: a.channels},
		HistoryPath:  {http.MethodGet: a.history, http.MethodDelete: a.forget},
		EventsPath:   {http.MethodGet: a.events},
		TracePath:    {http.MethodGet: a.trace},
	}[r.URL.Path]
	if name, ok := strings.CutPrefix(r.URL.Path, HubsPath+"/"); ok && name != "" {
		method, known = map[string]func(http.ResponseWriter, *http.Request) error{
			http.MethodGet: func(w http.ResponseWriter, _ *http.Request) error { return a.oneHub(w, name) },
		}, true
	}
	if !known {
		return wrong(http.StatusNotFound, "there is nothing at this address; there are: %s", strings.Join(a.Paths(), ", "))
	}
	serve := method[r.Method]
	if serve == nil {
		w.Header().Set("Allow", strings.Join(allowed(method), ", "))
		return wrong(http.StatusMethodNotAllowed, "use %s", strings.Join(allowed(method), " or "))
	}
	return serve(w, r)
}

func allowed(methods map[string]func(http.ResponseWriter, *http.Request) error) (names []string) {
	for name := range methods {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

func answer(w http.ResponseWriter, v any) error {
	text, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("writing the answer: %w", err)
	}
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(append(text, '\n')) // who asked may have gone
	return nil
}

// chosen are the hubs that a request is about: the one that `hub` names, or all.
func (a *API) chosen(r *http.Request) ([]Hub, error) {
	hubs := a.Hubs()
	slices.SortFunc(hubs, func(a, b Hub) int { return strings.Compare(a.Name(), b.Name()) })
	name := r.URL.Query().Get("hub")
	if name == "" {
		return hubs, nil
	}
	for i := range hubs {
		if hubs[i].Name() == name {
			return hubs[i : i+1], nil
		}
	}
	return nil, wrong(http.StatusNotFound, "there is no hub %q; there are: %s", name, namesOf(hubs))
}

// one is the hub that a request is about, where it can be about one only.
func (a *API) one(r *http.Request) (Hub, error) {
	hubs, err := a.chosen(r)
	switch {
	case err != nil:
		return Hub{}, err
	case len(hubs) == 0:
		return Hub{}, wrong(http.StatusNotFound, "no hub is open: the configuration has no sidestream")
	case len(hubs) > 1:
		return Hub{}, wrong(http.StatusBadRequest, "there are several hubs; choose one with hub=NAME: %s", namesOf(hubs))
	}
	return hubs[0], nil
}

func namesOf(hubs []Hub) string {
	names := make([]string, len(hubs))
	for i := range hubs {
		names[i] = hubs[i].Name()
	}
	return strings.Join(names, ", ")
}

// maxPage bounds a page of a list.
const maxPage = 1000

// limitOf is how long a page may be.
func limitOf(r *http.Request, usual int) (int, error) {
	text := r.URL.Query().Get("limit")
	if text == "" {
		return usual, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 {
		return 0, wrong(http.StatusBadRequest, "limit is how many to list, from 1 to %d", maxPage)
	}
	return min(n, maxPage), nil
}

// only refuses parameters that nobody reads: a filter with a typing error would
// choose everything.
func only(r *http.Request, known ...string) error {
	for name := range r.URL.Query() {
		if !slices.Contains(known, name) {
			return wrong(http.StatusBadRequest, "unknown parameter %q; there are: %s", name, strings.Join(known, ", "))
		}
	}
	return nil
}

// canceled tells whether who asked has gone.
func canceled(r *http.Request, err error) bool {
	return err != nil && errors.Is(err, r.Context().Err())
}
