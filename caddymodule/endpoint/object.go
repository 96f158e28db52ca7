package endpoint

import (
	"context"

	"github.com/seed-078801ba/sidestream/caddymodule/endpoint/signed"
	"github.com/seed-078801ba/sidestream/caddymodule/forwardauth"
	"github.com/seed-078801ba/sidestream/stream/access"
)

// Signer is a Kind whose clients know objects of the app by signed names.
type Signer interface {
	Kind
	// SignedBy are the secrets, as the configuration has them; none if there are
	// no signed names.
	SignedBy() []string
	// Objects are the kinds of objects, and for each what is requested of the
	// backend to find out who may see one; empty if nobody can ask.
	Objects() map[string]string
	// Announces are the pages of the app, by the kind of object, to whose answers the
	// signed name is added, and where the endpoint is that is told there: a url, or
	// else a path.
	Announces() (pages map[string]string, url, path string)
}

// Objects are the objects of a site's backend.
type Objects struct {
	*signed.Roots
	// Asks says how the backend is asked about an object, by its kind.
	Asks map[string]*forwardauth.Auth
	// Announced, URL and Path are what Signer.Announces says.
	Announced map[string]string
	URL, Path string
}

// MaySee asks the backend whether a client may see an object. known is false if
// nobody can ask about objects of this kind.
func (s *Server) MaySee(ctx context.Context, o *Objects, client *forwardauth.Client, kind, id string) (re *Refusal, known bool) {
	auth := o.Asks[kind]
	switch {
	case auth == nil:
		return refusedUnknown, false
	case auth.None():
		return nil, true
	case client.Credential.IsZero() && !auth.Anonymous():
		return refusedLogin, true
	}
	q := auth.MayListen(client)
	q.Channel = id
	if v := s.Gate.Check(ctx, q); v.Outcome != access.Allowed {
		return refusalOf(v, s.Hide), true
	}
	return nil, true
}
