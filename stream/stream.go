package stream

import (
	"slices"
	"time"

	"github.com/seed-078801ba/sidestream/stream/conn"
	"github.com/seed-078801ba/sidestream/stream/event"
)

// Stream is one client's open subscription. Everything in it belongs to its
// shard; the methods may be called from anywhere.
type Stream struct {
	shard   *shard
	conn    conn.Conn
	spec    *Spec
	client  *Client
	ticket  *Ticket
	input   Input
	given   map[string]struct{} // see Opening.Given
	onClose func(Closed)
	subs    []subscription
	acts    *acts // what was asked for and waits for its turn; nil if nothing does

	within   event.Epoch  // of the cursor
	began    uint64       // the head when its start was resolved: what was uncertain then was told
	cursor   uint64       // everything up to here was given to the connection,
	rest     []byte       // but for this end of its last message
	page     []*item      // older events, read from the log, up to pageTo
	pageTo   uint64       // where the cursor stands when the page is written
	pageOf   *channel     // whose page it is, and whose cursor, if it is one that is late
	told     uint64       // what is missing up to here needs no signal
	late     int32        // subscriptions that are, see there
	slot     int32        // place in shard.slots
	beat     beatPlace    // place in the shard's wheel of heartbeats
	behind   int32        // place in shard.slow plus one; 0 while the connection takes everything
	state    state        // of its life
	enc      uint8        // number of the encoding in the hub
	framing  conn.Framing // of its messages
	standing bool         // it lives on without a channel
	asked    bool         // a gap signal would be understood
	oldest   bool         // after a gap, go on with the oldest event that is left
	draining bool         // end it, ShuttingDown, as soon as the client has everything
	beating  bool         // it had a heartbeat
	live     bool         // it had caught up with the head once
	unheard  uint8        // pings since the client said something
	left     *Start       // its position, when it had to leave its channels
	reason   CloseReason

	opened    int64  // see now
	wrote     int64  // when its client got something last, no later than it was
	lastTaken int64  // for those behind, see closeSlow; for those that end, their deadline
	events    uint64 // messages delivered
	bytes     uint64 // written
}

type state uint8

const (
	adopting state = iota // not yet known to its shard
	open                  // delivering
	fetching              // waiting for older events
	ending                // in no channel any more; its last bytes wait for the connection
	finished              // nothing more is written; waiting for the peer to close
	gone                  // released
)

// running tells whether the stream has channels, and somebody to tell.
func (s *Stream) running() bool { return s.state == open || s.state == fetching }

// attentive tells whether something can be delivered now.
func (s *Stream) attentive() bool { return s.state == open && s.behind == 0 }

// subscription is a stream's place in one channel.
type subscription struct {
	ch    *channel
	place int // in the shard's roster
	// behind, if it is more than the stream's cursor, is where this channel
	// begins: the client was told that it misses what is before.
	behind uint64
	*past  // of a channel that joined later; otherwise nil
}

// past is what a channel that joined later has said before.
type past struct {
	// upto, if it is more than from, is where the stream's cursor stood when a
	// channel joined that begins before it, at from. Such a channel is late: what
	// it has said between the two is given to the client first. from moves on.
	from, upto uint64
	told       uint64 // what is missing up to here needs no signal
	since      uint64 // where a pattern joined
}

func (sub *subscription) late() bool { return sub.past != nil && sub.from < sub.upto }

// End closes the stream, at the end of a message if the client takes that
// much. Idempotent; it does not wait.
func (s *Stream) End(reason CloseReason) {
	s.shard.post(func() { s.shard.end(s, reason) })
}

// EndWith is End with a word for WebSockets why: the code of the close frame, where
// that says more than the reason.
func (s *Stream) EndWith(reason CloseReason, code conn.CloseCode) {
	s.shard.post(func() { s.shard.concludeWith(s, reason, code) })
}

// Drop takes a channel out of a stream at once, as Leave does; when none is left,
// a stream that is not Standing ends. It does not wait.
func (s *Stream) Drop(channel string, reason CloseReason) {
	s.shard.post(func() {
		if s.shard.leave(s, channel) && len(s.subs) == 0 && !s.standing {
			s.shard.end(s, reason)
		}
	})
}

// encoding is how the stream's messages are written.
func (s *Stream) encoding() encoding { return encoding{s.spec.Format, s.framing} }

func (s *Stream) closed() Closed {
	return Closed{
		Reason: s.reason, Format: s.spec.Format.Name(), Kind: s.conn.Kind(),
		Duration: time.Duration(now() - s.opened), Events: s.events, Bytes: s.bytes, Left: *s.left,
	}
}

// position is where a client goes on that has got what its connection took.
func (s *Stream) position() Start {
	start := Start{Seq: s.cursor, Asked: true, epoch: s.within, oldest: s.oldest}
	for i := range s.subs {
		start.Seq = min(start.Seq, s.at(&s.subs[i]))
	}
	for i := range s.subs {
		if sub := &s.subs[i]; !sub.ch.pattern {
			start.begin(sub.ch.name, s.at(sub))
		}
	}
	return start
}

// at is how far the stream has got in a channel.
func (s *Stream) at(sub *subscription) uint64 {
	if sub.late() {
		return sub.from
	}
	return max(s.cursor, sub.behind)
}

// listensTo tells whether the stream has joined a channel of this name.
func (s *Stream) listensTo(channel string) bool {
	return slices.ContainsFunc(s.subs, func(sub subscription) bool { return !sub.ch.pattern && sub.ch.name == channel })
}

// headCursor is where the stream's client stands, if the stream is at the
// hub's head; otherwise the zero Cursor.
func (s *Stream) headCursor() event.Cursor {
	head := *s.shard.hub.head.Load()
	if head.Epoch != s.within || head.Seq != s.cursor || len(s.page) > 0 || s.late > 0 {
		return event.Cursor{}
	}
	return head
}
