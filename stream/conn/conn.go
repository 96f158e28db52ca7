// Package conn carries bytes to a client: one small interface over the ways
// in which a response can be written. It knows connections and readiness; it
// knows nothing of events, formats or of what the bytes mean.
//
// A Poller watches the connections of one shard. The methods of all its Conns
// are called one at a time, by whoever does the shard's work.
package conn

// Token is the name under which a Poller reports a Conn. Whoever gives it out
// makes sure that a late report about a closed Conn cannot be mistaken for one
// about its successor.
type Token uint64

// Conn is one client's connection.
type Conn interface {
	// Watch begins to report the connection's readiness to p under the token.
	// It is called once, before anything else.
	Watch(p *Poller, token Token) error

	// Write gives bufs to the peer, in order and in one piece, and never
	// waits. It returns how many bytes were taken. If those are fewer than
	// there are, the Poller reports Writable when it is worth trying again.
	// The bytes must never change afterwards; the slice that holds them may.
	Write(bufs [][]byte) (int, error)

	// Read gives what the peer has sent to take, piece by piece, and never
	// waits. A piece is valid during the call only. It is called when the Poller
	// has reported Readable; and once after Watch by whoever wants to hear the
	// peer, because something may have been read ahead. If there is more than one
	// call takes, the Poller reports Readable again.
	//
	// With a nil take, what was sent is thrown away, and a peer that sends a
	// flood counts as gone. Read returns true when the peer is gone.
	Read(take func(b []byte)) (gone bool)

	// Framing is what has to stand around each message that is written.
	Framing() Framing

	// Kind names the way of writing, for logs and metrics.
	Kind() Kind

	// Finish says that nothing more will be written. The peer still gets what
	// was taken; Gone is reported when it has closed its side.
	Finish()

	// Close gives up the connection and what it holds, at once. Idempotent.
	Close()
}

// Kind is a way of writing.
type Kind string

// The kinds of connections.
const (
	Epoll     Kind = "epoll"     // a socket of ours, non-blocking, no goroutine
	TLS       Kind = "tls"       // the same under TLS; a goroutine only while the peer is slow
	Goroutine Kind = "goroutine" // two goroutines: where a connection gives us no socket
	Handler   Kind = "handler"   // an HTTP handler, whose goroutine waits: HTTP/2 and HTTP/3
)

// Event is what a Poller has to say of one Conn.
type Event struct {
	Token                    Token
	Writable, Readable, Gone bool
}

// Options are the bounds on what a connection may hold back, for all kinds
// that have a socket.
type Options struct {
	// SendBuffer bounds the kernel's send buffer, in bytes (the kernel doubles
	// it for its own bookkeeping). Left alone it grows to some megabytes, and
	// a client that reads nothing looks healthy for minutes. Zero: left alone.
	SendBuffer int
	// UnackedMillis is how long sent bytes may stay unacknowledged before the
	// kernel gives the peer up (TCP_USER_TIMEOUT). Zero: the kernel's default
	// of about a quarter of an hour.
	UnackedMillis int
}

func size(bufs [][]byte) int {
	n := 0
	for _, b := range bufs {
		n += len(b)
	}
	return n
}
