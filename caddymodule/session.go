package caddymodule

import (
	"sync"
	"sync/atomic"

	"github.com/seed-078801ba/sidestream/stream"
	"github.com/seed-078801ba/sidestream/stream/access"
	"github.com/seed-078801ba/sidestream/stream/event"
)

// session ties an open stream to the answers that it runs on: when one of them
// changes, the stream, or its part of it, ends. It holds nothing of a
// configuration.
type session struct {
	gate *pooledGate

	mu       sync.Mutex
	watchers []*access.Watcher
	closed   bool

	left      atomic.Int32 // answers that still allow
	intersect bool         // a channel that is denied leaves the others
}

// watch begins to ask again. It is called when the stream is attached; if the
// stream has ended by then, there is nothing to watch.
func (se *session) watch(s *stream.Stream, ad *admission) {
	se.mu.Lock()
	defer se.mu.Unlock()
	if se.closed {
		return
	}
	se.left.Store(int32(len(ad.grounds)))
	se.watchers = make([]*access.Watcher, 0, len(ad.grounds))
	for _, g := range ad.grounds {
		channel := g.question.Channel
		if channel == "" && ad.user != "" {
			channel = event.UserChannel(ad.user) // what stands on the answer about identity
		}
		se.watchers = append(se.watchers, se.gate.Watch(g.question, g.verdict, func(cause access.Cause) {
			se.end(s, channel, cause)
		}))
	}
}

// end is called by the gate when an answer has changed.
func (se *session) end(s *stream.Stream, channel string, cause access.Cause) {
	reason := stream.Denied
	switch cause {
	case access.GraceOver, access.Unavailable:
		reason = stream.AccessUnknown
	}
	// The private channel stands on the others' answers if nothing else: it
	// goes with the last of them.
	if se.intersect && cause != access.IdentityChanged && se.left.Add(-1) > 0 {
		s.Drop(channel, reason)
		return
	}
	s.End(reason)
}

// close is called by a shard when the stream has ended.
func (se *session) close(stream.Closed) {
	se.mu.Lock()
	defer se.mu.Unlock()
	se.closed = true
	for _, w := range se.watchers {
		w.Release()
	}
	se.watchers = nil
}
