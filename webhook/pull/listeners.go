package pull

import (
	"time"

	"github.com/seed-078801ba/sidestream/stream/event"
)

// closed is the readiness of what needs no waiting.
var closed = func() chan struct{} { c := make(chan struct{}); close(c); return c }()

// Interest tells that somebody begins to listen to a channel, or that nobody has for a
// while. What it returns is closed when the channel has been read, or cannot be: a
// stream that opens after that misses nothing. One that waits for Patience at most
// misses nothing either. It does not block. Safe for concurrent use.
func (s *Source) Interest(name string, on bool) (ready <-chan struct{}) {
	if !s.reads(name) {
		return closed
	}
	now := time.Now()
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.channels[name]
	if !on {
		if c != nil {
			c.on = false
			s.dropIdle(c)
		}
		return closed
	}
	if c == nil {
		c = s.add(name, now)
	}
	if !c.on {
		c.on = true
		c.sinceAt(now.Add(Patience))
		if !c.isReady() && c.failures == 0 {
			s.turns.hurry(c, waited, now)
			s.notify()
		} else if c.isReady() && !c.flying && c.due.After(now) {
			// It was left alone for a while.
			s.turns.hurry(c, waited, now)
			s.notify()
		}
	}
	return c.ready
}

// Since tells that somebody was told, at a time, that nothing said from then on would
// be missed in a channel.
func (s *Source) Since(name string, at time.Time, from event.Cursor) {
	if !s.reads(name) {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.add(name, time.Now())
	if c.sinceAt(at) {
		c.from = from
	}
	s.notify()
}

// TakeOver takes from a source that has ended what the log does not have: since when
// nothing may be swallowed in channels that were not read yet.
func (s *Source) TakeOver(old *Source) {
	old.mu.Lock()
	defer old.mu.Unlock()
	for name, c := range old.channels {
		if !c.since.IsZero() && !c.isReady() {
			s.Since(name, c.since, c.from)
		}
	}
}

func (c *channel) sinceAt(at time.Time) (first bool) {
	if first = c.since.IsZero() || at.Before(c.since); first {
		c.since = at
	}
	return first
}

func (c *channel) isReady() bool {
	select {
	case <-c.ready:
		return true
	default:
		return false
	}
}

// dropIdle forgets a channel that nobody wants. Called with s.mu held.
func (s *Source) dropIdle(c *channel) {
	if c.on || c.flying || c.poked || s.isAlways(c.name) {
		return
	}
	s.turns.remove(c)
	delete(s.channels, c.name)
}

func (s *Source) isAlways(name string) bool {
	for _, always := range s.plan.Always {
		if s.options.Canonical(always) == name {
			return true
		}
	}
	return false
}
