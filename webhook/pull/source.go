package pull

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/time/rate"

	"github.com/seed-078801ba/sidestream/stream/event"
)

// Options are what a Source needs from its surroundings.
type Options struct {
	// Asker asks the app. Required.
	Asker Asker
	// Publisher takes the events. Required.
	Publisher event.Publisher
	// Mark reads how far a channel was read: the Value of the last event.Mark that
	// the log stored for a source. Required.
	Mark func(source string) (string, error)
	// Canonical is the one form of a channel's name. Nil: it is that already.
	Canonical func(string) string
	// Knows tells whether the log knows the event that created a message. Nil: it
	// knows none.
	Knows func(channel, id string) (bool, error)
	// Head is where the log is now. Nil if nobody wants to be told what is Proven.
	Head func() event.Cursor
	// Proven is told that all that the app has of a channel is in the log, as of a
	// position: what another way in has missed before is not missing any more.
	Proven func(channel string, asOf event.Cursor)
	// Began is told from which position on a channel that was never read is
	// complete, before anything of it is stored. Nil: nobody wants to know.
	Began func(channel string, from event.Cursor) error
	// Turn, if several nodes share the log, gives one node at a time the turn to
	// read a channel, for at most a time. again: it is read even if another node has
	// read it lately. free gives the turn back; done is for how long nobody need read
	// it again, 0 if it was not read.
	Turn func(ctx context.Context, name string, most time.Duration, again bool) (free func(done time.Duration), outcome Outcome, err error)
	// Logger takes what goes wrong, at a bounded rate. Default: slog.Default().
	Logger *slog.Logger
}

// Outcome is what became of asking for a turn.
type Outcome uint8

// The outcomes.
const (
	Taken Outcome = iota // another node has it
	Mine                 // it is given
	Done                 // another node has read the channel lately
)

// Patience is how long a stream waits that was told to: what is said after that is
// not swallowed by the first run.
const Patience = 900 * time.Millisecond

// Source reads the channels of an app. Make one with New, and call Run once.
type Source struct {
	plan    *plan
	options Options
	limiter *rate.Limiter
	counts  counts
	running atomic.Bool
	wake    chan struct{} // has room for one

	mu       sync.Mutex
	channels map[string]*channel
	turns    turns
	troubles map[string]*trouble
	// lastTrouble is the last of them, and troubleAt when it was.
	lastTrouble string
	troubleAt   time.Time
	// paused is until when nothing is asked, because the app has trouble or has
	// enough; failures is how often in a row it had.
	paused   time.Time
	failures int
}

// channel is a channel that somebody listens to, or that is read always, or that is
// owed a look.
type channel struct {
	name string
	on   bool
	// since is from when on nothing may be swallowed by the first run.
	since time.Time
	from  event.Cursor  // where the log was then; zero if that is not known
	ready chan struct{} // closed when it was read, or cannot be

	due      time.Time // when it is read next
	haste    haste
	flying   bool // it is being read
	again    bool // it was poked while it was read
	poked    bool
	failures int
	told     bool // a gap was told since it could be read for the last time
	index    int  // in turns.due; -1 if it is not there
	etags    map[string]remembered
	stored   string // the mark that the log has, as far as it is known here
	verified time.Time
}

// New checks a configuration and makes a Source. Nothing is asked before Run. Errors
// are for whoever wrote the configuration; they hold no secrets.
func New(cfg Config, o Options) (*Source, error) {
	p, err := newPlan(cfg)
	if err != nil {
		return nil, err
	}
	if o.Asker == nil || o.Publisher == nil || o.Mark == nil {
		return nil, errors.New("an Asker, a Publisher and a Mark are required")
	}
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	if o.Canonical == nil {
		o.Canonical = func(name string) string { return name }
	}
	s := &Source{
		plan: p, options: o, limiter: rate.NewLimiter(rate.Limit(p.Rate), max(1, min(p.Rate, p.InFlight))),
		wake: make(chan struct{}, 1), channels: map[string]*channel{}, troubles: map[string]*trouble{},
	}
	s.counts.answers = map[string]uint64{}
	s.counts.unmapped = map[string]uint64{}
	now := time.Now()
	for _, name := range p.Always {
		s.add(o.Canonical(name), now)
	}
	return s, nil
}

// Name is the source's name, unique in its hub.
func (s *Source) Name() string { return s.plan.Name }

// reads tells whether a channel is one that is read.
func (s *Source) reads(name string) bool {
	return event.ValidChannel(name) && s.plan.decoder.Takes(name)
}

// add finds or makes a channel. Called with s.mu held.
func (s *Source) add(name string, due time.Time) *channel {
	c := s.channels[name]
	if c == nil {
		c = &channel{name: name, due: due, index: -1, ready: make(chan struct{}), etags: map[string]remembered{}}
		s.channels[name] = c
		s.turns.put(c)
	}
	return c
}

// notify has the schedule looked at.
func (s *Source) notify() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// Poke implements event.Poker. A channel that nobody listens to is not read: it will
// be, from where it was read to, when somebody comes. If it never was, it is not one
// that is read.
func (s *Source) Poke(p event.Poke) (taken bool) {
	s.counts.pokes.Add(1)
	if p.Channel == "" {
		s.pokeAll()
		return true
	}
	name := s.options.Canonical(p.Channel)
	if !s.reads(name) {
		return false
	}
	s.mu.Lock()
	if c := s.channels[name]; c != nil {
		s.poke(c)
		s.mu.Unlock()
		s.notify()
		return true
	}
	s.mu.Unlock()
	text, err := s.options.Mark(s.markName(name))
	return err == nil && text != ""
}

func (s *Source) pokeAll() {
	s.mu.Lock()
	for _, c := range s.channels {
		if c.on || s.isAlways(c.name) {
			c.again = c.flying
			if !c.flying {
				s.turns.advance(c, time.Now())
			}
		}
	}
	s.mu.Unlock()
	s.notify()
}

// poke has a channel read soon. Called with s.mu held.
func (s *Source) poke(c *channel) {
	c.poked = true
	if c.flying {
		c.again = true // what is being read may not have it yet
		return
	}
	if c.failures == 0 {
		s.turns.hurry(c, poked, time.Now())
	}
}
