package forwardauth

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"

	"github.com/seed-078801ba/sidestream/stream/access"
	"github.com/seed-078801ba/sidestream/webhook/decode"
)

// Auth asks one backend in one way. Safe for concurrent use.
type Auth struct {
	config  Config // with what its preset says
	scope   string
	backend *Backend

	uri, identity *decode.Template // identity may be nil
	headers, form []fieldTemplate
	translates    bool     // the client's own credential is not sent as it came
	usesPassword  bool     // what is sent or compared has the password in it
	placeholders  []string // of Caddy, that the configuration uses
	allow, deny   []condition
	user, list    *finding // nil if they are not configured

	reports reports
}

// New makes an Auth, or says what is wrong with its configuration. The scope
// names this way of asking: verdicts are shared by all that have the same. The
// backend may be nil where it is not asked: with None, or to check a
// configuration.
func New(c Config, scope string, b *Backend, logger *slog.Logger) (*Auth, error) {
	a := &Auth{config: c, scope: scope, backend: b, reports: reports{logger: logger}}
	if err := a.read(); err != nil {
		return nil, fmt.Errorf("auth: %w", err)
	}
	return a, nil
}

// None tells whether everybody may listen, and nobody is asked.
func (a *Auth) None() bool { return a.config.None }

// Anonymous tells whether the backend is asked also about clients that have no
// credentials.
func (a *Auth) Anonymous() bool { return a.config.Anonymous }

// Ambient tells whether there are credentials that a browser sends by itself,
// whatever page asks: cookies, and what a handler in front of us knows a browser
// by.
func (a *Auth) Ambient() bool {
	return !a.config.None && (len(a.config.Cookies) > 0 || slices.ContainsFunc(a.placeholders, identifies))
}

// Shows is how much of the past the clients are shown: ShownAll, ShownSinceJoin
// or ShownNothing.
func (a *Auth) Shows() string {
	if a.config.HistoryShown == "" {
		return ShownAll
	}
	return a.config.HistoryShown
}

// AsksIdentity tells whether there is a question about who the client is,
// beside those about channels.
func (a *Auth) AsksIdentity() bool { return a.identity != nil }

// NamesUsers tells whether an answer of the backend can say whose a client is.
func (a *Auth) NamesUsers() bool { return a.user != nil || a.config.UserHeader != "" }

// MayListen is the question whether a client may listen; its channel is yet to
// be set.
func (a *Auth) MayListen(c *Client) access.Question {
	q := a.WhoIs(c)
	q.List = a.list != nil
	return q
}

// WhoIs is the question who a client is. It has no channel.
func (a *Auth) WhoIs(c *Client) access.Question {
	return access.Question{
		Credential: c.Inputs(), Scope: a.scope, Origin: c,
		Address: c.Address, Client: c.Credential.Who(), Foreign: c.Foreign,
	}
}

// Verdict is the backend's answer to a question, and how it came about.
type Verdict struct {
	access.Verdict
	Trace *Trace
}

// Ask puts a question to the backend. It is the access.Asker of a Gate, but for
// the trace.
func (a *Auth) Ask(ctx context.Context, q access.Question) Verdict {
	t := &Trace{}
	return Verdict{a.ask(ctx, q, t), t}
}

func (a *Auth) ask(ctx context.Context, q access.Question, t *Trace) access.Verdict {
	c, ok := q.Origin.(*Client)
	if !ok {
		return access.Verdict{}
	}
	list := a.list != nil && (q.Channel != "" || q.List)
	switch {
	case a.config.None:
		t.step("auth none: everybody may listen")
		return access.Verdict{Outcome: access.Allowed}
	case c.Credential.IsZero() && !a.config.Anonymous:
		t.step("the client has no credentials")
		return access.Verdict{Outcome: access.Denied, Cause: access.BadCredential, Unasked: true}
	case q.List && a.list == nil, q.Channel == "" && !list && a.identity == nil:
		t.step("the question is of another configuration")
		return access.Verdict{}
	case !list && q.Channel != "" && !a.names(q.Channel, c):
		t.step("nothing was asked: the request cannot name this channel, because it has no {org} and {flow}, or a filter leaves nothing of it")
		return access.Verdict{Outcome: access.Denied, Cause: access.NotFound}
	}
	r, missing := a.request(q.Channel, list, c)
	if missing != "" && c.scope != a.scope {
		t.step("nothing was asked: the client came before a reload, when nobody read {%s}", missing)
		return access.Verdict{}
	}
	if missing != "" {
		t.step("nothing was asked: {%s} has no value for this client", missing)
		a.reports.unfilled(missing)
		return access.Verdict{Outcome: access.Denied, Cause: access.BadCredential, Unasked: true}
	}
	t.request = r
	answer, err := a.backend.send(ctx, r)
	if err != nil {
		t.step("%s", err)
		if context.Cause(ctx) == context.Canceled { // nobody asks any more
			return access.Verdict{}
		}
		a.reports.failed(err)
		if errors.Is(err, errUnreachable) {
			return access.Verdict{Cause: access.Unreachable}
		}
		return access.Verdict{}
	}
	t.answer = answer
	v := a.judge(answer, r, t)
	a.reports.answered(answer.status, r)
	if v.Outcome == access.Unknown && answer.status/100 != 3 { // of a redirect, there is a line already
		a.reports.unclear(r, answer.status, t.last())
	}
	if list && !q.List && v.Outcome == access.Allowed && !slices.Contains(v.Channels, q.Channel) {
		v.Outcome, v.Cause = access.Denied, access.Forbidden
	}
	return v
}
