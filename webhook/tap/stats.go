package tap

import (
	"maps"
	"sync"
	"time"

	"github.com/seed-078801ba/sidestream/stream/event"
)

// What can become of an answer, or of a message in it.
const (
	outcomePublished = "published" // a message that was new
	outcomeKnown     = "known"     // a message that another way in had brought
	outcomeConflict  = "conflict"  // the same, with other content
	outcomeDropped   = "dropped"   // by a rule
	outcomeUnmapped  = "unmapped"  // it was not understood
	outcomeUnread    = "unread"    // it was no answer that can be read
	outcomePoked     = "poked"     // it made somebody read the app
	outcomeIdle      = "idle"      // it should have, and nobody does
	outcomeRevoked   = "revoked"   // the app was asked again who may listen
)

// Outcomes are what can become of an answer, or of a message in it: the keys of
// Stats.Rules.
var Outcomes = []string{
	outcomePublished, outcomeKnown, outcomeConflict, outcomeDropped, outcomeUnmapped, outcomeUnread, outcomePoked, outcomeIdle, outcomeRevoked,
}

// Stats are counts since the Tap was made.
type Stats struct {
	// Rules counts by rule and outcome.
	Rules map[string]map[string]uint64
	// Gaps is how often listeners were told that something may be missing.
	Gaps uint64
	// Waiting is how many answers wait to be read.
	Waiting int
}

// Stats is a copy of the counts.
func (t *Tap) Stats() Stats {
	t.mu.Lock()
	waiting := len(t.queue)
	t.mu.Unlock()
	c := &t.counts
	c.mu.Lock()
	defer c.mu.Unlock()
	s := Stats{Rules: make(map[string]map[string]uint64, len(c.byRule)), Gaps: c.gaps, Waiting: waiting}
	for rule, outcomes := range c.byRule {
		s.Rules[rule] = maps.Clone(outcomes)
	}
	return s
}

type counts struct {
	mu     sync.Mutex
	byRule map[string]map[string]uint64
	gaps   uint64

	unread, doubtful, unmapped, idle, unstored seldom // lines of the log
}

func (c *counts) add(rule, outcome string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.byRule[rule] == nil {
		c.byRule[rule] = map[string]uint64{}
	}
	c.byRule[rule][outcome]++
}

func (c *counts) received(rule string, r *event.Receipt) {
	switch {
	case r.Conflict:
		c.add(rule, outcomeConflict)
	case r.Duplicate:
		c.add(rule, outcomeKnown)
	default:
		c.add(rule, outcomePublished)
	}
}

func (c *counts) gap() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.gaps++
}

// seldom is for a line of the log that strangers can cause. The zero value is ready.
type seldom struct {
	mu    sync.Mutex
	next  time.Time
	times int
}

// turn tells whether the line may be written now, and how often it was due since the
// last one.
func (s *seldom) turn(every time.Duration) (times int, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.times++
	if now := time.Now(); now.After(s.next) {
		times, s.times, s.next = s.times, 0, now.Add(every)
		return times, true
	}
	return 0, false
}
