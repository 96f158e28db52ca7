package presence

import (
	"container/heap"
	"time"
)

// channel is who is in one channel.
type channel struct {
	name    string
	members map[string]*member
	count   int  // of those who are told to be there
	many    bool // too many to be named
	watches []*Watch

	changes   []Change // to be told
	listed    bool     // a Listed, or the count, has to be told
	countedAt time.Time
	queued    bool // in Roster.told
}

// member is one user in one channel, or one who has just left.
type member struct {
	channel *channel
	user    string
	held    []held
	since   time.Time
	changed time.Time // when told became what it is
	told    State     // what watchers know, or will be told next
	streams int       // as of the last reckoning
	due     time.Time // when less than what was told is told; zero if nothing waits
	place   int       // in the list of those that wait
	pending bool      // what this node claims has changed, and other nodes do not know
	quit    bool      // and the user need not be waited for
}

// held is what one node claims of a member: streams by state.
type held struct {
	node         *node
	idle, active uint32
}

func (h held) streams() int { return int(h.idle) + int(h.active) }

func (h *held) add(s State, by int) {
	switch s {
	case Idle:
		h.idle += uint32(by)
	case Active:
		h.active += uint32(by)
	}
}

// member finds or makes a user of a channel. Called with mu held, as all below.
func (r *Roster) member(name, user string) *member {
	ch := r.channel(name)
	m := ch.members[user]
	if m == nil {
		m = &member{channel: ch, user: user, place: -1}
		ch.members[user] = m
		r.members++
	}
	return m
}

func (r *Roster) channel(name string) *channel {
	ch := r.channels[name]
	if ch == nil {
		ch = &channel{name: name, members: map[string]*member{}}
		r.channels[name] = ch
	}
	return ch
}

// holding is what a node claims.
func (m *member) holding(n *node) held {
	for _, h := range m.held {
		if h.node == n {
			return h
		}
	}
	return held{node: n}
}

// set changes what a node claims, and the digest of all that it claims.
func (m *member) set(n *node, h held) {
	for i := range m.held {
		if m.held[i].node != n {
			continue
		}
		n.digest -= m.digest(m.held[i])
		if h.streams() == 0 {
			last := len(m.held) - 1
			m.held[i] = m.held[last]
			m.held = m.held[:last]
			return
		}
		m.held[i] = h
		n.digest += m.digest(h)
		return
	}
	if h.streams() > 0 {
		m.held = append(m.held, h)
		n.digest += m.digest(h)
	}
}

// state is what all claims together say.
func (m *member) state() (s State, streams int) {
	for _, h := range m.held {
		streams += h.streams()
		switch {
		case h.active > 0:
			s = Active
		case h.idle > 0:
			s = max(s, Idle)
		}
	}
	return s, streams
}

func (m *member) present() Present {
	return Present{Channel: m.channel.name, User: m.user, State: m.told, Streams: m.streams, Since: m.since, Changed: m.changed}
}

// reckon sees what the claims about a member have come to. What is more than was
// told, is told. What is less waits for the grace, counted from when streams were
// lost, unless none were or atOnce says that they are not waited for.
func (r *Roster) reckon(m *member, now, since, lost time.Time, atOnce bool) {
	state, streams := m.state()
	fewer := streams < m.streams
	m.streams = streams
	switch {
	case state >= m.told:
		r.waitNoMore(m)
		if state > m.told {
			r.settle(m, state, now, since)
		} else if streams > 0 && since.Before(m.since) {
			m.since = since // another node knows the user for longer
		}
	case atOnce && (len(m.held) == 0 || m.due.IsZero()), !fewer && m.due.IsZero():
		r.waitNoMore(m)
		r.settle(m, state, now, since)
	case fewer && (m.due.IsZero() || state == Offline):
		due := lost.Add(r.cfg.Grace)
		if !due.After(now) {
			r.waitNoMore(m)
			r.settle(m, state, now, since)
			break
		}
		r.wait(m, due)
	}
	r.forget(m)
}

// settle makes a state the one that is told.
func (r *Roster) settle(m *member, state State, now, since time.Time) {
	ch, was := m.channel, m.told
	m.told, m.changed = state, now
	kind := Changed
	switch {
	case was == Offline && state == Offline:
		return
	case was == Offline:
		kind = Joined
		m.since, m.changed = since, since
		ch.count++
		r.stats.Joins++
	case state == Offline:
		kind = Left
		ch.count--
		r.stats.Leaves++
	case was == state:
		return
	default:
		r.stats.Changes++
	}
	ch.size(r)
	r.note(ch, Change{Kind: kind, Present: m.present(), At: now, Count: ch.count})
}

// forget drops a member that nothing is known of any more, and its channel.
func (r *Roster) forget(m *member) {
	if len(m.held) > 0 || m.told != Offline || m.pending || m.place >= 0 {
		return
	}
	ch := m.channel
	if ch.members[m.user] == m {
		delete(ch.members, m.user)
		r.members--
	}
	r.forgetChannel(ch)
}

func (r *Roster) forgetChannel(ch *channel) {
	if len(ch.members) == 0 && len(ch.watches) == 0 && !ch.queued {
		delete(r.channels, ch.name)
	}
}

// size sees whether a channel has too many users to name them. There is room
// between the two bounds, so that it does not change to and fro.
func (ch *channel) size(r *Roster) {
	names := r.cfg.Names
	switch {
	case !ch.many && ch.count > names:
		ch.many = true
	case ch.many && ch.count <= names-names/10:
		ch.many = false
	default:
		return
	}
	ch.changes, ch.listed = nil, true
	r.queue(ch)
}

func (ch *channel) list() []Present {
	users := make([]Present, 0, ch.count)
	for _, m := range ch.members {
		if m.told != Offline {
			users = append(users, m.present())
		}
	}
	return users
}

// dueList are the members that wait for the end of the grace, the first first.
type dueList []*member

func (l dueList) Len() int           { return len(l) }
func (l dueList) Less(i, j int) bool { return l[i].due.Before(l[j].due) }
func (l dueList) Swap(i, j int) {
	l[i], l[j] = l[j], l[i]
	l[i].place, l[j].place = i, j
}
func (l *dueList) Push(x any) {
	m := x.(*member)
	m.place = len(*l)
	*l = append(*l, m)
}
func (l *dueList) Pop() any {
	last := len(*l) - 1
	m := (*l)[last]
	(*l)[last] = nil
	*l = (*l)[:last]
	m.place = -1
	return m
}

func (r *Roster) wait(m *member, due time.Time) {
	m.due = due
	if m.place >= 0 {
		heap.Fix(&r.waiting, m.place)
	} else {
		heap.Push(&r.waiting, m)
	}
	r.stir()
}

func (r *Roster) waitNoMore(m *member) {
	if m.place >= 0 {
		heap.Remove(&r.waiting, m.place)
	}
	m.due = time.Time{}
}

// settleDue settles those whose grace is over.
func (r *Roster) settleDue(now time.Time) {
	for len(r.waiting) > 0 && !r.waiting[0].due.After(now) {
		m := r.waiting[0]
		r.waitNoMore(m)
		state, _ := m.state()
		r.settle(m, state, now, m.since)
		r.forget(m)
	}
}
