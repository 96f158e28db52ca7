package bayeux

import (
	"bytes"
	"context"
	"slices"
	"time"

	"github.com/seed-078801ba/sidestream/stream"
)

// takeEntries bounds the events of one reply. There is more at once if the client
// asks again.
const takeEntries = 128

// given is what a client was sent and has not acknowledged: by ext.ack, or because it
// asked for what comes next.
type given struct {
	taken stream.Taken
	past  *past // that it is of; nil if it is of now
	batch uint64
	ended int // of the names in Session.ended
	// pushed: it was written to a connection that has not taken it all.
	pushed bool
}

// poll is a connect that is held.
type poll struct {
	cancel context.CancelCauseFunc
	id     []byte
}

// begin makes a connect the one that is held; the one before it is answered. What was
// given is behind the client if it asks for what comes next: not with the id of the
// connect before, which it then sends again because it got no answer.
func (s *Session) begin(ctx context.Context, id []byte, acked func(*given) bool) (context.Context, *poll, bool) {
	ctx, cancel := context.WithCancelCause(ctx)
	p := &poll{cancel: cancel, id: id}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		cancel(errLeft)
		return ctx, nil, false
	}
	if s.held != nil {
		s.held.cancel(errReplaced)
	}
	s.unbind()
	s.hear(id, acked)
	s.held, s.lastID = p, id
	if s.expiry != nil {
		s.expiry.Stop()
		s.expiry = nil
	}
	return ctx, p, true
}

// repeats tells whether a connect is the one before, sent again. Ids tell nothing where
// a message that is none has the same. Called with mu held.
func (s *Session) repeats(id []byte) bool {
	return id != nil && bytes.Equal(id, s.lastID) && !bytes.Equal(id, s.otherID)
}

// hear takes from a connect what the client has got. Without acknowledgements, that is
// what the last connect was answered with, unless this one is the last one again; what
// was pushed to a connection that did not take it, the client has not. Called with mu
// held.
func (s *Session) hear(id []byte, acked func(*given) bool) {
	switch g := s.given; {
	case g == nil:
	case s.acks && acked != nil:
		if g = s.acknowledged(acked); g != nil {
			s.confirm(g)
		}
	case !g.pushed && !s.repeats(id):
		s.confirm(g)
	}
}

// give notes what a connect is answered with. Called with mu held.
func (s *Session) give(g *given) {
	if s.given != nil && s.acks {
		if len(s.earlier) == maxEarlier {
			s.earlier = s.earlier[1:]
		}
		s.earlier = append(s.earlier, s.given)
	}
	s.given = g
}

// maxEarlier is how many answers are remembered that were not acknowledged: one that
// is late may have taken the place of the one that the client has got.
const maxEarlier = 8

// acknowledged is the latest of what was given that the client says it has; nil if it
// has none of it. Called with mu held.
func (s *Session) acknowledged(acked func(*given) bool) *given {
	if acked(s.given) {
		return s.given
	}
	for _, g := range slices.Backward(s.earlier) {
		if acked(g) {
			return g
		}
	}
	return nil
}

// confirm moves the session behind what its client has got. Called with mu held.
func (s *Session) confirm(g *given) {
	s.steps++
	if g.past == nil {
		s.reader.Done(g.taken)
	} else if s.past == g.past {
		g.past.reader.Done(g.taken)
		if g.past.ends(g.taken.At.Seq) {
			s.endPast()
		}
	}
	s.ended = slices.Delete(s.ended, 0, min(g.ended, len(s.ended)))
	s.given, s.earlier, s.confirmed = nil, nil, g.batch
}

// takenFor is what a connect is answered with.
type takenFor struct {
	stream.Taken
	past  *past
	ended []string
	batch uint64
}

// any tells whether there is anything.
func (t *takenFor) any() bool {
	return len(t.Entries) > 0 || len(t.Missing) > 0 || len(t.ended) > 0
}

// take waits until there is something for the client, or ctx ends.
func (s *Session) take(ctx context.Context, p *poll) (t takenFor, err error) {
	told := false
	for {
		s.mu.Lock()
		ended, current, moved := slices.Clone(s.ended), s.held == p, s.steps
		s.mu.Unlock()
		if !current {
			return t, nil
		}
		wait := ctx
		if len(ended) > 0 {
			done, cancel := context.WithCancel(ctx)
			cancel()
			wait = done
		}
		t.Taken, t.past, err = s.next(wait)
		t.ended = ended
		if err == nil && s.hasMoved(moved) {
			continue
		}
		if err != nil || len(ended) > 0 || len(t.Entries) > 0 || len(t.Missing) > 0 || context.Cause(ctx) != errTold || told {
			break
		}
		told = true // what it is was not seen yet
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.held != p || s.closed {
		return takenFor{}, nil
	}
	if len(t.Entries) > 0 || len(t.Missing) > 0 || len(t.ended) > 0 {
		s.batch++
		s.give(&given{taken: t.Taken, past: t.past, batch: s.batch, ended: len(t.ended)})
	}
	t.batch = s.batch
	return t, err
}

// hasMoved tells whether the session has moved since.
func (s *Session) hasMoved(since uint64) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.steps != since
}

// finish ends a poll. From now on the client has so long to send the next one.
func (s *Session) finish(p *poll) {
	s.mu.Lock()
	defer s.mu.Unlock()
	p.cancel(nil)
	if s.held == p {
		s.held = nil
		s.await(s.expire)
	}
}

// await has the session end if nothing is heard of its client for so long. Called
// with mu held.
func (s *Session) await(long time.Duration) {
	if s.closed {
		return
	}
	if s.expiry != nil {
		s.expiry.Stop()
	}
	s.expiry = time.AfterFunc(long, func() {
		s.mu.Lock()
		idle := s.held == nil && (s.push == nil || s.push.connect == nil)
		s.mu.Unlock()
		if idle {
			s.Close()
		}
	})
}
