package presence

import (
	"time"

	"github.com/seed-078801ba/sidestream/stream/event"
)

// node is one node, and what it claims.
type node struct {
	id     string
	digest uint64 // of all that it claims

	// Of other nodes only.
	seq      uint64 // its last word that is known
	synced   bool   // what it claims is known
	role     role   // whether it tells the app
	heard    time.Time
	lease    time.Duration
	asked    time.Time // for everything
	incoming []entry   // parts of everything
	parts    int       // that have come
}

// maxNodes bounds how many nodes are believed.
const maxNodes = 1000

// askEvery is how often a node is asked for everything at most.
const askEvery = time.Second

// digest is a number that differs for different claims. Their sum is the digest of
// all that a node claims, in whatever order it came about.
func (m *member) digest(h held) uint64 {
	const offset, prime = 14695981039346656037, 1099511628211
	d := uint64(offset)
	add := func(s string) {
		for i := range len(s) {
			d = (d ^ uint64(s[i])) * prime
		}
		d = (d ^ 0xff) * prime
	}
	add(m.channel.name)
	add(m.user)
	for _, n := range [...]uint32{h.idle, h.active} {
		for range 4 {
			d = (d ^ uint64(n&0xff)) * prime
			n >>= 8
		}
	}
	return d
}

// hear is called by the bus with every word of a node, of this one too.
func (r *Roster) hear(word []byte) {
	m, ok := readMessage(word)
	if !ok {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return
	}
	now := time.Now()
	if m.Node == r.self.id {
		r.spread.heard = now
		r.stir()
		return
	}
	n := r.others[m.Node]
	if m.Kind == kindFarewell {
		if n != nil {
			r.drop(n, now)
			r.stir()
		}
		return
	}
	if n == nil {
		if len(r.others) >= maxNodes {
			return
		}
		n = &node{id: m.Node}
		n.synced = m.Seq == 0 || m.Seq == 1 && m.Kind == kindChanges // from its beginning
		r.others[m.Node] = n
	}
	n.heard, n.role = now, m.Role
	n.lease = min(max(time.Duration(m.Lease)*time.Millisecond, minLease), maxLease)
	r.take(n, m, now)
	r.stir()
}

// take acts on a word of another node.
func (r *Roster) take(n *node, m *message, now time.Time) {
	switch m.Kind {
	case kindAlive:
		if n.synced && (m.Seq != n.seq || m.Digest != n.digest) {
			n.synced = false
			r.stats.Repairs++
		}
	case kindChanges:
		switch {
		case !n.synced || m.Seq <= n.seq:
		case m.Seq == n.seq+1:
			n.seq = m.Seq
			for i := range m.Entries {
				r.claim(n, &m.Entries[i], now)
			}
		default:
			n.synced = false
			r.stats.Repairs++
		}
	case kindEverything:
		if !n.synced {
			r.replace(n, m, now)
		}
	case kindAsk:
		if m.To == "" || m.To == r.self.id {
			r.spread.wanted = true
		}
	case kindTell:
		r.spread.asked = append(r.spread.asked, m.To)
	}
}

// claim has a node claim what an entry says, and nothing else of that member.
func (r *Roster) claim(n *node, e *entry, now time.Time) {
	if e.User == "" || e.Channel == "" || len(e.User) > event.MaxName || len(e.Channel) > event.MaxName {
		return
	}
	m := r.member(e.Channel, e.User)
	m.set(n, held{n, e.Idle, e.Active})
	r.reckon(m, now, now.Add(-time.Duration(max(e.Age, 0))*time.Millisecond), now, e.Quit)
}

// replace makes what a node claims what it says in one word or in several.
func (r *Roster) replace(n *node, m *message, now time.Time) {
	if m.Part != n.parts { // one was missed
		n.parts, n.incoming = 0, nil
		if m.Part != 0 {
			return
		}
	}
	n.incoming = append(n.incoming, m.Entries...)
	if n.parts++; n.parts < m.Parts {
		return
	}
	claimed := make(map[*member]bool, len(n.incoming))
	for i := range n.incoming {
		e := &n.incoming[i]
		r.claim(n, e, now)
		if ch := r.channels[e.Channel]; ch != nil && ch.members[e.User] != nil {
			claimed[ch.members[e.User]] = true
		}
	}
	r.disclaim(n, now, now, claimed)
	n.seq, n.synced, n.parts, n.incoming = m.Seq, true, 0, nil
}

// disclaim takes back what a node claims, but for some members.
func (r *Roster) disclaim(n *node, now, lost time.Time, but map[*member]bool) {
	for _, ch := range r.channels {
		for _, m := range ch.members {
			if !but[m] && m.holding(n).streams() > 0 {
				m.set(n, held{node: n})
				r.reckon(m, now, m.since, lost, false)
			}
		}
	}
}

// drop forgets a node that is not believed any more since a time.
func (r *Roster) drop(n *node, lost time.Time) {
	delete(r.others, n.id)
	r.disclaim(n, time.Now(), lost, nil)
}

// expire drops nodes whose lease is over, and gives the time of the next end of one.
func (r *Roster) expire(now time.Time) (next time.Time) {
	for _, n := range r.others {
		end := n.heard.Add(n.lease)
		if end.After(now) {
			next = earlier(next, end)
			continue
		}
		r.stats.Expired++
		r.drop(n, n.heard)
	}
	return next
}
