package endpoint

import (
	"strings"
	"sync"

	"github.com/seed-078801ba/sidestream/stream"
	"github.com/seed-078801ba/sidestream/stream/event"
	"github.com/seed-078801ba/sidestream/stream/format"
	"github.com/seed-078801ba/sidestream/stream/presence"
)

// Presence says who of a site's clients is shown to be there, and where.
type Presence struct {
	// Audience is whom the hub's roster is told to.
	Audience *Audience
	// Shows tells whether it is known who is in a channel.
	Shows func(channel string) bool
	// Hides tells whether a user is not shown in a channel.
	Hides func(channel, user string) bool
}

// attend is what a client that is let in has to do with presence; nil if nothing. A
// client whose user the backend does not name is not there for anybody.
func (p *Presence) attend(a *Ask, ad *admission) *attendance {
	if p == nil || a.State == presence.Offline && !a.Presence {
		return nil
	}
	t := &attendance{audience: p.Audience, state: a.State}
	if teller, ok := a.Format.(format.PresenceTeller); ok && a.Presence {
		t.teller = teller
	}
	for _, channel := range ad.channels {
		if strings.HasPrefix(channel, event.UserPrefix) || !p.Shows(channel) {
			continue
		}
		place := place{channel: channel}
		if ad.user != "" && a.State != presence.Offline && !p.Hides(channel, ad.user) {
			place.user = ad.user
		}
		if place.user != "" || t.teller != nil {
			t.places = append(t.places, place)
		}
	}
	if len(t.places) == 0 {
		return nil
	}
	return t
}

// attendance is a stream's being there, and its wish to know who is. It holds nothing
// of a configuration. The methods of nil do nothing.
type attendance struct {
	audience *Audience
	state    presence.State
	teller   format.PresenceTeller // nil: the client is not told

	mu     sync.Mutex
	stream *stream.Stream
	places []place
	ended  bool
}

// place is one channel of an attendance.
type place struct {
	channel string
	user    string // empty: the client is not shown there
	stay    *presence.Stay
}

// begin is called when the stream is attached.
func (t *attendance) begin(s *stream.Stream) {
	if t == nil {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.ended {
		return
	}
	t.stream = s
	for i := range t.places {
		p := &t.places[i]
		if p.user != "" {
			p.stay = t.audience.roster.Enter(p.channel, p.user, t.state)
		}
		if t.teller != nil {
			t.audience.join(p.channel, s, t.teller)
		}
	}
}

// leave ends it in one channel.
func (t *attendance) leave(channel string) {
	if t == nil {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	for i := range t.places {
		if t.places[i].channel == channel {
			t.quit(&t.places[i])
			t.places[i] = t.places[len(t.places)-1]
			t.places = t.places[:len(t.places)-1]
			return
		}
	}
}

// end is called when the stream has ended. It may be before begin.
func (t *attendance) end() {
	if t == nil {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.ended = true
	for i := range t.places {
		t.quit(&t.places[i])
	}
	t.places = nil
}

func (t *attendance) quit(p *place) {
	p.stay.Leave()
	if t.teller != nil && t.stream != nil {
		t.audience.leave(p.channel, t.stream)
	}
}
