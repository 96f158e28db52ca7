package tambur

import (
	"time"

	"github.com/seed-078801ba/sidestream/caddymodule/endpoint"
	"github.com/seed-078801ba/sidestream/stream/event"
	"github.com/seed-078801ba/sidestream/stream/format"
	"github.com/seed-078801ba/sidestream/stream/presence"
)

// roll is those on this node who are told who comes to a stream and goes, while they
// are there themselves.
type roll struct {
	stream string
	watch  *presence.Watch
	seats  map[*seat]struct{} // guarded by hub.mu
}

// seat is a client's being there, for its user.
type seat struct {
	s       *subscriber
	user    string
	channel string
	since   time.Time
	stay    *presence.Stay
}

// setPresence has the client be there as a user, and be told of the others. It is not
// told who is there already: clients ask their own server for that.
func (s *subscriber) setPresence(server *endpoint.Server, sub *subscription, user string) string {
	if sub.present != nil && sub.present.user == user {
		return answerOK
	}
	channel := event.ModeChannel(s.key.id, modePresence, sub.name)
	if event.CheckModeChannel(channel) != nil {
		return answerStream
	}
	s.unsetPresence(sub, true)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return answerLater
	}
	sub.present = &seat{s: s, user: user, channel: channel}
	s.hub.enter(server.Roster, sub.name, sub.present)
	return answerOK
}

// unsetPresence ends the client's being there: at once if it says so, otherwise when
// it has not come back for a while.
func (s *subscriber) unsetPresence(sub *subscription, atOnce bool) {
	if sub.present == nil {
		return
	}
	s.hub.leave(sub.present)
	if atOnce {
		sub.present.stay.Quit()
	} else {
		sub.present.stay.Leave()
	}
	sub.present = nil
}

func (h *hub) enter(roster *presence.Roster, stream string, at *seat) {
	h.mu.Lock()
	defer h.mu.Unlock()
	r := h.rolls[at.channel]
	if r == nil {
		r = &roll{stream: stream, seats: map[*seat]struct{}{}}
		r.watch = roster.Watch(at.channel, func(changes []presence.Change) { h.call(r, changes) })
		h.rolls[at.channel] = r
	}
	r.seats[at] = struct{}{}
	at.since = time.Now()
	at.stay = roster.Enter(at.channel, at.user, presence.Active)
}

func (h *hub) leave(at *seat) {
	h.mu.Lock()
	defer h.mu.Unlock()
	r := h.rolls[at.channel]
	if delete(r.seats, at); len(r.seats) == 0 {
		r.watch.Stop()
		delete(h.rolls, at.channel)
	}
}

// call tells those who are there of the others: of what has happened since they came,
// and not of themselves.
func (h *hub) call(r *roll, changes []presence.Change) {
	for _, c := range changes {
		what := map[presence.Kind]string{presence.Joined: "up", presence.Left: "down"}[c.Kind]
		if what == "" {
			continue
		}
		message := format.AppendTamburPair(nil, r.stream, modePresence, c.User, what)
		h.mu.Lock()
		var to []*subscriber
		for at := range r.seats {
			if at.user != c.User && c.At.After(at.since) {
				to = append(to, at.s)
			}
		}
		h.mu.Unlock()
		for _, s := range to {
			s.send(message)
		}
	}
}
