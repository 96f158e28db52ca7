package access

import (
	"container/list"
	"time"
)

// cache remembers verdicts. Those that allow and those that do not are kept
// apart, so that a flood of denials cannot push out what the good clients
// need. Not safe for concurrent use: the gate's lock guards it.
type cache struct {
	allowed, refused shelf
}

func newCache(maxEntries int) cache {
	return cache{
		allowed: newShelf(maxEntries),
		refused: newShelf(max(1, maxEntries/4)),
	}
}

// entry is a verdict with the time until which it may be believed.
type entry struct {
	key     digest
	client  string
	verdict Verdict
	expires time.Time

	among, own *list.Element // in shelf.recent, and in that of its client
}

// weight is what an entry counts for: long lists of channels count for many.
func (e *entry) weight() int { return 1 + len(e.verdict.Channels)/8 }

// get finds a verdict that has not expired.
func (c *cache) get(key digest, now time.Time) (*entry, bool) {
	for _, s := range [...]*shelf{&c.allowed, &c.refused} {
		if e, ok := s.get(key); ok {
			if now.Before(e.expires) {
				return e, true
			}
			s.remove(key)
		}
	}
	return nil, false
}

// put remembers a verdict that a client has asked for, unless a later question has
// been answered already.
func (c *cache) put(key digest, client string, v Verdict, expires time.Time) {
	into, other := &c.refused, &c.allowed
	if v.Outcome == Allowed {
		into, other = other, into
	}
	for _, s := range [...]*shelf{into, other} {
		if e, ok := s.get(key); ok && e.verdict.asked.tick > v.asked.tick {
			return
		}
	}
	other.remove(key)
	into.put(&entry{key: key, client: client, verdict: v, expires: expires})
}

// remove forgets a verdict.
func (c *cache) remove(key digest) {
	c.allowed.remove(key)
	c.refused.remove(key)
}

func (c *cache) len() int { return len(c.allowed.byKey) + len(c.refused.byKey) }

// clientShare is which part of a shelf one client may fill: 1/8, so that one that
// has many credentials, or asks for very many channels, pushes out its own.
const clientShare = 8

// shelf holds entries up to a total weight; the one that was not used for the
// longest time goes first.
type shelf struct {
	limit, weight int
	recent        *list.List // of *entry, the last used in front
	byKey         map[digest]*entry
	byClient      map[string]*clientShelf // of those that are told apart
}

// clientShelf is what one client has of a shelf.
type clientShelf struct {
	weight int
	recent *list.List // of *entry, the last used in front
}

func newShelf(limit int) shelf {
	return shelf{limit: limit, recent: list.New(), byKey: map[digest]*entry{}, byClient: map[string]*clientShelf{}}
}

func (s *shelf) get(key digest) (*entry, bool) {
	e, ok := s.byKey[key]
	if !ok {
		return nil, false
	}
	s.recent.MoveToFront(e.among)
	if e.own != nil {
		s.byClient[e.client].recent.MoveToFront(e.own)
	}
	return e, true
}

func (s *shelf) put(e *entry) {
	s.remove(e.key)
	if e.weight() > s.limit {
		return
	}
	s.byKey[e.key] = e
	e.among = s.recent.PushFront(e)
	s.weight += e.weight()
	if e.client != "" {
		s.putOwn(e)
	}
	for s.weight > s.limit {
		s.remove(s.recent.Back().Value.(*entry).key)
	}
}

// putOwn counts an entry for its client. What the client has too much of goes;
// the entry itself stays.
func (s *shelf) putOwn(e *entry) {
	own := s.byClient[e.client]
	if own == nil {
		own = &clientShelf{recent: list.New()}
		s.byClient[e.client] = own
	}
	e.own = own.recent.PushFront(e)
	own.weight += e.weight()
	for own.weight > s.limit/clientShare && own.recent.Len() > 1 {
		s.remove(own.recent.Back().Value.(*entry).key)
	}
}

func (s *shelf) remove(key digest) {
	e, ok := s.byKey[key]
	if !ok {
		return
	}
	s.weight -= e.weight()
	s.recent.Remove(e.among)
	delete(s.byKey, key)
	if e.own == nil {
		return
	}
	own := s.byClient[e.client]
	own.weight -= e.weight()
	own.recent.Remove(e.own)
	if own.recent.Len() == 0 {
		delete(s.byClient, e.client)
	}
}
