package caddymodule

import (
	"bytes"
	"context"
	"errors"
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
	var wait func(context.Context)
	if nc, sent, ok := hijack(w, r); ok {
		framing := conn.Chunked
		if !r.ProtoAtLeast(1, 1) { // HTTP/1.0: the body ends with the connection
			framing = conn.Plain
		}
		o.Conn, o.Sent = conn.TakeOver(nc, framing, hub.ConnOptions()), sent
	} else {
		if !flushed(w) {
			o.Ticket.Release()
			return nil, nil
		}
		responder := conn.NewResponder(flusher{innermost(w)})
		o.Conn, wait = responder, responder.Serve
	}
	return wait, attachConn(hub, o, opened)
}

// upgrade is attach for a WebSocket. Over HTTP/1.1 the connection is taken over
// with the frames on it; over HTTP/2 and 3, the request's body is read beside the
// response.
func upgrade(w http.ResponseWriter, r *http.Request, hub *stream.Hub, o stream.Opening, opened func(*stream.Stream)) (func(context.Context), error) {
	if r.ProtoMajor == 1 {
		w.WriteHeader(http.StatusSwitchingProtocols)
		nc, sent, ok := hijack(w, r)
		if !ok {
			o.Ticket.Release()
			return nil, errNoSocket
		}
		o.Conn, o.Sent = conn.TakeOver(nc, conn.WebSocket, hub.ConnOptions()), sent
		return nil, attachConn(hub, o, opened)
	}
	w.WriteHeader(http.StatusOK)
	if !flushed(w) {
		o.Ticket.Release()
		return nil, nil
	}
	duplex := conn.NewDuplex(flusher{innermost(w)}, r.Body, conn.WebSocket)
	o.Conn = duplex
	return duplex.Serve, attachConn(hub, o, opened)
}

// errNoSocket is the error of a server whose connections cannot be taken over.
var errNoSocket = errors.New("the server does not give the connection away")

// flushed sends the head of a response that stays with the server, false if the
// client is gone. What is written to the response from then on goes past the
// wrappers, as over HTTP/1: each heartbeat through them would double the stack of
// every idle stream.
func flushed(w http.ResponseWriter) bool {
	if err := http.NewResponseController(w).Flush(); err != nil {
		return false
	}
	withoutDeadline(w)
	return true
}

func attachConn(hub *stream.Hub, o stream.Opening, opened func(*stream.Stream)) error {
	s, err := hub.Attach(o)
	if err != nil {
		return fmt.Errorf("attaching a stream: %w", err)
	}
	opened(s)
	return nil
}

// to makes of attach or upgrade the one for streams of a hub.
func to(hub *stream.Hub, attach func(http.ResponseWriter, *http.Request, *stream.Hub, stream.Opening, func(*stream.Stream)) (func(context.Context), error)) endpoint.Attach {
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

// Break has the server reset the stream. An end in the middle of a message would look
// like that of a whole response.
func (f flusher) Break() { panic(http.ErrAbortHandler) }

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
