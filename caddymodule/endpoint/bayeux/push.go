package bayeux

import (
	"context"
	"slices"
	"sync/atomic"
	"time"

	"github.com/seed-078801ba/sidestream/stream"
)

// push is a connection that a session writes to as things come: a WebSocket, or an
// EventSource. One batch is on its way at a time; what the connection has not taken
// when it ends is given again elsewhere. While nothing comes it costs no goroutine.
type push struct {
	stream atomic.Pointer[stream.Stream]
	// wrap makes the stream's message of an array of messages.
	wrap func([]byte) []byte
	// answers: connects come over this connection, and are answered here.
	answers bool

	// Guarded by Session.mu.
	connect *connect    // waits for its answer
	due     *time.Timer // of that
	sending bool        // a batch is on its way
}

func (p *push) send(r *replies) {
	if s := p.stream.Load(); s != nil {
		s.Send(p.wrap(r.done()))
	}
}

// bind makes a connection the one that is written to.
func (s *Session) bind(p *push) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return false
	}
	if s.push == p {
		return true
	}
	if s.held != nil {
		s.held.cancel(errReplaced)
		s.held = nil
	}
	s.unbind()
	if s.push = p; !p.answers {
		s.source = p
	}
	s.reader.OnReady(s.ready)
	return true
}

// unbind ends the writing to a connection. Called with mu held.
func (s *Session) unbind() {
	p := s.push
	if p == nil {
		return
	}
	s.reader.OnReady(nil)
	s.push = nil
	if p.connect != nil {
		s.answerConnect(p, nil, nil)
	}
}

// endPush leaves a connection, as a session does that ends: a WebSocket may begin
// another one. Called with mu held.
func (s *Session) endPush() {
	p := s.push
	p.connect = nil
	if p.due != nil {
		p.due.Stop()
	}
	s.unbind()
}

// leavePush unbinds a connection, if the session is bound to it.
func (s *Session) leavePush(p *push) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.push == p {
		s.unbind()
		s.await(s.expire)
	}
}

// released is called when a connection has ended.
func (s *Session) released(p *push) {
	s.mu.Lock()
	defer s.mu.Unlock()
	p.stream.Store(nil)
	if s.source == p {
		s.source = nil
	}
	if s.push == p {
		p.connect = nil
		if p.due != nil {
			p.due.Stop()
		}
		s.unbind()
		s.await(s.expire)
	}
}

// ready has the session look for what has come. It takes no lock, and does not wait.
func (s *Session) ready() {
	s.again.Store(true)
	if s.pushing.CompareAndSwap(false, true) {
		go s.run()
	}
}

func (s *Session) run() {
	for {
		for s.again.Swap(false) {
			if s.unsaved.Swap(false) && !s.save(context.Background()) {
				s.moved()
			}
			s.pushNext()
		}
		s.pushing.Store(false)
		if !s.again.Load() || !s.pushing.CompareAndSwap(false, true) {
			return
		}
	}
}

// now is a context that is done: to take what there is.
var now = func() context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	return ctx
}()

// pushNext writes what has come, unless something is on its way; a client that
// acknowledges gets it with the answer to a connect only.
func (s *Session) pushNext() {
	s.mu.Lock()
	p := s.push
	if p == nil || s.closed || p.sending || s.acks && p.connect == nil {
		s.mu.Unlock()
		return
	}
	ended, moved := slices.Clone(s.ended), s.steps
	s.mu.Unlock()
	// Reading may take a while, if it is the log that is read.
	taken, past, err := s.next(now)
	if err != nil || len(ended) == 0 && len(taken.Entries) == 0 && len(taken.Missing) == 0 {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.push != p || s.closed || p.sending || s.acks && p.connect == nil {
		return
	}
	if s.steps != moved { // what was taken is stale: the client has it
		s.ready()
		return
	}
	s.batch++
	s.give(&given{taken: taken, past: past, batch: s.batch, ended: len(ended), pushed: !s.acks})
	t := &takenFor{Taken: taken, past: past, ended: ended, batch: s.batch}
	if s.acks {
		g := s.given
		s.mu.Unlock()
		here := s.save(context.Background()) // its number is known elsewhere before it is here
		s.mu.Lock()
		if here && s.push == p && !s.closed && p.connect != nil && s.given == g {
			s.answerConnect(p, t, g)
		}
		return
	}
	var r replies
	s.appendTaken(&r, t)
	s.deliver(p, &r, s.given)
}

// deliver sends a batch; when the connection has taken it, the session moves behind
// it, unless the client acknowledges. Called with mu held.
func (s *Session) deliver(p *push, r *replies, g *given) {
	sent := p.stream.Load()
	if sent == nil {
		return
	}
	if len(r.json) > 0 {
		sent.Send(p.wrap(r.done()))
	}
	if g == nil || s.acks {
		return
	}
	p.sending = true
	sent.Then(func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		p.sending = false
		if s.given == g {
			s.confirm(g)
			s.unsaved.Store(true)
		}
		s.ready()
	})
}

// answerConnect answers the connect that waits on a connection, with what was taken
// for it. Called with mu held.
func (s *Session) answerConnect(p *push, t *takenFor, g *given) {
	c := p.connect
	p.connect = nil
	if p.due != nil {
		p.due.Stop()
		p.due = nil
	}
	var r replies
	a := reply{channel: "/meta/connect", id: c.id, client: s.id, advice: c.advice}
	a.ext = s.acknowledge(s.number(t), a.ext)
	a.ext = c.sync.append(a.ext, time.Now())
	r.add(a)
	if t != nil {
		s.appendTaken(&r, t)
	}
	s.deliver(p, &r, g)
	s.await(s.expire)
}

// connectOver has a connect wait on the connection that it came over.
func (s *Session) connectOver(p *push, c *connect) bool {
	if !s.bind(p) {
		return false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed || s.push != p {
		return false
	}
	if p.connect != nil {
		s.answerConnect(p, nil, nil) // it takes the place of the one before
	}
	if !p.sending {
		s.hear(c.id, c.acked)
	}
	s.lastID = c.id
	if s.expiry != nil {
		s.expiry.Stop()
		s.expiry = nil
	}
	p.connect = c
	if c.hold == 0 {
		if !s.acks {
			s.answerConnect(p, nil, nil)
		} else {
			p.due = time.AfterFunc(0, func() { s.connectDue(p, c) })
		}
	} else {
		p.due = time.AfterFunc(c.hold, func() { s.connectDue(p, c) })
	}
	s.ready()
	return true
}

// connectDue answers a connect that has waited for long enough.
func (s *Session) connectDue(p *push, c *connect) {
	s.pushNext() // first what there is
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.push == p && p.connect == c {
		s.answerConnect(p, nil, nil)
	}
}
