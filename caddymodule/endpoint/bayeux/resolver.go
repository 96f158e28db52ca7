package bayeux

import (
	"context"
	"strings"
	"time"

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
	// Past is how much of the past is asked for, by a name of its own; 0 if it is the
	// channel itself.
	Past time.Duration
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
	channel, past := name, time.Duration(0)
	if stem, _ := patternStem(name); pattern && strings.HasSuffix(stem+"/", catchUpPart) && e.catchesUp(name) {
		return Target{}, errUnknownChannel(name) // nothing is ever said there
	}
	if base, long, asks := cutCatchUp(name); asks && e.catchesUp(base) {
		if long == 0 || long > e.catchUp {
			return Target{}, errUnknownChannel(name)
		}
		channel, past = base, long
	}
	for _, r := range e.resolvers {
		if t, known, err := r.Resolve(channel, pattern); known {
			if err != nil && channel != name {
				err = errForbidden(name)
			}
			t.Past = past
			return t, err
		}
	}
	return Target{}, errForbidden(name)
}

// catchesUp tells whether the past of a channel can be asked for: where that is
// configured. For signed names that form is kept in any case.
func (e *bayeux) catchesUp(channel string) bool {
	root, _, _ := strings.Cut(channel[1:], "/")
	return e.catchUp > 0 || e.objects != nil && isRoot(root)
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
