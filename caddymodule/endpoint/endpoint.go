package endpoint

import (
	"context"
	"net/http"

	"github.com/seed-078801ba/sidestream/stream"
	"github.com/seed-078801ba/sidestream/stream/format"
	"github.com/seed-078801ba/sidestream/stream/presence"
)

// Endpoint is one kind of client. It is a Streaming, a Sessions or an Answering.
// Safe for concurrent use.
type Endpoint interface {
	// Claims tells whether a request is for this endpoint, by its line and
	// method alone. What nobody claims is the next handler's.
	Claims(line Line, r *http.Request) Claim
}

// Streaming is an endpoint each of whose requests opens one stream, for life. It
// holds no state.
type Streaming interface {
	Endpoint
	// Ask reads what a claimed request wants. The Format of the Ask is set also
	// when it is refused, so that the refusal is in the right language.
	Ask(line Line, r *http.Request) (Ask, *Refusal)
	// Explain makes the body of a refusal, in the client's language.
	Explain(re *Refusal) (contentType, body string)
	// Realm is what a client that is no browser is asked to log in to.
	Realm() string
	// AnyOrigin tells whether web pages of all origins may stream with a token
	// that they hold, where nothing is configured: as the API that it speaks
	// allowed.
	AnyOrigin() bool
}

// Sessions is an endpoint whose clients speak a protocol of their own, over
// several requests or in both directions.
type Sessions interface {
	Endpoint
	// Serve serves a request that it has claimed. The server has the hub, the gate
	// before it, and the way to take over a connection. wait is as that of Attach.
	Serve(w http.ResponseWriter, r *http.Request, line Line, s *Server) (wait func(context.Context))
}

// Masking is an endpoint whose clients have secrets in the address, beside those of
// auth.
type Masking interface {
	Endpoint
	// Mask hides them from an address, path and query, for the access log.
	Mask(uri string) string
}

// Claim is what an endpoint says of a request.
type Claim uint8

const (
	NotOurs  Claim = iota // it is the next handler's
	Ours                  // a stream, a preflight, or a method that is refused
	Crooked               // would be ours if its line were canonical: refused
	Declined              // ours by path, with a method that only streams may not have
)

// Ask is what a request for a stream wants.
type Ask struct {
	Format format.Format
	// Channels are valid names, in the client's spelling, without repetitions.
	Channels []string
	// Private asks for the user's private channel as well.
	Private bool
	From    stream.From
	// State is how the client wants to be shown to be there, if it is shown.
	State presence.State
	// Presence: the client wants to be told who is there.
	Presence bool
}
