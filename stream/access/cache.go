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
		allowed: shelf{limit: maxEntries, byKey: map[digest]*list.Element{}},
		refused: shelf{limit: max(1, maxEntries/4), byKey: map[digest]*list.Element{}},
	}
}

// entry is a verdict with the time until which it may be believed.
type entry struct {
	key     digest
	verdict Verdict
	expires time.Time
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

// put remembers a verdict, unless a later question has been answered already.
func (c *cache) put(key digest, v Verdict, expires time.Time) {
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
	into.put(&entry{key: key, verdict: v, expires: expires})
}

// remove forgets a verdict.
func (c *cache) remove(key digest) {
	c.allowed.remove(key)
	c.refused.remove(key)
}

func (c *cache) len() int { return len(c.allowed.byKey) + len(c.refused.byKey) }

// shelf holds entries up to a total weight; the one that was not used for the
// longest time goes first.
type shelf struct {
	limit, weight int
	recent        list.List // of *entry, the last used in front
	byKey         map[digest]*list.Element
}

func (s *shelf) get(key digest) (*entry, bool) {
	el, ok := s.byKey[key]
	if !ok {
		return nil, false
	}
	s.recent.MoveToFront(el)
	return el.Value.(*entry), true
}

func (s *shelf) put(e *entry) {
	s.remove(e.key)
	if e.weight() > s.limit {
		return
	}
	s.byKey[e.key] = s.recent.PushFront(e)
	s.weight += e.weight()
	for s.weight > s.limit {
		s.remove(s.recent.Back().Value.(*entry).key)
	}
}

func (s *shelf) remove(key digest) {
	if el, ok := s.byKey[key]; ok {
		s.weight -= el.Value.(*entry).weight()
		s.recent.Remove(el)
		delete(s.byKey, key)
	}
}
