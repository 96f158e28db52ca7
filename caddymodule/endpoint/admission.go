package endpoint

import (
	"context"
	"net/http"
	"net/url"
	"slices"

	"github.com/seed-078801ba/sidestream/caddymodule/forwardauth"
	"github.com/seed-078801ba/sidestream/stream"
	"github.com/seed-078801ba/sidestream/stream/access"
	"github.com/seed-078801ba/sidestream/stream/event"
)

// admission is what a client may listen to, and by which answers.
type admission struct {
	channels []string
	refused  []string // left out, under `filter intersect`
	grounds  []ground
	user     string
}

// ground is one answer that a stream runs on.
type ground struct {
	question access.Question
	verdict  access.Verdict
}

// who names the client's user for limits, apart from users of other backends;
// empty if the backend has not said whose the client is.
func (ad *admission) who() string {
	if ad.user == "" || len(ad.grounds) == 0 {
		return ""
	}
	return ad.grounds[0].question.Scope + " " + ad.user
}

// admit asks the backend about everything that a stream would listen to.
func (s *Server) admit(ctx context.Context, a *Ask, c *forwardauth.Client) (*admission, *Refusal) {
	q := s.Auth.MayListen(c)
	ad := &admission{}
	verdicts := s.Gate.CheckAll(ctx, q, a.Channels, !s.Intersect)
	re := s.judge(ad, q, a.Channels, verdicts)
	s.noteDenials(ctx, ad, c)
	if re != nil {
		return nil, re
	}
	if !a.Private {
		if s.needsUser() {
			s.identify(ctx, ad, c)
		}
		return ad, nil
	}
	if identity, v := s.identify(ctx, ad, c); v.Outcome != access.Allowed {
		return nil, refusalOf(v, false)
	} else if v.User != "" {
		ad.grounds = append(ad.grounds, ground{identity, v})
	}
	if ad.user == "" {
		return nil, refusedIdentity
	}
	ad.channels = append(ad.channels, event.UserChannel(ad.user))
	return ad, nil
}

// needsUser tells whether it makes a difference whose a stream is: for what is
// shown of the past, for whom a revocation concerns, and for who is there.
func (s *Server) needsUser() bool {
	return s.Revocable || s.Presence != nil || s.Auth.Shows() == forwardauth.ShownSinceJoin
}

// identify asks who the client is, if the answers about channels have not said
// so and there is such a question. The verdict is Allowed with no user where it
// was not asked.
func (s *Server) identify(ctx context.Context, ad *admission, c *forwardauth.Client) (access.Question, access.Verdict) {
	q := s.Auth.WhoIs(c)
	if ad.user != "" || !s.Auth.AsksIdentity() {
		return q, access.Verdict{Outcome: access.Allowed}
	}
	v := s.Gate.Check(ctx, q)
	if v.Outcome == access.Allowed {
		ad.user = v.User
	}
	return q, v
}

// noteDenials remembers that rights have ended, where that bounds what is shown
// of the past. An answer that denies seldom says whom; somebody must have said
// so before, or say so now.
func (s *Server) noteDenials(ctx context.Context, ad *admission, c *forwardauth.Client) {
	if len(ad.refused) == 0 || s.Auth.Shows() != forwardauth.ShownSinceJoin {
		return
	}
	user := ad.user
	if user == "" {
		user = s.Gate.User(c.Inputs())
	}
	if user == "" && s.Auth.AsksIdentity() {
		user = s.Gate.Check(ctx, s.Auth.WhoIs(c)).User
	}
	for _, channel := range ad.refused {
		s.Hub.RightEnded(user, channel)
	}
}

// shown is how much of the past the client may be shown.
func (s *Server) shown(ctx context.Context, ad *admission) (*stream.Shown, error) {
	switch s.Auth.Shows() {
	case forwardauth.ShownSinceJoin:
		return s.Hub.ShowSince(ctx, ad.user, ad.channels)
	case forwardauth.ShownNothing:
		return s.Hub.ShowNothing(ad.channels), nil
	}
	return nil, nil
}

// judge goes through the verdicts on the channels that were asked for.
func (s *Server) judge(ad *admission, q access.Question, channels []string, verdicts []access.Verdict) *Refusal {
	var no, unsure *access.Verdict
	for i := range verdicts {
		v := &verdicts[i]
		switch {
		case v.Cause == access.BadCredential:
			return refusedLogin
		case v.Outcome == access.Denied:
			no = v
			ad.refused = append(ad.refused, channels[i])
			continue
		case v.Outcome != access.Allowed:
			unsure = v
			continue
		}
		if v.User != "" {
			if ad.user != "" && ad.user != v.User {
				return refusedAccess // one credential, two users: not to be trusted
			}
			ad.user = v.User
		}
		ground := ground{q, *v}
		ground.question.Channel = channels[i]
		ad.channels, ad.grounds = append(ad.channels, channels[i]), append(ad.grounds, ground)
	}
	switch {
	case no != nil && (!s.Intersect || len(ad.refused) == len(channels)):
		// Of several, none is named: it is not for this client to know.
		if len(channels) > 1 && !s.Hide {
			return refusedAccess
		}
		return refusalOf(*no, s.Hide)
	case unsure != nil:
		return refusalOf(*unsure, s.Hide)
	}
	return nil
}

// refusalOf is what a client is told of a verdict that does not allow.
func refusalOf(v access.Verdict, hide bool) *Refusal {
	switch v.Cause {
	case access.BadCredential:
		return refusedLogin
	case access.Blocked:
		return tooMany("bad-credentials", true, v.RetryAfter)
	case access.NotFound:
		return refusedUnknown
	case access.Forbidden, access.IdentityChanged:
		if hide {
			return refusedUnknown
		}
		return refusedAccess
	}
	return unavailable(v.RetryAfter)
}

// credentialOf reads who asks. Where nobody is asked about, nothing is read.
func (s *Server) credentialOf(r *http.Request, policy *Origins) (forwardauth.Credential, *Refusal) {
	c, err := s.Auth.Credential(r)
	s.Trace.presented(c.String())
	switch {
	case err != nil:
		return c, badRequest(err.Error())
	case c.Ambient() && policy.foreign(r):
		return c, refusedOrigin
	case c.IsZero() && !s.Auth.Anonymous() && !s.Auth.None():
		return c, refusedLogin
	}
	return c, nil
}

// escapedNames lists channel names for a header.
func escapedNames(names []string) string {
	escaped := make([]byte, 0, 64)
	for i, name := range slices.Sorted(slices.Values(names)) {
		if i > 0 {
			escaped = append(escaped, ", "...)
		}
		escaped = append(escaped, url.QueryEscape(name)...)
	}
	return string(escaped)
}
