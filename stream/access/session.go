package access

import "sync"

// Session ties what one client listens to to the answers that it stands on.
// What it listens to may grow and shrink while it lasts: a stream adds all of
// its channels at once, a client that speaks adds each one as it joins. All
// methods are safe for concurrent use.
type Session struct {
	gate  *Gate
	onEnd OnEnd

	mu       sync.Mutex
	watchers map[string]*Watcher // by what stands on their answer
	closed   bool
}

// OnEnd is told that an answer allows a channel no more. left is how many other
// channels of the session still stand. It is called from the gate's goroutines,
// once for each channel at most, and must not wait; it may call the session.
type OnEnd func(channel string, cause Cause, left int)

// NewSession makes a session of a client that listens to nothing yet.
func (g *Gate) NewSession(onEnd OnEnd) *Session {
	return &Session{gate: g, onEnd: onEnd, watchers: map[string]*Watcher{}}
}

// Add begins to watch the answer that a channel stands on. v is the verdict that
// Check gave for q. The channel is named apart from the question, because what
// is private to a user stands on the answer to who the client is, which has no
// channel. A channel that is there already stands on the new answer from then
// on. Nothing is added to a session that was closed.
func (s *Session) Add(channel string, q Question, v Verdict) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return
	}
	if old := s.watchers[channel]; old != nil {
		old.Release()
	}
	var w *Watcher
	w = s.gate.Watch(q, v, func(cause Cause) {
		s.mu.Lock()
		if s.closed || s.watchers[channel] != w { // it was removed meanwhile
			s.mu.Unlock()
			return
		}
		delete(s.watchers, channel)
		left := len(s.watchers)
		s.mu.Unlock()
		s.onEnd(channel, cause, left)
	})
	s.watchers[channel] = w
}

// Remove ends the interest in a channel's answer. OnEnd is not called for it any
// more, unless it is being called already.
func (s *Session) Remove(channel string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if w := s.watchers[channel]; w != nil {
		delete(s.watchers, channel)
		w.Release()
	}
}

// Len is how many channels are watched.
func (s *Session) Len() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.watchers)
}

// Close ends all interest. It may be called more than once.
func (s *Session) Close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	for _, w := range s.watchers {
		w.Release()
	}
	s.watchers = nil
}
