package tap

import (
	"io"
	"net/http"

	"github.com/seed-078801ba/sidestream/webhook/decode"
)

// Explanation is what becomes of an answer and why, for an operator who tries one out.
type Explanation struct {
	// Route is the method and the path of the rules for the request, as configured.
	Route string
	// Rules are those that were looked at, in order.
	Rules []RuleExplanation
	// Unread is why the answer brings nothing at all; empty if it is read.
	Unread string
}

// RuleExplanation is what one rule makes of an answer.
type RuleExplanation struct {
	// Name is the rule's method, path and statuses.
	Name string
	// Not is why it does not count; empty if it does.
	Not string
	// Poke is the channel that is poked, if the rule does that.
	Poke string
	// Messages are what the answer holds.
	Messages []decode.Message
	// Thin: only the channel, the id and the operation are delivered.
	Thin bool
	// Revokes: the app is asked again about the client, and about this user in this
	// channel, if they are named.
	Revokes       bool
	User, Channel string
}

// Explain does with an answer what a Tap does, but publishes nothing. The user is
// whose credential the client has.
func (rt *Route) Explain(r *http.Request, status int, header http.Header, body []byte, user string) Explanation {
	e := Explanation{Route: rt.Name()}
	q := rt.Prepare(r)
	if r.Body != nil && rt.of.readsRequest {
		drain(r)
	}
	t := &Tap{}
	a := t.Begin(rt, q, nil)
	a.Head(status, header)
	a.Body(body)
	defer a.drop()
	switch {
	case len(a.rules) == 0:
		e.Unread = "no rule is for this status"
		return e
	case a.cause != nil:
		e.Unread = a.cause.text
		return e
	}
	text := emptyDocument
	if a.copied && len(a.body) > 0 {
		var err error
		if text, err = unpack(a.coding, a.body); err != nil {
			e.Unread = err.Error()
			return e
		}
	}
	in, ok := a.input(text, user)
	if !ok {
		e.Unread = causeMisread.text
		return e
	}
	s := decode.NewPayload(in)
	defer s.Release()
	if err := readDocument(s); err != nil {
		e.Unread = err.Error()
		return e
	}
	done := false
	for _, rule := range a.rules {
		x := RuleExplanation{Name: rule.name, Thin: rule.thin, Revokes: rule.revokes, Not: a.excludes(rule, s, done)}
		if x.Not == "" {
			rule.explain(&x, s)
			done = done || !rule.revokes
		}
		e.Rules = append(e.Rules, x)
	}
	return e
}

// excludes says why a rule does not count for an answer, empty if it does.
func (a *Answer) excludes(r *rule, s *decode.Payload, done bool) string {
	if done && !r.revokes {
		return "an earlier rule counts"
	}
	if !a.fits(r) {
		return causeType.text
	}
	if r.when != nil {
		switch holds, err := r.when.Holds(s); {
		case err != nil:
			return err.Error()
		case !holds:
			return "it is not true that " + r.when.String()
		}
	}
	return ""
}

func (r *rule) explain(x *RuleExplanation, s *decode.Payload) {
	text := func(t *decode.Template) string {
		if t == nil {
			return ""
		}
		v, err := t.Value(s)
		if name, ok := v.Name(); err == nil && ok {
			return name.Text
		}
		return "nothing there"
	}
	x.Poke, x.User, x.Channel = text(r.poke), text(r.user), text(r.channel)
	if r.decoder == nil {
		return
	}
	messages, err := r.decoder.Explain(s)
	if err != nil {
		x.Not = err.Error()
		return
	}
	for i := range messages {
		for j := range messages[i].Events {
			r.trim(&messages[i].Events[j])
		}
	}
	x.Messages = messages
}

// drain reads a request's body, so that it is copied.
func drain(r *http.Request) {
	_, _ = io.Copy(io.Discard, r.Body) // what cannot be read is not there
}
