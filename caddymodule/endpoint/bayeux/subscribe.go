package bayeux

import (
	"cmp"
	"context"
	"slices"

	"github.com/valyala/fastjson"

	"github.com/seed-078801ba/sidestream/caddymodule/endpoint"
	"github.com/seed-078801ba/sidestream/stream"
	"github.com/seed-078801ba/sidestream/stream/event"
	"github.com/seed-078801ba/sidestream/stream/format"
)

// subscribe lets a client into channels: all that it names, or none.
func (x *exchange) subscribe(ctx context.Context, m *message) {
	s := x.session(ctx, m)
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
	a.err = x.admit(ctx, s, names, m.Get("ext"), &a)
	if a.err == nil {
		for _, extension := range x.extensions {
			a.ext = extension.Subscribed(ctx, x.caller(), s, names, m.Get("ext"), a.ext)
		}
		s.save(ctx)
	}
	x.replies.add(a)
}

// admit resolves names, asks for the rights that are missing, and joins.
func (x *exchange) admit(ctx context.Context, s *Session, names []string, ext *fastjson.Value, a *reply) *Error {
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
			subs = append(subs, subscription{name: name, Target: target})
		}
	}
	if s.count()+len(subs) > x.maxChannels {
		return errServer("too many subscriptions")
	}
	rights := s.rights(subs)
	if len(rights) > 0 {
		user, re := x.server.Join(ctx, s.who(), s.whose(), s.door, s.ticket, rights)
		if re != nil {
			return refused(re, subs)
		}
		s.identify(user)
	}
	slices.SortStableFunc(subs, func(a, b subscription) int { return cmp.Compare(a.Past, b.Past) }) // channels before their past
	starts, err := x.starts(ctx, s, subs, since(ext), a)
	if err != nil {
		return errServer("Internal server error")
	}
	for i := range subs {
		if id, said := replayOf(ext, subs[i].name); said && x.salesforce && !subs[i].Pattern && subs[i].Past == 0 {
			var fail *Error
			if starts[i], fail = x.replayFrom(ctx, s, subs[i].Channel, id); fail != nil {
				for _, right := range rights {
					s.door.Leave(right)
					s.ticket.Return(right)
				}
				return fail
			}
		}
	}
	if !s.join(x.server.Hub, subs, starts) {
		return errUnknownClient(s.id)
	}
	return nil
}

// starts finds where subscriptions begin.
func (x *exchange) starts(ctx context.Context, s *Session, subs []subscription, since string, a *reply) ([]stream.Start, error) {
	var channels []string // themselves
	for _, sub := range subs {
		if !sub.Pattern && sub.Past == 0 {
			channels = append(channels, sub.Channel)
		}
	}
	hub, starts := x.server.Hub, make([]stream.Start, len(subs))
	all, err := x.resolveFrom(ctx, s, channels, stream.From{Cursor: since})
	if err != nil {
		return nil, err
	}
	if resume := all.Resume(); resume != "" {
		a.ext = appendMember(a.ext, "resume", format.AppendText(nil, resume))
	}
	head := hub.Head()
	for i := range subs {
		sub := &subs[i]
		starts[i] = all
		switch {
		case sub.Pattern:
		case sub.Past > 0:
			sub.upto = s.meets(sub.Channel, channels, all, head)
			starts[i], err = x.resolvePast(ctx, s, sub, since)
		default:
			// Where its past is given already, it goes on from there.
			if upto, ok := s.pastOf(sub.Channel); ok && since == "" {
				starts[i], err = x.resolveFrom(ctx, s, []string{sub.Channel}, stream.From{Cursor: upto.String()})
			}
		}
		if err != nil {
			return nil, err
		}
	}
	return starts, nil
}

// resolvePast finds where the past of a channel begins: after what the client says
// that it has, and no earlier than it asks for.
func (x *exchange) resolvePast(ctx context.Context, s *Session, sub *subscription, since string) (stream.Start, error) {
	start, err := x.resolveFrom(ctx, s, []string{sub.Channel}, stream.From{Since: sub.Past})
	if err != nil || since == "" {
		return start, err
	}
	after, err := x.resolveFrom(ctx, s, []string{sub.Channel}, stream.From{Cursor: since})
	if err == nil && len(after.Missing) == 0 && after.At(sub.Channel) > start.At(sub.Channel) {
		start = after
	}
	return start, err
}

// resolveFrom is Resolve, no further back than the app would show to the client.
func (x *exchange) resolveFrom(ctx context.Context, s *Session, channels []string, from stream.From) (stream.Start, error) {
	var err error
	if from.Cursor != "" || from.Since > 0 {
		if from.Shown, err = x.server.Shown(ctx, s.whose(), channels); err != nil {
			return stream.Start{}, err
		}
	}
	return x.server.Hub.Resolve(channels, from)
}

// meets is where the past of a channel ends, because the channel itself begins there:
// one that is joined along with it, or was joined before.
func (s *Session) meets(channel string, along []string, start stream.Start, head event.Cursor) event.Cursor {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch base := s.base(channel); {
	case base != nil:
		head.Seq, head.Tag = min(base.from, head.Seq), 0
	case slices.Contains(along, channel):
		head.Seq, head.Tag = min(start.At(channel), head.Seq), 0
	}
	return head
}

// pastOf is where the past of a channel ends that is subscribed to, and that the
// channel itself was not joined to since.
func (s *Session) pastOf(channel string) (upto event.Cursor, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, sub := range s.subs {
		if sub.Past > 0 && sub.Channel == channel && !sub.met {
			return sub.upto, true
		}
	}
	return upto, false
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
func (x *exchange) unsubscribe(ctx context.Context, m *message) {
	s := x.session(ctx, m)
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
		s.save(ctx)
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
