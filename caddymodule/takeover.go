package caddymodule

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"net/http"
	"time"

	"github.com/seed-078801ba/sidestream/caddymodule/endpoint"
	"github.com/seed-078801ba/sidestream/stream"
	"github.com/seed-078801ba/sidestream/stream/conn"
)

// attach writes the response head and makes a stream of the response. The
// caller has set the headers, and written nothing. opened is called with the
// stream before anything can wait for its end.
//
// Over HTTP/1 that is all: the connection is the hub's, and net/http lets go of
// its goroutine and its buffers. Over HTTP/2 and 3, whose streams cannot be
// taken out of the server, it returns a function, which the handler has to
// call and which returns when the stream ends; the handler should have little on
// its stack then.
func attach(w http.ResponseWriter, r *http.Request, hub *stream.Hub, o stream.Opening, opened func(*stream.Stream)) (func(context.Context), error) {
	// The head goes through the whole chain, so that recorders and delayed
	// header operations see it.
	w.WriteHeader(http.StatusOK)
	var responder *conn.Responder
	if nc, sent, ok := hijack(w, r); ok {
		framing := conn.Chunked
		if !r.ProtoAtLeast(1, 1) { // HTTP/1.0: the body ends with the connection
			framing = conn.Plain
		}
		o.Conn, o.Sent = conn.TakeOver(nc, framing, hub.ConnOptions()), sent
	} else {
		if err := http.NewResponseController(w).Flush(); err != nil { // the client is gone
			o.Ticket.Release()
			return nil, nil
		}
		withoutDeadline(w)
		// Past the wrappers, as over HTTP/1: each heartbeat through them would
		// double the stack of every idle stream.
		responder = conn.NewResponder(flusher{innermost(w)})
		o.Conn = responder
	}
	s, err := hub.Attach(o)
	if err != nil {
		return nil, fmt.Errorf("attaching a stream: %w", err)
	}
	opened(s)
	if responder == nil {
		return nil, nil
	}
	return responder.Serve, nil
}

// attachTo is attach for streams of one hub.
func attachTo(hub *stream.Hub) endpoint.Attach {
	return func(w http.ResponseWriter, r *http.Request, o stream.Opening, opened func(*stream.Stream)) (func(context.Context), error) {
		return attach(w, r, hub, o, opened)
	}
}

// hijack takes the connection out of an HTTP/1 server, with what the client has
// sent behind its request; false if it is of another kind.
func hijack(w http.ResponseWriter, r *http.Request) (nc net.Conn, sent []byte, ok bool) {
	if r.ProtoMajor > 1 {
		return nil, nil, false
	}
	nc, buffers, err := http.NewResponseController(innermost(w)).Hijack()
	if err != nil {
		return nil, nil, false
	}
	nc.SetDeadline(time.Time{})
	// The server's buffers are not kept: only what is in them is.
	if n := buffers.Reader.Buffered(); n > 0 {
		sent, _ = buffers.Reader.Peek(n)
		sent = bytes.Clone(sent)
	}
	return nc, sent, true
}

// withoutDeadline lifts the deadlines that the server, or a handler before us,
// has set for a response (Caddy's timeouts and request_body): a stream has no end
// that could be late. A connection that is taken over loses them as well. It has
// to be called after the last write through Caddy's wrappers, which set one each
// time and expect to be there for the next write.
func withoutDeadline(w http.ResponseWriter) {
	c := http.NewResponseController(innermost(w))
	// An error means that the response has no deadlines, or that the client is
	// gone, which the next write will tell.
	_ = c.SetWriteDeadline(time.Time{})
	_ = c.SetReadDeadline(time.Time{})
}

// flusher lets a conn.Responder write to a response.
type flusher struct{ http.ResponseWriter }

func (f flusher) Flush() error { return http.NewResponseController(f.ResponseWriter).Flush() }

// Abort makes a write that waits for the client fail.
func (f flusher) Abort() {
	http.NewResponseController(f.ResponseWriter).SetWriteDeadline(time.Unix(1, 0))
}

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
