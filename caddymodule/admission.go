package caddymodule

import (
	"context"
	"net/http"
	"net/url"
	"slices"

	"github.com/seed-078801ba/sidestream/caddymodule/forwardauth"
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

// admit asks the backend about everything that a stream would listen to.
func (s *Sidestream) admit(ctx context.Context, a *ask, c *forwardauth.Client) (*admission, *refusal) {
	q := s.auth.MayListen(c)
	ad := &admission{}
	verdicts := s.gate.CheckAll(ctx, q, a.channels, s.Auth.Filter != filterIntersect)
	if re := s.judge(ad, q, a.channels, verdicts); re != nil {
		return nil, re
	}
	if !a.private {
		return ad, nil
	}
	if ad.user == "" && s.auth.AsksIdentity() {
		identity := s.auth.WhoIs(c)
		v := s.gate.Check(ctx, identity)
		if v.Outcome != access.Allowed {
			return nil, refusalOf(v, false)
		}
		ad.user = v.User
		ad.grounds = append(ad.grounds, ground{identity, v})
	}
	if ad.user == "" {
		return nil, refusedIdentity
	}
	ad.channels = append(ad.channels, event.UserChannel(ad.user))
	return ad, nil
}

// judge goes through the verdicts on the channels that were asked for.
func (s *Sidestream) judge(ad *admission, q access.Question, channels []string, verdicts []access.Verdict) *refusal {
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
	case no != nil && (s.Auth.Filter != filterIntersect || len(ad.refused) == len(channels)):
		// Of several, none is named: it is not for this client to know.
		if len(channels) > 1 && !s.Auth.Hide {
			return refusedAccess
		}
		return refusalOf(*no, s.Auth.Hide)
	case unsure != nil:
		return refusalOf(*unsure, s.Auth.Hide)
	}
	return nil
}

// refusalOf is what a client is told of a verdict that does not allow.
func refusalOf(v access.Verdict, hide bool) *refusal {
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
func (s *Sidestream) credentialOf(r *http.Request, policy *originPolicy) (forwardauth.Credential, *refusal) {
	c, err := s.auth.Credential(r)
	switch {
	case err != nil:
		return c, badRequest(err.Error())
	case c.Ambient() && policy.foreign(r):
		return c, refusedOrigin
	case c.IsZero() && !s.auth.Anonymous() && !s.auth.None():
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
