package bayeux

import (
	"context"
	"net/http"
	"strings"

	"github.com/seed-078801ba/sidestream/stream"
	"github.com/seed-078801ba/sidestream/stream/format"
)

// wantsEvents tells whether a request is one of a browser's EventSource.
func wantsEvents(r *http.Request) bool {
	return r.Method == http.MethodGet && strings.Contains(r.Header.Get("Accept"), "text/event-stream")
}

// eventSource serves Faye's transport of that name: what comes for a session, whose id
// is the end of the path. What the client says, it posts.
func (x *exchange) eventSource(id string) func(context.Context) {
	if !x.identify(x.r) {
		return nil
	}
	s, fail, _ := x.find(x.r.Context(), id)
	if fail != nil {
		refuse(x.w, http.StatusNotFound, "Unknown client")
		return nil
	}
	ticket, err := x.server.Hub.Admit(stream.Candidate{Address: x.client.Address, Asking: true})
	if err != nil {
		refuse(x.w, http.StatusServiceUnavailable, "too many clients")
		return nil
	}
	h := x.w.Header()
	h.Set("Content-Type", format.BayeuxEvents{}.ContentType())
	h.Set("X-Accel-Buffering", "no")
	if x.r.ProtoMajor == 1 {
		h.Set("Connection", "close")
	}
	p := &push{wrap: func(b []byte) []byte {
		return append(append([]byte("data: "), b...), "\n\n"...)
	}}
	wait, err := x.server.Attach(x.w, x.r, stream.Opening{
		Spec: x.registry.spec(format.BayeuxEvents{}, x.server.HeartbeatOf(x.bayeux)), Standing: true, Ticket: ticket,
		Client:  &stream.Client{Address: x.client.Address},
		Prelude: [][]byte{[]byte("retry: 5000\n\n")},
		OnClose: func(stream.Closed) { s.released(p) },
	}, func(opened *stream.Stream) {
		p.stream.Store(opened)
		if !s.bind(p) {
			opened.End(stream.ClientLeft)
			return
		}
		s.ready()
	})
	if err != nil {
		x.server.Logger.Debug("an event source ended as it was opened", "error", err)
	}
	return wait
}
