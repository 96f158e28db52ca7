package bayeux

import (
	"context"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/seed-078801ba/sidestream/caddymodule/endpoint"
)

// bayeux is the endpoint of one site.
type bayeux struct {
	key         string // of the paths
	places      []*endpoint.Place
	resolvers   []Resolver
	extensions  []Extension
	publishing  []forwarded
	forwarding  chan struct{} // a place for each publish that is with the app
	timeout     time.Duration
	expire      time.Duration
	sessions    int
	perAddress  int
	maxChannels int
	objects     *endpoint.Objects // nil without signed names
	realtime    *realtime         // nil where nobody is told of them
	catchUp     time.Duration     // how much of the past may be asked for
	// salesforce: its dialect is spoken; replayInvalidAll: a replay id of no use
	// stands for all that is kept.
	salesforce, replayInvalidAll bool
}

// maxDepth is how many parts clients append to the path at most: the name of a
// message, the id of a client, the name of a file.
const maxDepth = 2

// Claims implements endpoint.Endpoint: everything at the paths and below, whatever
// the method.
func (e *bayeux) Claims(line endpoint.Line, _ *http.Request) endpoint.Claim {
	for _, place := range e.places {
		if _, ok := line.Under(place); ok {
			return endpoint.Ours
		}
	}
	if _, ours := e.realtime.asked(line); ours {
		return endpoint.Ours
	}
	if e.realtime != nil && len(line.LooselyUnder(&e.realtime.place)) > 0 {
		return endpoint.Crooked
	}
	for _, place := range e.places {
		if len(line.LooselyUnder(place)) > 0 {
			return endpoint.Crooked
		}
	}
	return endpoint.NotOurs
}

// Run implements endpoint.Running.
func (e *bayeux) Run(s *endpoint.Server) {
	sessionsOf(s).site(e, s).live.Store(&live{e, s})
}

// below is what the client has appended to the path.
func (e *bayeux) below(line endpoint.Line) (parts []string) {
	for _, place := range e.places {
		if parts, ok := line.Under(place); ok {
			if n := len(parts); n > 0 && parts[n-1] == "" {
				parts = parts[:n-1]
			}
			return parts
		}
	}
	return nil
}

// Serve implements endpoint.Sessions: it finds the transport.
func (e *bayeux) Serve(w http.ResponseWriter, r *http.Request, line endpoint.Line, s *endpoint.Server) func(context.Context) {
	if parts, ours := e.realtime.asked(line); ours {
		e.tellRealtime(w, r, s, parts)
		return nil
	}
	origins := s.OriginsOf(e)
	below := e.below(line)
	h := w.Header()
	h.Set("Cache-Control", "no-cache, no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "no-referrer")
	switch {
	case len(below) > maxDepth:
		refuse(w, http.StatusNotFound, "there is nothing here")
		return nil
	case !origins.Admits(r):
		refuse(w, http.StatusForbidden, "pages of this origin may not connect; list it in cors")
		return nil
	}
	origins.Open(h, r)
	x := &exchange{bayeux: e, server: s, w: w, r: r, registry: sessionsOf(s), page: endpoint.PageOf(r)}
	switch {
	case r.Method == http.MethodOptions:
		e.preflight(w, r, s)
	case endpoint.WantsWebSocket(r):
		return x.webSocket(s)
	case r.Method == http.MethodPost:
		return x.post()
	case wantsEvents(r) && len(below) > 0:
		return x.eventSource(below[len(below)-1])
	case r.Method == http.MethodGet && strings.Contains(r.URL.RawQuery, "message="):
		return x.jsonp()
	default:
		refuse(w, http.StatusBadRequest, "Bad request")
	}
	return nil
}

// preflight answers OPTIONS as Faye does, with the headers of its cross-origin
// transport (src/adapters/node_adapter.js).
func (e *bayeux) preflight(w http.ResponseWriter, r *http.Request, s *endpoint.Server) {
	h := w.Header()
	h.Set("Allow", "GET, POST, OPTIONS")
	if h.Get("Access-Control-Allow-Origin") != "" {
		mask := s.Auth.Mask()
		h.Set("Access-Control-Allow-Methods", "POST, GET")
		h.Set("Access-Control-Allow-Headers", strings.Join(append([]string{"Accept, Authorization, Content-Type, Pragma, X-Requested-With"}, mask.Headers()...), ", "))
		h.Set("Access-Control-Max-Age", "86400")
	}
	w.WriteHeader(http.StatusOK)
}

// refuse answers what is no message of Bayeux, in plain text as Faye does.
func refuse(w http.ResponseWriter, status int, words string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(status)
	io.WriteString(w, words)
}
