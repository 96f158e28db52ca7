package conn

import (
	"context"
	"io"
	"net"
	"sync"
	"time"
)

// Responder writes from a goroutine that its owner lends it: that of an HTTP
// handler, for protocols whose streams cannot be taken out of the server
// (HTTP/2, HTTP/3). Each buffer is written and flushed on its own, so that a
// message stays one DATA frame.
//
// Shard and goroutine hand the work back and forth: Write is refused (0 bytes
// taken) until the goroutine has written everything it was given.
type Responder struct {
	kind    Kind
	chunked bool
	out     Flusher
	p       *Poller
	token   Token
	signal  chan struct{}

	mu       sync.Mutex
	work     [][]byte
	busy     bool
	finished bool // write what there is, then end
	closed   bool // end now
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
}

// NewResponder makes the Conn of a handler's goroutine, which then calls Serve.
func NewResponder(out Flusher) *Responder {
	return &Responder{kind: Handler, out: out, signal: make(chan struct{}, 1)}
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

// Write implements Conn.
func (r *Responder) Write(bufs [][]byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.ended || r.closed || r.finished {
		return 0, net.ErrClosed
	}
	if r.busy {
		return 0, nil
	}
	r.work = append(r.work[:0], bufs...)
	r.busy = true
	r.wake()
	return size(bufs), nil
}

func (r *Responder) wake() {
	select {
	case r.signal <- struct{}{}:
	default:
	}
}

// Serve writes until the stream is finished or closed by its shard, the peer
// has gone (ctx), or a write fails. It is called once, by the goroutine that
// may use the Flusher; afterwards the Flusher is not touched any more.
func (r *Responder) Serve(ctx context.Context) {
	defer r.end()
	for {
		select {
		case <-ctx.Done():
			return
		case <-r.signal:
			if !r.write() {
				return
			}
		}
	}
}

// write writes what the shard has given; false if that was the last.
func (r *Responder) write() bool {
	work, last, closed := r.next()
	if closed {
		return false
	}
	for _, b := range work {
		if _, err := r.out.Write(b); err != nil {
			return false
		}
		if err := r.out.Flush(); err != nil {
			return false
		}
	}
	if last {
		return false
	}
	r.written()
	return true
}

func (r *Responder) next() (work [][]byte, last, closed bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.work, r.finished, r.closed
}

// written tells the shard that more may come, if it had given work.
func (r *Responder) written() {
	r.mu.Lock()
	defer r.mu.Unlock()
	clear(r.work) // the bytes are shared: a slow stream must not keep them
	r.work = r.work[:0]
	if r.finished {
		r.wake() // it was finished while we wrote
	}
	if r.busy {
		r.busy = false
		if r.p != nil {
			r.p.report(Event{Token: r.token, Writable: true})
		}
	}
}

func (r *Responder) end() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.ended, r.work = true, nil
	if r.p != nil {
		r.p.report(Event{Token: r.token, Gone: true})
	}
}

// Discard implements Conn: the server reads for us.
func (r *Responder) Discard() bool { return false }

// Chunked implements Conn.
func (r *Responder) Chunked() bool { return r.chunked }

// Kind implements Conn.
func (r *Responder) Kind() Kind { return r.kind }

// Finish implements Conn: Serve returns when everything is written.
func (r *Responder) Finish() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.finished = true
	r.wake()
}

// Close implements Conn: Serve returns now, even out of a write that waits.
func (r *Responder) Close() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return
	}
	r.closed = true
	r.wake()
	if !r.ended && r.busy {
		r.out.Abort()
	}
}

// routine is a Responder over a hijacked connection that offers no socket:
// with a goroutine to write and one to see the peer go.
type routine struct {
	*Responder
	nc net.Conn
}

func newRoutine(nc net.Conn, chunked bool) *routine {
	r := &routine{Responder: NewResponder(plain{nc}), nc: nc}
	r.kind, r.chunked = Goroutine, chunked
	return r
}

// plain is a connection that sends on what is written at once.
type plain struct{ net.Conn }

func (plain) Flush() error { return nil }
func (c plain) Abort()     { c.SetWriteDeadline(time.Unix(1, 0)) }

func (r *routine) Watch(p *Poller, token Token) error {
	if err := r.Responder.Watch(p, token); err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(context.Background())
	go func() { // ends when the peer goes, sends a flood, or nc is closed
		defer cancel()
		io.CopyN(io.Discard, r.nc, discardLimit)
	}()
	go func() { // ends with the stream, see Serve
		defer r.nc.Close()
		r.Serve(ctx)
		if w, ok := r.nc.(interface{ CloseWrite() error }); ok {
			w.CloseWrite()
			r.nc.SetReadDeadline(time.Now().Add(lingerWait))
			<-ctx.Done()
		}
	}()
	return nil
}

// lingerWait is how long a finished connection waits for its peer to close:
// closing over bytes that were never read would make the kernel throw away
// what the peer has not taken yet.
const lingerWait = 2 * time.Second

func (r *routine) Close() {
	r.Responder.Close()
	r.nc.Close()
}
