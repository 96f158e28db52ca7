package conn

import (
	"context"
	"io"
	"net"
	"slices"
	"sync"
)

// Responder writes to an HTTP handler's response, for protocols whose streams
// cannot be taken out of the server (HTTP/2, HTTP/3). Each buffer is written and
// flushed on its own, so that a message stays one DATA frame.
//
// The handler's goroutine only waits, in Serve. Each Write of the shard is made
// by a goroutine of its own, one at a time: what a server needs of stack to
// write, now and then, would double that of the handler, which has much on it
// and cannot shrink again. In an hour of heartbeats that is every idle stream.
type Responder struct {
	out   Flusher
	p     *Poller
	token Token
	over  chan any // see settle

	mu       sync.Mutex
	busy     bool // a goroutine writes
	finished bool // end when everything is written
	closed   bool // end as soon as nobody writes
	torn     bool // a part of what was taken may be missing
	ended    bool // Serve has returned, out must not be touched
}

// Flusher is where a Responder writes.
type Flusher interface {
	io.Writer
	// Flush sends on what was written.
	Flush() error
	// Abort makes a Write or Flush that is under way fail. It is called from
	// another goroutine.
	Abort()
	// Break ends a response of which a part may be missing, so that the peer does not
	// take it for whole. It is called from the goroutine of the handler, which it
	// may leave with a panic.
	Break()
}

// NewResponder makes the Conn of a handler's goroutine, which then calls Serve.
func NewResponder(out Flusher) *Responder {
	return &Responder{out: out, over: make(chan any, 1)}
}

// Watch implements Conn. There is nothing to be watched: Serve reports.
func (r *Responder) Watch(p *Poller, token Token) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.p, r.token = p, token
	if r.ended {
		p.report(Event{Token: token, Gone: true})
	}
	return nil
}

// Write implements Conn. It is refused (0 bytes taken) until everything that it
// took before is written.
func (r *Responder) Write(bufs [][]byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed || r.finished {
		return 0, net.ErrClosed
	}
	if r.busy {
		return 0, nil
	}
	r.busy = true
	go r.write(slices.Clone(bufs))
	return size(bufs), nil
}

func (r *Responder) write(bufs [][]byte) {
	whole := false
	defer func() { r.wrote(whole, recover()) }()
	for _, b := range bufs {
		if _, err := r.out.Write(b); err != nil {
			return
		}
		if err := r.out.Flush(); err != nil {
			return
		}
	}
	whole = true
}

// wrote tells the shard that more may come, or Serve that this was all.
func (r *Responder) wrote(whole bool, panicked any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.busy = false
	if !whole {
		r.closed, r.torn = true, true // Gone will be reported
	}
	r.settle(panicked)
	if whole && r.p != nil {
		r.p.report(Event{Token: r.token, Writable: true})
	}
}

// settle lets Serve return if nobody writes and nobody will. It is called with
// r.mu held whenever that may have become so. Serve panics with the panic of a
// write, if there was one: in its goroutine, the server expects it.
func (r *Responder) settle(panicked any) {
	if r.busy || !r.closed && !r.finished {
		return
	}
	select {
	case r.over <- panicked:
	default: // it was told
	}
}

// Serve waits until the stream is finished or closed by its shard, the peer
// has gone (ctx), or a write fails. It is called once, by the goroutine to
// which the Flusher belongs; afterwards the Flusher is not touched any more.
func (r *Responder) Serve(ctx context.Context) {
	defer r.end()
	var panicked any
	select {
	case <-ctx.Done():
		r.Close()
		panicked = <-r.over
	case panicked = <-r.over:
	}
	if panicked != nil {
		panic(panicked)
	}
	r.mu.Lock()
	torn := r.torn
	r.mu.Unlock()
	if torn && ctx.Err() == nil {
		r.out.Break()
	}
}

func (r *Responder) end() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.ended = true
	if r.p != nil {
		r.p.report(Event{Token: r.token, Gone: true})
	}
}

// Read implements Conn: the server reads for us.
func (r *Responder) Read(func([]byte)) bool { return false }

// Framing implements Conn: it is the server's.
func (r *Responder) Framing() Framing { return Plain }

// Kind implements Conn.
func (r *Responder) Kind() Kind { return Handler }

// Finish implements Conn: Serve returns when everything is written.
func (r *Responder) Finish() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.finished = true
	r.settle(nil)
}

// Close implements Conn: Serve returns now; a write that waits is aborted.
func (r *Responder) Close() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return
	}
	r.closed = true
	if r.busy {
		r.out.Abort()
	}
	r.settle(nil)
}
