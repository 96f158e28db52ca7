package bayeux

import (
	"net/http"
	"strconv"
	"strings"

	"github.com/seed-078801ba/sidestream/caddymodule/endpoint"
	"github.com/seed-078801ba/sidestream/stream/event"
	"github.com/seed-078801ba/sidestream/stream/format"
)

// realtime tells clients the signed names of objects that they may see, in the words
// of TwentyThree's REST (its /api/live/log): GET <path>/<kind>/<id> has the root, and
// /<kind>/<id>/<name> the name of one channel.
type realtime struct {
	place endpoint.Place
	url   string
}

// asked reads which object a request is about; false if it is none for us.
func (t *realtime) asked(line endpoint.Line) (parts []string, ours bool) {
	if t == nil {
		return nil, false
	}
	parts, ok := line.Under(&t.place)
	return parts, ok && len(parts) > 0
}

// serve answers a request about an object.
func (e *bayeux) tellRealtime(w http.ResponseWriter, r *http.Request, s *endpoint.Server, parts []string) {
	h := w.Header()
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	origins := s.OriginsOf(e)
	origins.Open(h, r)
	switch {
	case r.Method == http.MethodOptions:
		e.preflight(w, r, s)
		return
	case r.Method != http.MethodGet && r.Method != http.MethodHead:
		h.Set("Allow", "GET, HEAD, OPTIONS")
		tellError(w, http.StatusMethodNotAllowed, "an object is asked for with GET")
		return
	case !origins.Admits(r):
		tellError(w, http.StatusForbidden, "pages of this origin may not ask; list it in cors")
		return
	case len(parts) < 2 || parts[1] == "":
		tellError(w, http.StatusNotFound, "an object is asked for by its kind and id")
		return
	}
	kind, id := parts[0], parts[1]
	object := event.ObjectOf(kind, id)
	sub := strings.Join(parts[2:], "/")
	if sub != "" && event.CheckObjectChannel(object.Channel(sub)) != nil {
		tellError(w, http.StatusNotFound, "there is no such channel")
		return
	}
	client, re := s.Caller(r, origins)
	if re == nil {
		re, _ = s.MaySee(r.Context(), e.objects, client, kind, id)
	}
	if re != nil {
		if re.Passing {
			h.Set("Retry-After", strconv.Itoa(max(1, int(re.After.Seconds()))))
		}
		tellError(w, re.Status, re.Message)
		return
	}
	name := "/" + e.objects.Root(object)
	if sub != "" {
		name += "/" + sub
	}
	h.Set("Content-Type", "application/json")
	if r.Method == http.MethodHead {
		return
	}
	b := format.AppendText([]byte(`{"realtime_url":`), e.realtime.address(r, e))
	b = format.AppendText(append(b, `,"realtime_channel":`...), name)
	w.Write(append(b, "}\n"...))
}

// address is where the endpoint is, without a scheme as TwentyThree gave it: the
// page's own counts.
func (t *realtime) address(r *http.Request, e *bayeux) string {
	if t.url != "" {
		return t.url
	}
	return "//" + r.Host + e.places[0].Prefix
}

func tellError(w http.ResponseWriter, status int, words string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	w.Write(append(format.AppendText([]byte(`{"error":`), words), "}\n"...))
}
