package conn

import (
	"context"
	"io"
	"sync"
)

// Duplex is a Responder whose peer speaks: where a connection cannot be read
// without waiting, a goroutine of its own reads, as fast as the shard takes it. So
// it is for a WebSocket over HTTP/2 or HTTP/3, in the body of the request.
type Duplex struct {
	*Responder
	in       io.Reader
	framing  Framing
	arrivals arrivals
	room     chan struct{} // told when the shard has taken what was read
	over     chan struct{} // closed with the connection
	close    sync.Once
	unwanted int
}

// NewDuplex makes the Conn of a handler's goroutine, which then calls Serve, on
// which messages go in this framing. What reads from in has to end when the handler
// does.
func NewDuplex(out Flusher, in io.Reader, f Framing) *Duplex {
	return &Duplex{
		Responder: NewResponder(out), in: in, framing: f,
		room: make(chan struct{}, 1), over: make(chan struct{}),
	}
}

// Framing implements Conn.
func (d *Duplex) Framing() Framing { return d.framing }

// Watch implements Conn.
func (d *Duplex) Watch(p *Poller, token Token) error {
	if err := d.Responder.Watch(p, token); err != nil {
		return err
	}
	go d.readAll() // ends when in does: with the handler
	return nil
}

// readAll reads until the peer has ended, or the connection is given up.
func (d *Duplex) readAll() {
	b := make([]byte, readPiece)
	for {
		n, err := d.in.Read(b)
		room := d.arrivals.add(b[:n])
		if err != nil {
			d.arrivals.end()
		}
		d.p.report(Event{Token: d.token, Readable: true})
		if err != nil {
			return
		}
		for !room {
			select {
			case <-d.room:
				room = d.arrivals.add(nil)
			case <-d.over:
				return
			}
		}
	}
}

// Read implements Conn.
func (d *Duplex) Read(take func([]byte)) (gone bool) {
	_, ended := d.arrivals.take(func(b []byte) {
		if take != nil {
			take(b)
		} else {
			d.unwanted += len(b)
		}
	})
	select {
	case d.room <- struct{}{}:
	default:
	}
	return ended || d.unwanted > unwantedLimit
}

// Serve is Responder's. What waits for room in the shard does so no longer.
func (d *Duplex) Serve(ctx context.Context) {
	defer d.close.Do(func() { close(d.over) })
	d.Responder.Serve(ctx)
}

// Close implements Conn.
func (d *Duplex) Close() {
	d.Responder.Close()
	d.close.Do(func() { close(d.over) })
}
