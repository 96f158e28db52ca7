package bayeux

import (
	"context"
	"slices"

	"github.com/seed-078801ba/sidestream/caddymodule/endpoint"
	"github.com/seed-078801ba/sidestream/stream"
	"github.com/seed-078801ba/sidestream/stream/format"
)

// subscribe lets a client into channels: all that it names, or none.
func (x *exchange) subscribe(ctx context.Context, m *message) {
	s := x.session(m)
	if s == nil {
		return
	}
	s.note(m.id)
	names, ok := texts(m.Get("subscription"))
	if !ok || len(names) == 0 {
		x.fail(m, errMissing("subscription"))
		return
	}
	a := reply{channel: m.channel, id: m.id, client: s.id, more: appendValueMember("subscription", m)}
	a.err = x.admit(ctx, s, names)
	if a.err == nil {
		for _, extension := range x.extensions {
			a.ext = extension.Subscribed(ctx, x.caller(), s, names, m.Get("ext"), a.ext)
		}
	}
	x.replies.add(a)
}

// admit resolves names, asks for the rights that are missing, and joins.
func (x *exchange) admit(ctx context.Context, s *Session, names []string) *Error {
	var subs []subscription
	for _, name := range names {
		target, err := x.resolve(name)
		if err != nil {
			return err
		}
		if !target.Pattern {
			target.Channel, target.Right = x.server.Names.Canonical(target.Channel), x.server.Names.Canonical(target.Right)
		}
		if !slices.ContainsFunc(subs, func(sub subscription) bool { return sub.name == name }) {
			subs = append(subs, subscription{name, target})
		}
	}
	if s.count()+len(subs) > x.maxChannels {
		return errServer("too many subscriptions")
	}
	var channels []string
	for _, sub := range subs {
		if !sub.Pattern {
			channels = append(channels, sub.Channel)
		}
	}
	if rights := s.rights(subs); len(rights) > 0 {
		user, re := x.server.Join(ctx, s.who(), s.whose(), s.door, s.ticket, rights)
		if re != nil {
			return refused(re, subs)
		}
		s.identify(user)
	}
	start, err := x.server.Hub.Resolve(channels, stream.From{})
	if err != nil {
		return errServer("Internal server error")
	}
	if !s.join(subs, start) {
		return errUnknownClient(s.id)
	}
	return nil
}

// refused is what a client is told whose subscription is refused: no more than which
// one it was, and that only if it was the only one.
func refused(re *endpoint.Refusal, subs []subscription) *Error {
	if re.Passing {
		return errServer("the service cannot say now whether you may listen")
	}
	if len(subs) == 1 {
		return errForbidden(subs[0].name)
	}
	return errForbidden("")
}

// unsubscribe leaves channels. To leave one that was not joined changes nothing.
func (x *exchange) unsubscribe(m *message) {
	s := x.session(m)
	if s == nil {
		return
	}
	s.note(m.id)
	names, ok := texts(m.Get("subscription"))
	if !ok || len(names) == 0 {
		x.fail(m, errMissing("subscription"))
		return
	}
	a := reply{channel: m.channel, id: m.id, client: s.id, more: appendValueMember("subscription", m)}
	for _, name := range names {
		if !validName(name) && !validPattern(name) {
			a.err = errInvalid(name)
		}
	}
	if a.err == nil {
		s.leave(names)
	}
	x.replies.add(a)
}

// appendValueMember echoes a member of a message.
func appendValueMember(name string, m *message) []byte {
	return appendValue(append(append([]byte(`,"`), name...), `":`...), m.Get(name))
}

// appendSubscription appends the member that names a subscription.
func appendSubscription(dst []byte, name string) []byte {
	return format.AppendText(append(dst, `,"subscription":`...), name)
}
