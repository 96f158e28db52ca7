package bayeux

import (
	"errors"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/seed-078801ba/sidestream/caddymodule/endpoint"
	"github.com/seed-078801ba/sidestream/caddymodule/forwardauth"
	"github.com/seed-078801ba/sidestream/stream"
)

// Session is one client: whose it is, what it has subscribed to, and how far it has
// got. All methods are safe for concurrent use.
type Session struct {
	id       string
	registry *registry
	page     string // the origin of the page that it belongs to, if it is another site's
	anyPage  bool   // nobody has said yet which page that is
	address  netip.Addr
	memory   endpoint.Hub // remembers when a right ended; nil where nobody needs that

	pushing atomic.Bool // what has come is being looked for
	again   atomic.Bool // and has to be once more

	saved   atomic.Int64 // when its record was written, in nanoseconds since 1970; 0 if never
	unsaved atomic.Bool  // something has changed since

	// restored is closed when a session that is taken up has all that it had; nil if it
	// began here.
	restored chan struct{}

	mu        sync.Mutex
	client    *forwardauth.Client
	user      string // as the backend calls it, once it has
	reader    *stream.Reader
	past      *past // is given first
	replays   bool  // messages have a replay id
	ticket    *stream.Ticket
	door      *stream.Door
	subs      []subscription
	ended     []string // names of subscriptions that the backend has ended, to be told
	acks      bool     // the client acknowledges, see ack.go
	batch     uint64   // of the last reply with events
	steps     uint64   // how often the session has moved: what was taken before is stale
	given     *given   // what the last connect was answered with; nil if that was nothing
	confirmed uint64   // the batch that the client has acknowledged
	earlier   []*given // that were not acknowledged before it
	lastID    []byte   // of the last connect
	otherID   []byte   // of the last message that was none
	held      *poll
	push      *push       // the connection that is written to, if there is one
	source    *push       // an EventSource that is open, also while a poll is held instead
	expiry    *time.Timer // while no connect is held
	expire    time.Duration
	closed    bool
}

// What ends a poll before its time.
var (
	errReplaced = errors.New("another connect has taken its place")
	errTold     = errors.New("there is something to be told")
	errLeft     = errors.New("the client has left")
	errTime     = errors.New("it was held for long enough")
	errMoved    = errors.New("another node has the session now")
	errEnding   = errors.New("the server ends")
)

// ID is the client's id: a secret, which nobody but the client may learn.
func (s *Session) ID() string { return s.id }

// belongsTo tells whether a message is of the client that the session is of, and of
// the same page. A client that could not say who it is in its handshake, because a
// script element sends no headers, may do so before it has subscribed to anything.
// What proves nothing is let in by the id: a browser's WebSocket sends no headers.
func (s *Session) belongsTo(c *forwardauth.Client, page string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if page != "" && s.anyPage {
		s.page, s.anyPage = page, false
	}
	switch {
	case page != "" && s.page != page:
		return false
	case c.Credential.IsZero():
		return true
	case s.client.Credential.IsZero() && len(s.subs) == 0:
		s.client = c
		return true
	}
	return s.client.Digest(s.id) == c.Digest(s.id)
}

// who is the client as it has shown itself with the most that it can.
func (s *Session) who() *forwardauth.Client {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.client
}

// whose is the client's user; empty while the backend has not said.
func (s *Session) whose() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.user
}

// identify notes the client's user.
func (s *Session) identify(user string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.user == "" {
		s.user = user
	}
}

// note remembers the id of a message that is no connect: where a connect has the same
// one, the client's ids tell nothing.
func (s *Session) note(id []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.otherID = id
}

// count is how many subscriptions there are.
func (s *Session) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.subs)
}

// Close ends the session, and what is kept of it: a connect that is held is answered,
// and its channels are left. Idempotent.
func (s *Session) Close() {
	if hub := s.registry.keeper(); hub != nil && s.isHere() {
		hub.KeepRecord(recordID(s.id), nil, time.Time{})
	}
	s.close()
}

// close ends the session on this node.
func (s *Session) close() {
	s.registry.remove(s)
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return
	}
	s.closed = true
	if s.expiry != nil {
		s.expiry.Stop()
	}
	if s.held != nil {
		s.held.cancel(errLeft)
	}
	if s.push != nil {
		s.endPush()
	}
	if s.source != nil {
		if open := s.source.stream.Load(); open != nil {
			open.End(stream.ClientLeft)
		}
	}
	s.subs = nil
	s.endPast()
	s.mu.Unlock()
	s.door.Close()
	s.reader.Close()
	s.ticket.Release()
}
