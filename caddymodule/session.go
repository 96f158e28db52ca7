package caddymodule

import (
	"github.com/seed-078801ba/sidestream/stream"
	"github.com/seed-078801ba/sidestream/stream/access"
	"github.com/seed-078801ba/sidestream/stream/event"
)

// session ties an open stream to the answers that it runs on: when one of them
// changes, the stream, or its part of it, ends. It holds nothing of a
// configuration.
type session struct {
	door      *stream.Door
	stream    *stream.Stream
	intersect bool        // a channel that is denied leaves the others
	rights    *stream.Hub // remembers when a right ended; nil where nobody needs that
	user      string
}

func newSession(g *pooledGate, t *stream.Ticket, intersect bool) *session {
	se := &session{intersect: intersect}
	se.door = stream.NewDoor(g.Gate.Gate, t, se.end)
	return se
}

// watch begins to ask again. It is called when the stream is attached; if the
// stream has ended by then, there is nothing to watch.
func (se *session) watch(s *stream.Stream, ad *admission) {
	se.stream = s
	for _, g := range ad.grounds {
		channel := g.question.Channel
		if channel == "" && ad.user != "" {
			channel = event.UserChannel(ad.user) // what stands on the answer about identity
		}
		se.door.Enter(channel, g.question, g.verdict)
	}
}

// end is called by the gate when an answer has changed.
func (se *session) end(channel string, cause access.Cause, left int) {
	reason := stream.Denied
	switch cause {
	case access.GraceOver, access.Unavailable:
		reason = stream.AccessUnknown
	case access.Forbidden, access.NotFound:
		if se.rights != nil {
			se.rights.RightEnded(se.user, channel)
		}
	}
	// The private channel stands on the others' answers if nothing else: it
	// goes with the last of them.
	if se.intersect && cause != access.IdentityChanged && left > 0 {
		se.stream.Drop(channel, reason)
		return
	}
	se.stream.End(reason)
}

// close is called by a shard when the stream has ended.
func (se *session) close(stream.Closed) { se.door.Close() }
