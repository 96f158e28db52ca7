package stream

import (
	"context"

	"github.com/seed-078801ba/sidestream/stream/access"
)

// Door lets one client in: the client once, with its ticket, and then each
// channel as it joins it. A right that is lost while it lasts is told. A stream
// that has its channels for life and a session that joins one after the other
// use it alike.
//
// A Door outlives configurations. All methods are safe for concurrent use.
type Door struct {
	gate    *access.Gate
	ticket  *Ticket
	session *access.Session
}

// NewDoor makes the door of a client that was admitted. Whoever owns the ticket
// releases it; the door only has channels counted with it. onEnd is told of each
// right that is lost, as access.Session says.
func NewDoor(gate *access.Gate, ticket *Ticket, onEnd access.OnEnd) *Door {
	return &Door{gate: gate, ticket: ticket, session: gate.NewSession(onEnd)}
}

// Ask asks the backend whether the client may have a channel, and has it counted
// and watched if so. The error is a *LimitError: the client may have the channel,
// and there is no room.
func (d *Door) Ask(ctx context.Context, q access.Question) (access.Verdict, error) {
	v := d.gate.Check(ctx, q)
	if v.Outcome != access.Allowed {
		return v, nil
	}
	if err := d.ticket.Grant(q.Channel); err != nil {
		return v, err
	}
	d.Enter(q.Channel, q, v)
	return v, nil
}

// Enter watches the right to a channel, which was asked for and given by v, until
// the client leaves it. The channel was counted, if it counts. It need not be the
// question's: a private channel stands on the answer to who somebody is.
func (d *Door) Enter(channel string, q access.Question, v access.Verdict) {
	d.session.Add(channel, q, v)
}

// Leave ends the interest in a channel. Its count is given back by the stream or
// the reader that leaves it.
func (d *Door) Leave(channel string) { d.session.Remove(channel) }

// Close ends the interest in all channels. Idempotent.
func (d *Door) Close() { d.session.Close() }
