package presence

import (
	"encoding/json"
	"time"
)

// topic is that of presence on the bus.
const topic = "presence"

// message is a word of one node to the others.
type message struct {
	Kind string `json:"kind"`
	// Node is who says it; each start of a process is another node.
	Node string `json:"node"`
	// Seq is the number of the node's last word of changes, this one included.
	Seq uint64 `json:"seq"`
	// Lease is for how many milliseconds the node is to be believed.
	Lease int64 `json:"lease"`
	// Digest is that of all that the node claims.
	Digest uint64 `json:"digest,omitempty"`
	// Role is whether the node tells the app.
	Role role `json:"role,omitempty"`
	// To is the channel that the app is to be told of; all, if it is empty. Or it is
	// the node that is asked for everything; all are if it is empty.
	To string `json:"to,omitempty"`
	// Part of Parts of everything.
	Part    int     `json:"part,omitempty"`
	Parts   int     `json:"parts,omitempty"`
	Entries []entry `json:"entries,omitempty"`
}

// The kinds of words.
const (
	kindAlive      = "alive"
	kindChanges    = "changes"
	kindAsk        = "ask"
	kindEverything = "everything"
	kindTell       = "tell"
	kindFarewell   = "farewell"
)

// entry is what a node claims of one user in one channel.
type entry struct {
	Channel string `json:"c"`
	User    string `json:"u"`
	Idle    uint32 `json:"i,omitempty"`
	Active  uint32 `json:"a,omitempty"`
	// Age is since how many milliseconds the user is there.
	Age int64 `json:"t,omitempty"`
	// Quit: the user need not be waited for.
	Quit bool `json:"q,omitempty"`
}

// entriesInWord bounds the entries of one word.
const entriesInWord = 1000

// readMessage reads a word; false if it is none of ours.
func readMessage(word []byte) (*message, bool) {
	m := new(message)
	if err := json.Unmarshal(word, m); err != nil || m.Node == "" {
		return nil, false
	}
	return m, true
}

// spread is what this node says to the others. Guarded by Roster.mu.
type spread struct {
	on       bool // there may be others
	seq      uint64
	changes  []*member // that others do not know of
	wanted   bool      // everything is
	said     time.Time // changes were
	whole    time.Time // everything was said
	alive    time.Time // when that is said next
	heard    time.Time // when a word of this node came back
	greeted  bool      // the others were asked for everything
	hearing  time.Time // since when this node hears itself
	relieved bool      // another node has told the app
	rivals   bool      // another node tells it, or was about to, while this one does
	demand   []string  // of what the app is to be told
	asked    []string  // the same, by other nodes
}

func (s *spread) begin(now time.Time) { s.on, s.alive = true, now }

// changed notes that this node claims something else of a member, which others have to
// be told.
func (s *spread) changed(m *member, quit bool) {
	m.quit = quit
	if !m.pending {
		m.pending = true
		s.changes = append(s.changes, m)
	}
}

// everythingEvery is how often everything is said at most: once is enough for all
// who ask.
const everythingEvery = 500 * time.Millisecond

// words are what this node says now. next is when it has more to say.
func (r *Roster) words(now time.Time) (words [][]byte, next time.Time) {
	s := &r.spread
	if !s.on {
		return nil, time.Time{}
	}
	alive := !s.alive.After(now)
	everything := s.wanted && now.Sub(s.whole) >= everythingEvery
	if len(s.changes) > 0 && (alive || everything || now.Sub(s.said) >= window) {
		words = append(words, r.wordsOfChanges(now)...)
		s.said = now
	}
	if everything {
		words = append(words, r.wordsOfEverything(now)...)
		s.wanted, s.whole = false, now
	}
	if alive {
		words = append(words, r.word(message{Kind: kindAlive}))
		s.alive = now.Add(r.cfg.Lease / 3)
	}
	if !s.greeted {
		s.greeted = true
		words = append(words, r.word(message{Kind: kindAsk}))
	}
	for _, channel := range s.demand {
		words = append(words, r.word(message{Kind: kindTell, To: channel}))
	}
	s.demand = nil
	next = s.alive
	if len(s.changes) > 0 {
		next = earlier(next, s.said.Add(window))
	}
	if s.wanted {
		next = earlier(next, s.whole.Add(everythingEvery))
	}
	for _, n := range r.others {
		if n.synced {
			continue
		}
		if due := n.asked.Add(askEvery); due.After(now) {
			next = earlier(next, due)
			continue
		}
		n.asked = now
		words = append(words, r.word(message{Kind: kindAsk, To: n.id}))
		next = earlier(next, now.Add(askEvery))
	}
	return words, next
}

// demands is of what the app is to be told now, where this node tells.
func (r *Roster) demands() []string {
	s := &r.spread
	demands := append(s.asked, s.demand...)
	s.asked = nil
	if r.role == telling || !s.on {
		s.demand = nil
		return demands
	}
	return nil
}

func (r *Roster) word(m message) []byte {
	m.Node, m.Seq, m.Lease = r.self.id, r.spread.seq, r.cfg.Lease.Milliseconds()
	m.Digest, m.Role = r.self.digest, r.role
	word, err := json.Marshal(m)
	if err != nil {
		panic(err) // it has only texts and numbers
	}
	return word
}

// wordsOfChanges say what has changed.
func (r *Roster) wordsOfChanges(now time.Time) (words [][]byte) {
	s := &r.spread
	changes := s.changes
	s.changes = nil
	for len(changes) > 0 {
		some := changes[:min(len(changes), entriesInWord)]
		changes = changes[len(some):]
		entries := make([]entry, 0, len(some))
		for _, m := range some {
			entries = append(entries, r.entry(m, now))
		}
		s.seq++
		words = append(words, r.word(message{Kind: kindChanges, Entries: entries}))
		for _, m := range some {
			m.pending, m.quit = false, false
			r.forget(m)
		}
	}
	return words
}

func (r *Roster) entry(m *member, now time.Time) entry {
	h := m.holding(r.self)
	e := entry{Channel: m.channel.name, User: m.user, Idle: h.idle, Active: h.active, Quit: m.quit}
	if h.streams() > 0 {
		e.Age = max(now.Sub(m.since).Milliseconds(), 0)
	}
	return e
}

// wordsOfEverything say all that this node claims.
func (r *Roster) wordsOfEverything(now time.Time) (words [][]byte) {
	var entries []entry
	for _, ch := range r.channels {
		for _, m := range ch.members {
			if m.holding(r.self).streams() > 0 {
				entries = append(entries, r.entry(m, now))
			}
		}
	}
	parts := max((len(entries)+entriesInWord-1)/entriesInWord, 1)
	for i := range parts {
		some := entries[i*entriesInWord : min((i+1)*entriesInWord, len(entries))]
		words = append(words, r.word(message{Kind: kindEverything, Part: i, Parts: parts, Entries: some}))
	}
	return words
}

// farewell says that this node ends.
func (r *Roster) farewell() []byte {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.word(message{Kind: kindFarewell})
}

// connected tells whether this node hears itself on the bus: whether it knows what it
// would know of others.
func (r *Roster) connected(now time.Time) bool {
	return !r.spread.on || !r.spread.heard.IsZero() && now.Sub(r.spread.heard) < r.deafAfter()
}
