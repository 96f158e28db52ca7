package bayeux

import "context"

// publish answers what a client says to a channel. Sidestream makes no messages.
func (x *exchange) publish(_ context.Context, m *message) {
	switch {
	case m.Get("data") == nil:
		x.fail(m, errMissing("data"))
	default:
		x.fail(m, errForbidden(m.channel))
	}
}
