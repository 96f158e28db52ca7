package bayeux

import (
	"context"
	"net/http"
	"time"

	"github.com/seed-078801ba/sidestream/caddymodule/endpoint"
	"github.com/seed-078801ba/sidestream/caddymodule/forwardauth"
)

// exchange is one request, or one frame: messages and the replies to them.
type exchange struct {
	*bayeux
	server   *endpoint.Server
	registry *registry
	w        http.ResponseWriter
	r        *http.Request
	page     string // the origin of the page of another site that sends it, if one does
	arrived  time.Time
	client   *forwardauth.Client
	replies  replies
	// together: the connect has company, and so does not keep its replies waiting.
	together bool
	socket   *socket  // that the messages came over, if it was one
	pending  *connect // that waits there
	// connect waits for what comes, and appends it and the reply; nil if there is
	// nothing to wait for.
	connect func(context.Context)
}

// serve answers the messages of a batch, in order; a connect comes last.
func (x *exchange) serve(ctx context.Context, messages []message) {
	x.arrived = time.Now()
	for i := range messages {
		if messages[i].channel == "/meta/handshake" {
			// It stands alone (Bayeux, 4.1): nothing can be said before it is answered.
			x.handshake(ctx, &messages[i])
			return
		}
	}
	x.together = len(messages) > 1
	var connect *message
	for i := range messages {
		m := &messages[i]
		if m.channel == "/meta/connect" && connect == nil {
			connect = m
			continue
		}
		x.message(ctx, m)
	}
	if connect != nil {
		x.meetConnect(ctx, connect)
	}
}

// message answers one message that is no connect.
func (x *exchange) message(ctx context.Context, m *message) {
	switch {
	case m.channel == "":
		x.fail(m, errBadRequest("Bad request"))
	case !validName(m.channel):
		x.fail(m, errInvalid(m.channel))
	case m.channel == "/meta/connect":
		x.fail(m, errBadRequest("one connect at a time"))
	case m.channel == "/meta/subscribe":
		x.subscribe(ctx, m)
	case m.channel == "/meta/unsubscribe":
		x.unsubscribe(ctx, m)
	case m.channel == "/meta/disconnect":
		x.disconnect(ctx, m)
	case isMeta(m.channel):
		x.fail(m, errForbidden(m.channel))
	default:
		x.publish(ctx, m)
	}
}

// fail answers that a message was in vain. On meta channels, a client that is unknown
// is told to begin anew: without that it would ask again and again.
func (x *exchange) fail(m *message, err *Error) {
	a := reply{channel: m.channel, id: m.id, err: err}
	if err.Code == 401 {
		a.advice = anew()
	}
	x.replies.add(a)
}

// session finds the session that a message is of, and tells the client if there is
// none, or if it is somebody else's.
func (x *exchange) session(ctx context.Context, m *message) *Session {
	if m.clientID == "" {
		x.fail(m, errMissing("clientId"))
		return nil
	}
	s, err, then := x.find(ctx, m.clientID)
	if err != nil {
		if then != nil {
			x.replies.add(reply{channel: m.channel, id: m.id, err: err, advice: then})
		} else {
			x.fail(m, err)
		}
		return nil
	}
	return s
}

// caller is who sends the messages of this exchange.
func (x *exchange) caller() *Caller { return &Caller{Server: x.server, Client: x.client} }
