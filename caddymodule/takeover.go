package caddymodule

import (
	"fmt"
	"net/http"
	"time"

	"github.com/seed-078801ba/sidestream/stream"
	"github.com/seed-078801ba/sidestream/stream/conn"
)

// attach writes the response head and makes a stream of the response. The
// caller has set the headers, and written nothing. opened, if set, is called
// with the stream before anything can wait for its end.
//
// Over HTTP/1 it returns at once: the connection is the hub's, and net/http
// lets go of its goroutine and its buffers. Over HTTP/2 and 3, whose streams
// cannot be taken out of the server, it returns when the stream has ended.
func attach(w http.ResponseWriter, r *http.Request, hub *stream.Hub, o stream.Opening, opened func(*stream.Stream)) error {
	// The head goes through the whole chain, so that recorders and delayed
	// header operations see it.
	w.WriteHeader(http.StatusOK)
	if r.ProtoMajor > 1 {
		return respond(w, r, hub, o, opened)
	}
	nc, buffered, err := http.NewResponseController(innermost(w)).Hijack()
	if err != nil { // a server of its own kind: its handler's goroutine will do
		return respond(w, r, hub, o, opened)
	}
	// What the client sent behind its request is of no meaning here. Neither
	// are the buffers: only the connection is kept.
	_ = buffered
	nc.SetDeadline(time.Time{})
	// HTTP/1.0 knows no chunks: there the body ends with the connection.
	o.Conn = conn.TakeOver(nc, r.ProtoAtLeast(1, 1), hub.ConnOptions())
	s, err := hub.Attach(o)
	if err != nil {
		return fmt.Errorf("attaching a stream: %w", err)
	}
	opened(s)
	return nil
}

// respond serves a stream with the handler's own goroutine.
func respond(w http.ResponseWriter, r *http.Request, hub *stream.Hub, o stream.Opening, opened func(*stream.Stream)) error {
	out := flusher{w, http.NewResponseController(w)}
	if err := out.Flush(); err != nil { // the client is gone
		o.Ticket.Release()
		return nil
	}
	responder := conn.NewResponder(out)
	o.Conn = responder
	s, err := hub.Attach(o)
	if err != nil {
		return fmt.Errorf("attaching a stream: %w", err)
	}
	opened(s)
	responder.Serve(r.Context())
	return nil
}

// flusher lets a conn.Responder write to a response.
type flusher struct {
	http.ResponseWriter
	control *http.ResponseController
}

func (f flusher) Flush() error { return f.control.Flush() }

// Abort makes a write that waits for the client fail.
func (f flusher) Abort() { f.control.SetWriteDeadline(time.Unix(1, 0)) }

// innermost is the server's own ResponseWriter, below everything that Caddy
// wraps around it. A connection that is hijacked through the wrappers keeps all
// of them alive: with an access log that is 14 KB for each stream.
func innermost(w http.ResponseWriter) http.ResponseWriter {
	for {
		u, ok := w.(interface{ Unwrap() http.ResponseWriter })
		if !ok {
			return w
		}
		w = u.Unwrap()
	}
}
