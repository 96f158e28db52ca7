package conn

import (
	"context"
	"net"
	"time"
)

// routine is a Duplex over a hijacked connection that offers no socket: with a
// goroutine to write and one to read.
type routine struct {
	*Duplex
	nc net.Conn
}

func newRoutine(nc net.Conn, f Framing) *routine {
	return &routine{NewDuplex(plain{nc}, nc, f), nc}
}

// Kind implements Conn.
func (r *routine) Kind() Kind { return Goroutine }

// plain is a connection that sends on what is written at once.
type plain struct{ net.Conn }

func (plain) Flush() error { return nil }
func (c plain) Abort()     { c.SetWriteDeadline(time.Unix(1, 0)) }

// Break implements Flusher: the connection is closed anyway.
func (plain) Break() {}

func (r *routine) Watch(p *Poller, token Token) error {
	if err := r.Responder.Watch(p, token); err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(context.Background())
	go func() { // ends when the peer goes, or nc is closed
		defer cancel()
		r.readAll()
	}()
	go func() { // ends with the stream, see Serve
		defer r.nc.Close()
		r.Responder.Serve(ctx)
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
	r.Duplex.Close()
	r.nc.Close()
}
