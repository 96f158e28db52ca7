package endpoint

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/seed-078801ba/sidestream/caddymodule/forwardauth"
	"github.com/seed-078801ba/sidestream/stream"
	"github.com/seed-078801ba/sidestream/stream/event"
)

// What endpoints with sessions need: who speaks, from which page, and whether that
// client may join a channel.

// OriginsOf is what the site says of web pages at an endpoint.
func (s *Server) OriginsOf(e Endpoint) *Origins {
	for i := range s.mounted {
		if s.mounted[i].Endpoint == e {
			return s.mounted[i].origins
		}
	}
	return new(Origins)
}

// HeartbeatOf is how often an idle connection of an endpoint is written to.
func (s *Server) HeartbeatOf(e Endpoint) time.Duration {
	for i := range s.mounted {
		if s.mounted[i].Endpoint == e {
			return s.mounted[i].heartbeat
		}
	}
	return time.Minute
}

// Running is an endpoint that outlives its configuration with something. It is told
// that its configuration begins to run, with the server that it belongs to.
type Running interface {
	Endpoint
	Run(s *Server)
}

// Run says that the server's configuration begins to run.
func (s *Server) Run() {
	for i := range s.mounted {
		if e, ok := s.mounted[i].Endpoint.(Running); ok {
			e.Run(s)
		}
	}
}

// Caller reads who sends a request to an endpoint with sessions. Unlike a stream, a
// session may begin without credentials: a channel may need none.
func (s *Server) Caller(r *http.Request, o *Origins) (*forwardauth.Client, *Refusal) {
	credential, err := s.Auth.Credential(r)
	switch {
	case err != nil:
		return nil, badRequest(err.Error())
	case credential.Ambient() && o.foreign(r), o.OtherSite(r) && isBasic(r):
		return nil, refusedOrigin
	}
	client := s.Auth.Client(r, credential)
	client.Address, client.Foreign = s.Address(r), o.OtherSite(r)
	return client, nil
}

// isBasic tells whether a request has a login that browsers add by themselves.
func isBasic(r *http.Request) bool {
	scheme, _, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	return strings.EqualFold(scheme, "basic")
}

// Admits tells whether the page that sends a request, if one does, may use the
// endpoint. Pages of other origins may if they are listed; what a script element
// fetches has no Origin, but mostly a Referer.
func (o *Origins) Admits(r *http.Request) bool {
	if origin := originOf(r); origin != "" {
		if sameOrigin(r, origin) {
			return true
		}
		read, _ := o.allowed(origin)
		return read
	}
	switch r.Header.Get("Sec-Fetch-Site") {
	case "cross-site", "same-site":
		return o.AnyToken || slices.Contains(o.Listed, "*")
	}
	return true
}

// originOf is the origin of the page that sends a request, as far as browsers say.
func originOf(r *http.Request) string {
	if origin := r.Header.Get("Origin"); origin != "" {
		return origin
	}
	scheme, rest, ok := strings.Cut(r.Header.Get("Referer"), "://")
	if !ok {
		return ""
	}
	host, _, _ := strings.Cut(rest, "/")
	return scheme + "://" + host
}

// SameSite tells whether a browser says that the page which sends a request is surely
// of this site. Where it says nothing, it may be of any: script elements send no Origin.
func SameSite(r *http.Request) bool {
	if site := r.Header.Get("Sec-Fetch-Site"); site != "" {
		return site == "same-origin" || site == "none"
	}
	origin := originOf(r)
	return origin != "" && sameOrigin(r, origin)
}

// PageOf is the origin of the page of another origin that sends a request; empty if
// there is none, or it is one of this site.
func PageOf(r *http.Request) string {
	if origin := originOf(r); origin != "" && !sameOrigin(r, origin) {
		return origin
	}
	return ""
}

// Open marks an answer as one that a page of the request's origin may read, also
// where its browser sends what it has for this site: Caller has seen to it that this
// counts for nothing where it may not.
func (o *Origins) Open(h http.Header, r *http.Request) {
	origin := r.Header.Get("Origin")
	if origin == "" {
		return
	}
	h.Add("Vary", "Origin")
	if read, _ := o.allowed(origin); read || sameOrigin(r, origin) {
		h.Set("Access-Control-Allow-Origin", origin)
		h.Set("Access-Control-Allow-Credentials", "true")
	}
}

// Join asks the backend whether a client may listen to channels, has them counted,
// and has the answers watched: all of them or none. Whose the client is, the answer
// may say; somebody else than user, if that is said, is refused.
func (s *Server) Join(ctx context.Context, client *forwardauth.Client, user string, door *stream.Door, ticket *stream.Ticket, channels []string) (string, *Refusal) {
	if client.Credential.IsZero() && !s.Auth.Anonymous() && !s.Auth.None() {
		return user, refusedLogin
	}
	q := s.Auth.MayListen(client)
	strict := Server{Hide: s.Hide}
	ad := &admission{user: user}
	if re := strict.judge(ad, q, channels, s.Gate.CheckAll(ctx, q, channels, true)); re != nil {
		if s.Auth.Shows() == forwardauth.ShownSinceJoin {
			for _, channel := range ad.refused {
				s.Hub.RightEnded(ad.user, channel)
			}
		}
		return user, re
	}
	if s.needsUser() {
		s.identify(ctx, ad, client)
	}
	ticket.Identify(ad.who())
	if err := ticket.Grant(channels...); err != nil {
		return user, refusalOfLimit(err)
	}
	for _, g := range ad.grounds {
		door.Enter(g.question.Channel, g.question, g.verdict)
	}
	return ad.user, nil
}

// Shown is how much of the past a client may be shown of channels, as far as the
// backend shows it to a new member. Channels of objects have no members.
func (s *Server) Shown(ctx context.Context, user string, channels []string) (*stream.Shown, error) {
	rooms := slices.DeleteFunc(slices.Clone(channels), func(name string) bool { return strings.HasPrefix(name, event.ObjectPrefix) })
	return s.shown(ctx, &admission{user: user, channels: rooms})
}

// RemembersRights is the hub if it bounds what is shown of the past by when rights
// ended; otherwise nil.
func (s *Server) RemembersRights() Hub {
	if s.Auth.Shows() == forwardauth.ShownSinceJoin {
		return s.Hub
	}
	return nil
}
