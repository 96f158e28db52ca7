package bayeux

import (
	"slices"
	"strings"

	"github.com/seed-078801ba/sidestream/stream"
	"github.com/seed-078801ba/sidestream/stream/access"
	"github.com/seed-078801ba/sidestream/stream/event"
	"github.com/seed-078801ba/sidestream/stream/format"
)

// subscription is what a client has subscribed to, by the name that it knows.
type subscription struct {
	name string
	Target
	// upto is up to where a subscription to the past has events; where the channel
	// itself begins.
	upto event.Cursor
	// met: the channel itself was joined since.
	met bool
	// from is where the channel itself began.
	from uint64
}

// rightEnded is told by the gate that the backend no longer lets the client listen.
func (s *Session) rightEnded(channel string, cause access.Cause, _ int) {
	s.endChannels(func(sub *subscription) bool { return sub.Right == channel })
	s.ticket.Return(channel)
	if s.memory != nil && (cause == access.Forbidden || cause == access.NotFound) {
		s.memory.RightEnded(s.whose(), channel)
	}
}

// endChannels ends subscriptions that the client may not have any more. It is told
// which, and the session goes on.
func (s *Session) endChannels(which func(*subscription) bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	told := false
	s.subs = slices.DeleteFunc(s.subs, func(sub subscription) bool {
		if !which(&sub) {
			return false
		}
		if sub.Past > 0 {
			s.leavePast(sub.Channel)
		} else {
			s.reader.Leave(sub.Channel)
		}
		s.ended, told = append(s.ended, sub.name), true
		return true
	})
	if s.held != nil && told {
		s.held.cancel(errTold)
	}
	s.ready()
}

// join adds subscriptions that the client may have, each of which begins where its
// start says.
func (s *Session) join(hub readers, subs []subscription, starts []stream.Start) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return false
	}
	for i, sub := range subs {
		switch {
		case s.sub(sub.name) >= 0:
		case sub.Past > 0:
			sub.met = s.base(sub.Channel) != nil
			s.subs = append(s.subs, sub)
			s.joinPast(hub, &sub, starts[i])
		case sub.Pattern:
			s.subs = append(s.subs, sub)
			if p, err := stream.ParsePattern(sub.Channel); err == nil { // whoever resolved it has seen to that
				s.reader.JoinPattern(p)
			}
		default:
			sub.from = starts[i].At(sub.Channel)
			s.subs = append(s.subs, sub)
			s.reader.Join(sub.Channel, starts[i])
			for j := range s.subs {
				if of := &s.subs[j]; of.Past > 0 && of.Channel == sub.Channel {
					of.met = true
				}
			}
		}
	}
	s.ready()
	return true
}

// base is the subscription to a channel itself; nil if there is none. Called with mu
// held.
func (s *Session) base(channel string) *subscription {
	for i := range s.subs {
		if sub := &s.subs[i]; sub.Channel == channel && sub.Past == 0 && !sub.Pattern {
			return sub
		}
	}
	return nil
}

func (s *Session) sub(name string) int {
	return slices.IndexFunc(s.subs, func(sub subscription) bool { return sub.name == name })
}

// leave ends subscriptions. A channel is left when no other one needs it.
func (s *Session) leave(names []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, name := range names {
		i := s.sub(name)
		if i < 0 {
			continue
		}
		gone := s.subs[i]
		s.subs = slices.Delete(s.subs, i, i+1)
		same := func(o subscription) bool {
			return o.Channel == gone.Channel && o.Pattern == gone.Pattern && (o.Past > 0) == (gone.Past > 0)
		}
		switch {
		case slices.ContainsFunc(s.subs, same):
		case gone.Past > 0:
			s.leavePast(gone.Channel)
		default:
			s.reader.Leave(gone.Channel)
		}
		if gone.Right != "" && !slices.ContainsFunc(s.subs, func(o subscription) bool { return o.Right == gone.Right }) {
			s.door.Leave(gone.Right)
			s.ticket.Return(gone.Right)
		}
	}
}

// rights are the channels among those of subs that the backend has not been asked
// about yet.
func (s *Session) rights(subs []subscription) []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var missing []string
	for _, sub := range subs {
		if sub.Right != "" && !slices.Contains(missing, sub.Right) &&
			!slices.ContainsFunc(s.subs, func(o subscription) bool { return o.Right == sub.Right }) {
			missing = append(missing, sub.Right)
		}
	}
	return missing
}

// append writes what was taken as messages.
func (s *Session) append(r *replies, t *takenFor) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.appendTaken(r, t)
}

// appendTaken is append with mu held: each event by the name that the client knows its
// channel by.
func (s *Session) appendTaken(r *replies, t *takenFor) {
	for _, name := range t.ended {
		r.add(reply{channel: "/meta/subscribe", err: errForbidden(name), more: appendSubscription(nil, name)})
	}
	for _, m := range t.Missing {
		for _, name := range s.names(m.Channel, t.past) {
			r.next()
			r.json = format.AppendBayeuxGap(r.json, name, m)
		}
	}
	for i := range t.Entries {
		e := &t.Entries[i]
		cursor := event.Cursor{Epoch: t.At.Epoch, Seq: e.Seq, Tag: e.Tag}
		name := s.nameOf(e.Channel.Text)
		if t.past != nil {
			name = t.past.nameOf(e)
		}
		if name == "" {
			continue // left meanwhile
		}
		length := len(r.json)
		r.next()
		separated := len(r.json)
		if s.replays {
			r.json = appendReplay(r.json, name, e, cursor)
		} else {
			r.json = format.AppendBayeux(r.json, name, e, cursor)
		}
		if len(r.json) == separated {
			r.json = r.json[:length]
		}
	}
}

// names are the client's names for a channel in which something is missing; all that
// it has if it is every channel.
func (s *Session) names(channel string, of *past) (names []string) {
	for _, sub := range s.subs {
		if (channel == "" || sub.Channel == channel) && (sub.Past > 0) == (of != nil) {
			names = append(names, sub.name)
		}
	}
	return names
}

// nameOf is the client's name for a channel of the hub: that of its subscription, or
// made of the pattern that matches.
func (s *Session) nameOf(channel string) string {
	for _, sub := range s.subs {
		if !sub.Pattern && sub.Channel == channel && sub.Past == 0 {
			return sub.name
		}
	}
	for _, sub := range s.subs {
		if !sub.Pattern {
			continue
		}
		if p, err := stream.ParsePattern(sub.Channel); err == nil && p.Matches(channel) {
			stem, _ := patternStem(sub.name)
			hub, _ := patternStem(sub.Channel)
			return stem + strings.TrimPrefix(channel, hub)
		}
	}
	return ""
}
