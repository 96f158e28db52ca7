package tambur

import (
	"context"
	"errors"
	"net/http"

	"github.com/seed-078801ba/sidestream/caddymodule/endpoint"
	"github.com/seed-078801ba/sidestream/stream"
)

// messages is how clients are heard: their commands are short, and a page sends some
// dozen when it opens.
var messages = &stream.Messages{Limit: 64 << 10, PerSecond: 20}

// socket opens a WebSocket. The first frame is the client's id and no JSON: the client
// takes it for that whatever it is, and does not come back if the connection ends
// before.
func (e *tambur) socket(w http.ResponseWriter, r *http.Request, s *endpoint.Server, h *hub, app *application) func(context.Context) {
	sub, start, ok := e.begin(w, r, s, h, app)
	if !ok {
		return nil
	}
	wait, re := s.Upgrade(w, r, stream.Opening{
		Spec: &e.spec, Channels: []string{sub.private()}, Start: start, Standing: true, Ticket: sub.ticket,
		Prelude: [][]byte{[]byte("id:" + sub.id)},
		Input:   messages.Input(sub.said),
		OnClose: func(stream.Closed) { sub.close() },
	}, func(st *stream.Stream) { sub.attach(st) })
	if re != nil {
		sub.close()
		refuse(w, re.Status, re.Message)
	}
	return wait
}

// begin makes a subscriber, or answers why not.
func (e *tambur) begin(w http.ResponseWriter, r *http.Request, s *endpoint.Server, h *hub, app *application) (*subscriber, stream.Start, bool) {
	client, re := s.Caller(e.caller(r), e.origins)
	if re != nil {
		refuse(w, re.Status, re.Message)
		return nil, stream.Start{}, false
	}
	sub, err := h.admit(client, s, app)
	if err != nil {
		status := http.StatusServiceUnavailable
		if limit := (*stream.LimitError)(nil); errors.As(err, &limit) && limit.Policy {
			status = http.StatusTooManyRequests
		}
		w.Header().Set("Retry-After", "5")
		refuse(w, status, "too many connections")
		return nil, stream.Start{}, false
	}
	start, err := s.Hub.Resolve([]string{sub.private()}, stream.From{})
	if err != nil {
		sub.close()
		refuse(w, http.StatusServiceUnavailable, "the service is out of reach")
		return nil, stream.Start{}, false
	}
	return sub, start, true
}
