package pull

import (
	"maps"
	"sync"
	"sync/atomic"
	"time"
)

// Stats are counts since the Source was made, and what is going on now.
type Stats struct {
	// Questions are those that were asked, by the status of the answer; "failed"
	// without one.
	Questions map[string]uint64
	// Published are events that were new, Duplicates those that another way in had
	// brought, or that were read again.
	Published, Duplicates uint64
	Gaps                  uint64 // told, because something was passed over or could not be read
	Pokes                 uint64
	Dropped               uint64            // messages that a rule dropped
	Untimed               uint64            // messages whose time could not be read
	UnmappedFor           map[string]uint64 // by the reason, a constant text
	Channels              int               // that are read
	InFlight              int               // channels that are being read
	Paused                bool              // nothing is asked, because the app has trouble
	Behind                time.Duration     // how long the most overdue channel has been waiting
}

type counts struct {
	published, duplicates, gaps, pokes, dropped, untimed atomic.Uint64
	inFlight                                             atomic.Int64

	mu       sync.Mutex
	answers  map[string]uint64
	unmapped map[string]uint64
}

func (c *counts) ask(outcome string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.answers[outcome]++
}

func (c *counts) read(l *list) {
	c.dropped.Add(uint64(l.dropped))
	c.untimed.Add(uint64(l.untimed))
	c.mu.Lock()
	defer c.mu.Unlock()
	for reason, n := range l.unmapped {
		c.unmapped[reason] += uint64(n)
	}
}

// Stats are the source's counts. Safe for concurrent use.
func (s *Source) Stats() Stats {
	c := &s.counts
	st := Stats{
		Published: c.published.Load(), Duplicates: c.duplicates.Load(), Gaps: c.gaps.Load(), Pokes: c.pokes.Load(),
		Dropped: c.dropped.Load(), Untimed: c.untimed.Load(), InFlight: int(c.inFlight.Load()),
	}
	c.mu.Lock()
	st.Questions, st.UnmappedFor = maps.Clone(c.answers), maps.Clone(c.unmapped)
	c.mu.Unlock()
	now := time.Now()
	s.mu.Lock()
	defer s.mu.Unlock()
	st.Channels, st.Paused = len(s.channels), now.Before(s.paused)
	st.Behind = s.turns.behind(now)
	return st
}

// trouble is one kind of trouble, told once in a while.
type trouble struct {
	told  time.Time
	times int
}

// tellEvery is how often one kind of trouble is told.
const tellEvery = time.Minute

// report logs trouble, one line a minute for each kind. Called with s.mu held.
func (s *Source) report(what string, args ...any) {
	t := s.troubles[what]
	if t == nil {
		t = new(trouble)
		s.troubles[what] = t
	}
	t.times++
	s.lastTrouble, s.troubleAt = what, time.Now()
	for i := 0; i+1 < len(args); i += 2 {
		if err, ok := args[i+1].(error); ok {
			s.lastTrouble += ": " + err.Error()
		}
	}
	if now := time.Now(); t.told.IsZero() || now.Sub(t.told) >= tellEvery {
		s.options.Logger.Warn(what, append([]any{"source", s.plan.Name, "times", t.times}, args...)...)
		t.told, t.times = now, 0
	}
}

// troubleLasts is how long trouble is shown that has not come again.
const troubleLasts = time.Hour

// Trouble is what went wrong last, within an hour; empty if nothing has. It holds no
// secret. Safe for concurrent use.
func (s *Source) Trouble() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.lastTrouble == "" || time.Since(s.troubleAt) > troubleLasts {
		return ""
	}
	return s.lastTrouble
}
