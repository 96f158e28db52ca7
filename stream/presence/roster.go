package presence

import (
	"crypto/rand"
	"sync"
	"time"

	"github.com/seed-078801ba/sidestream/stream/bus"
	"github.com/seed-078801ba/sidestream/stream/event"
)

// Roster is one node's knowledge of who is where in a hub. It is safe for concurrent
// use. It does nothing, and says nothing on the bus, until it is used.
type Roster struct {
	bus  bus.Bus
	wake chan struct{}
	done chan struct{}

	mu       sync.Mutex
	cfg      Config
	begun    bool
	closed   bool
	stop     func() // listening to the bus
	channels map[string]*channel
	members  int // in all channels
	waiting  dueList
	everyone []*Watch   // of all channels
	told     []*channel // that have something to tell
	toldAt   time.Time

	self   *node
	others map[string]*node
	spread spread
	stats  Stats

	role   role
	teller *Teller // nil if there is none
}

// Stats tells how much there is.
type Stats struct {
	// Channels that somebody is in, Users in them (one who is in two counts twice),
	// and Streams of this node.
	Channels, Users, Streams int
	// Nodes that are believed, this one included.
	Nodes int
	// Joins, Leaves and Changes are those that this node learned of.
	Joins, Leaves, Changes uint64
	// Repairs are how often what another node claims was asked for anew, because a
	// word was missed or a digest differed.
	Repairs uint64
	// Expired are the nodes that were no longer believed.
	Expired uint64
}

// New makes a roster that shares what it knows over the bus, which the caller closes
// after it.
func New(b bus.Bus, c Config) *Roster {
	r := &Roster{
		bus: b, wake: make(chan struct{}, 1), done: make(chan struct{}), cfg: c.withDefaults(),
		channels: map[string]*channel{}, others: map[string]*node{},
		self: &node{id: rand.Text()},
	}
	return r
}

// Configure changes the settings. Who is there stays there.
func (r *Roster) Configure(c Config) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.cfg = c.withDefaults()
	for _, ch := range r.channels {
		ch.size(r)
	}
	if r.cfg.Tells {
		r.begin()
	}
	r.stir()
}

// begin starts what the roster does by itself. Called with mu held.
func (r *Roster) begin() {
	if r.begun || r.closed {
		return
	}
	r.begun = true
	if !r.bus.Alone() {
		r.spread.begin(time.Now())
		r.stop = r.bus.Listen(topic, r.hear)
	}
	go r.run()
}

// Close says farewell to the other nodes and ends. Nobody is told of anything any
// more.
func (r *Roster) Close() {
	r.mu.Lock()
	begun, stop := r.begun, r.stop
	if r.closed {
		begun = false
	}
	r.closed = true
	r.stir()
	r.mu.Unlock()
	if begun {
		<-r.done
		if stop != nil {
			stop()
			r.bus.Publish(topic, r.farewell())
		}
	}
}

// stir has the roster's goroutine look at what there is to do.
func (r *Roster) stir() {
	select {
	case r.wake <- struct{}{}:
	default:
	}
}

// Stay is one stream's being in a channel, for its user.
type Stay struct {
	roster *Roster
	member *member
	state  State // guarded by Roster.mu; Offline when it has ended
}

// Enter notes that a user has a stream in a channel. The stay is nil, which does
// nothing, if there is no user, or if the state is Offline.
func (r *Roster) Enter(channel, user string, s State) *Stay {
	if user == "" || channel == "" || s == Offline || len(channel) > event.MaxName || len(user) > event.MaxName {
		return nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return nil
	}
	r.begin()
	m := r.member(channel, user)
	r.stats.Streams++
	r.count(m, Offline, s, false)
	return &Stay{r, m, s}
}

// Set changes the state of the stream. Offline ends the stay, as Leave does.
func (s *Stay) Set(state State) { s.change(state, false) }

// Leave ends the stay of a stream that is lost: the user has the grace to come back.
// Idempotent.
func (s *Stay) Leave() { s.change(Offline, false) }

// Quit ends the stay of a stream that has said so: the user need not be waited for.
// Idempotent.
func (s *Stay) Quit() { s.change(Offline, true) }

func (s *Stay) change(state State, atOnce bool) {
	if s == nil {
		return
	}
	r := s.roster
	r.mu.Lock()
	defer r.mu.Unlock()
	if s.state == Offline || s.state == state || r.closed {
		return
	}
	if state == Offline {
		r.stats.Streams--
	}
	was := s.state
	s.state = state
	r.count(s.member, was, state, atOnce)
}

// count changes what this node claims of a member. Called with mu held.
func (r *Roster) count(m *member, was, is State, atOnce bool) {
	h := m.holding(r.self)
	h.add(was, -1)
	h.add(is, +1)
	m.set(r.self, h)
	if r.spread.on {
		r.spread.changed(m, atOnce && h.streams() == 0)
		r.stir() // also where nobody here wants to know
	}
	now := time.Now()
	r.reckon(m, now, now, now, atOnce)
}

// Channel lists who is in a channel, in no order, and how many there are. If there
// are more than Config.Names, nobody is named.
func (r *Roster) Channel(channel string) (users []Present, count int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	ch := r.channels[channel]
	if ch == nil {
		return nil, 0
	}
	if !ch.many {
		users = ch.list()
	}
	return users, ch.count
}

// User lists where a user is.
func (r *Roster) User(user string) []Present {
	r.mu.Lock()
	defer r.mu.Unlock()
	var places []Present
	for _, ch := range r.channels {
		if m := ch.members[user]; m != nil && m.told != Offline {
			places = append(places, m.present())
		}
	}
	return places
}

// Channels lists the channels that somebody is in.
func (r *Roster) Channels() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	var names []string
	for name, ch := range r.channels {
		if ch.count > 0 {
			names = append(names, name)
		}
	}
	return names
}

// Stats tells how much there is.
func (r *Roster) Stats() Stats {
	r.mu.Lock()
	defer r.mu.Unlock()
	s := r.stats
	s.Nodes = 1 + len(r.others)
	for _, ch := range r.channels {
		if ch.count > 0 {
			s.Channels++
			s.Users += ch.count
		}
	}
	return s
}
