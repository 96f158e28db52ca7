package endpoint

import (
	"github.com/seed-078801ba/sidestream/caddymodule/forwardauth"
	"github.com/seed-078801ba/sidestream/stream"
	"github.com/seed-078801ba/sidestream/stream/access"
	"github.com/seed-078801ba/sidestream/stream/event"
)

// watch ties an open stream to the answers that it runs on: when one of them
// changes, the stream, or its part of it, ends. It holds nothing of a
// configuration.
type watch struct {
	door      *stream.Door
	stream    *stream.Stream
	intersect bool // a channel that is denied leaves the others
	rights    Hub  // remembers when a right ended; nil where nobody needs that
	user      string
	there     *attendance // nil where nobody is told who is there
}

func newWatch(g *forwardauth.Gate, t *stream.Ticket, intersect bool) *watch {
	w := &watch{intersect: intersect}
	w.door = stream.NewDoor(g.Gate, t, w.end)
	return w
}

// begin begins to ask again. It is called when the stream is attached; if the
// stream has ended by then, there is nothing to watch.
func (w *watch) begin(s *stream.Stream, ad *admission) {
	w.stream = s
	for _, g := range ad.grounds {
		channel := g.question.Channel
		if channel == "" && ad.user != "" {
			channel = event.UserChannel(ad.user) // what stands on the answer about identity
		}
		w.door.Enter(channel, g.question, g.verdict)
	}
	w.there.begin(s)
}

// end is called by the gate when an answer has changed.
func (w *watch) end(channel string, cause access.Cause, left int) {
	reason := stream.Denied
	switch cause {
	case access.GraceOver, access.Unavailable:
		reason = stream.AccessUnknown
	case access.Forbidden, access.NotFound:
		if w.rights != nil {
			w.rights.RightEnded(w.user, channel)
		}
	}
	// The private channel stands on the others' answers if nothing else: it
	// goes with the last of them.
	if w.intersect && cause != access.IdentityChanged && left > 0 {
		w.there.leave(channel)
		w.stream.Drop(channel, reason)
		return
	}
	w.stream.End(reason)
}

// close is called by a shard when the stream has ended.
func (w *watch) close(stream.Closed) {
	w.door.Close()
	w.there.end()
}
