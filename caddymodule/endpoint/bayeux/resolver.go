package bayeux

import (
	"context"

	"github.com/valyala/fastjson"

	"github.com/seed-078801ba/sidestream/caddymodule/endpoint"
	"github.com/seed-078801ba/sidestream/caddymodule/forwardauth"
)

// Target is what stands behind the name that a client calls a channel by.
type Target struct {
	// Channel is the channel of the hub, or a stream.Pattern's text.
	Channel string
	// Pattern: it is for all channels that match. Then the name is a pattern, too,
	// and both have the same ending.
	Pattern bool
	// Right is the channel of the hub that the backend is asked about, and that
	// limits count. Empty if to know the name is the right.
	Right string
}

// Resolver knows what clients may call channels. It is safe for concurrent use, does
// not wait, and holds no state.
type Resolver interface {
	// Resolve says what stands behind a name, or a pattern, that the grammar allows.
	// known is false if the name is none of this Resolver's. The error is for the
	// client.
	Resolve(name string, pattern bool) (t Target, known bool, err *Error)
}

// resolve asks the Resolvers in order. A name that nobody knows is answered as one
// that is forbidden: which there are is not for everybody to know.
func (e *bayeux) resolve(name string) (Target, *Error) {
	pattern := validPattern(name)
	switch {
	case !pattern && !validName(name):
		return Target{}, errInvalid(name)
	case isMeta(name) || isService(name):
		return Target{}, errForbidden(name)
	}
	for _, r := range e.resolvers {
		if t, known, err := r.Resolve(name, pattern); known {
			return t, err
		}
	}
	return Target{}, errForbidden(name)
}

// Caller is who sends a message, and by which site it came.
type Caller struct {
	Server *endpoint.Server
	Client *forwardauth.Client
}

// Extension sees what clients say in ext, and answers there. Each method appends the
// members that the reply's ext gets, as JSON without braces. They may wait for as long
// as ctx lasts, and are called for one message of a session at a time.
type Extension interface {
	// Handshake is called for a new session, which nobody else has yet.
	Handshake(ctx context.Context, c *Caller, s *Session, ext *fastjson.Value, reply []byte) []byte
	// Subscribed is called when channels, by the client's names, were joined, and
	// before anything of them was given to the client.
	Subscribed(ctx context.Context, c *Caller, s *Session, names []string, ext *fastjson.Value, reply []byte) []byte
}
