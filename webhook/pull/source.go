package pull

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
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

// ErrRunning is the error of a second Run.
var ErrRunning = errors.New("the source runs already, or has run")

// Run reads until ctx ends, and returns when all that it began is over.
func (s *Source) Run(ctx context.Context) error {
	if s.running.Swap(true) {
		return ErrRunning
	}
	var work sync.WaitGroup
	defer work.Wait()
	slots := make(chan struct{}, s.plan.InFlight)
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case slots <- struct{}{}:
		case <-ctx.Done():
			return nil
		}
		c, wait := s.next(time.Now())
		if c != nil {
			work.Go(func() {
				defer func() { <-slots; s.notify() }()
				s.readOnce(ctx, c)
			})
			continue
		}
		<-slots
		timer.Reset(wait)
		select {
		case <-timer.C:
		case <-s.wake:
		case <-ctx.Done():
			return nil
		}
	}
}

// idleWait is how long a schedule with nothing in it waits.
const idleWait = time.Hour

// next takes the channel whose turn it is, or says how long there is none.
func (s *Source) next(now time.Time) (c *channel, wait time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if wait := s.paused.Sub(now); wait > 0 {
		return nil, wait
	}
	if c, wait = s.turns.take(now); c == nil {
		return nil, wait
	}
	c.flying, c.again = true, false
	s.counts.inFlight.Add(1)
	return c, 0
}

// readOnce reads a channel, and says when it is read again.
func (s *Source) readOnce(ctx context.Context, c *channel) {
	defer s.counts.inFlight.Add(-1)
	outcome, err := s.readInTurn(ctx, c)
	now := time.Now()
	s.mu.Lock()
	defer s.mu.Unlock()
	c.flying = false
	switch {
	case ctx.Err() != nil:
		return
	case err != nil:
		s.failed(c, err, now)
	case outcome == Done:
		c.due = now.Add(jitter(time.Duration(s.plan.Every)))
		s.turns.put(c)
	case outcome == Taken: // it is asked again soon: what is new may have come too late for the other node
		c.due = now.Add(jitter(250 * time.Millisecond))
		s.turns.put(c)
	default:
		s.succeeded(c, now)
	}
	s.dropIdle(c)
}

// readInTurn reads a channel, if it is this node's turn.
func (s *Source) readInTurn(ctx context.Context, c *channel) (outcome Outcome, err error) {
	if s.options.Turn == nil {
		return Mine, s.read(ctx, c)
	}
	s.mu.Lock()
	again := c.poked || !c.isReady()
	s.mu.Unlock()
	most := time.Duration(s.plan.Timeout) * time.Duration(s.plan.Pages+2)
	free, outcome, err := s.options.Turn(ctx, s.markName(c.name), most, again)
	if err != nil || outcome != Mine {
		return outcome, err
	}
	done := time.Duration(0)
	defer func() { free(done) }()
	if err = s.read(ctx, c); err == nil {
		done = time.Duration(s.plan.Every) * 3 / 4
	}
	return Mine, err
}

// read reads a channel.
func (s *Source) read(ctx context.Context, c *channel) error {
	text, err := s.options.Mark(s.markName(c.name))
	if err != nil {
		return err
	}
	s.mu.Lock()
	r := &reading{s: s, channel: c.name, since: c.since, from: c.from, etags: c.etags, poked: c.poked}
	if c.stored != text { // another node has read it, or nobody yet
		clear(c.etags)
		c.stored = text
	}
	c.poked = false
	s.mu.Unlock()
	r.m, r.known = parseMark(text)
	var asOf event.Cursor
	if s.options.Head != nil {
		asOf = s.options.Head()
	}
	if r.from.Epoch != asOf.Epoch {
		r.from = asOf
	}
	if err = r.run(ctx); err != nil {
		s.mu.Lock()
		c.poked = c.poked || r.poked
		clear(c.etags) // what was read may not be stored
		s.mu.Unlock()
		return err
	}
	if s.options.Proven != nil && s.options.Head != nil {
		s.options.Proven(c.name, asOf)
	}
	return nil
}

// succeeded is called with s.mu held.
func (s *Source) succeeded(c *channel, now time.Time) {
	s.failures, c.failures, c.told = 0, 0, false
	if !c.isReady() {
		close(c.ready)
	}
	c.due = now.Add(jitter(time.Duration(s.plan.Every)))
	s.turns.put(c)
	if c.again {
		s.turns.hurry(c, poked, now)
	}
}

// Bounds of the pauses after a failure.
const (
	firstPause   = time.Second
	longestPause = time.Minute
	// A channel that the reader may not read is looked at again now and then.
	firstDenied   = 5 * time.Second
	longestDenied = 5 * time.Minute
)

// failed is called with s.mu held.
func (s *Source) failed(c *channel, err error, now time.Time) {
	var r *refused
	if errors.As(err, &r) && r.ofChannel() {
		c.failures++
		c.due = now.Add(backoff(firstDenied, longestDenied, c.failures))
		if !c.isReady() {
			close(c.ready) // there is nothing to wait for
		}
		s.report("a channel cannot be read from the app", "channel", c.name, "error", err)
		if c.poked || c.again {
			c.poked = false
			s.owe(c)
		}
		s.turns.put(c)
		return
	}
	// The app, or the log, has trouble: that is not this channel's fault.
	c.due = now
	s.turns.put(c)
	s.turns.hurry(c, waited, now)
	if now.Before(s.paused) {
		return // another one has said so
	}
	s.failures++
	pause := backoff(firstPause, longestPause, s.failures)
	if r != nil && r.after > 0 {
		pause = r.after
	}
	s.paused = now.Add(pause)
	s.report("the app cannot be read; trying again", "channel", c.name, "pause", pause.Round(time.Millisecond), "error", err)
}

// owe tells a gap in a channel that cannot be read, although something is new. Called
// with s.mu held.
func (s *Source) owe(c *channel) {
	if c.told {
		return
	}
	c.told = true
	s.counts.gaps.Add(1)
	ctx, cancel := context.WithTimeout(context.Background(), publishTimeout)
	go func() { // ends within publishTimeout
		defer cancel()
		_, err := s.options.Publisher.Publish(ctx, event.Batch{Events: []event.Event{gapEvent(c.name)}})
		if err != nil {
			s.mu.Lock()
			defer s.mu.Unlock()
			c.told = false
			s.report("a gap could not be stored", "channel", c.name, "error", err)
		}
	}()
}

// backoff is the pause after a number of failures in a row.
func backoff(first, longest time.Duration, failures int) time.Duration {
	return jitter(min(longest, first<<min(failures-1, 10)))
}

// jitter is a time that differs by up to a fifth, so that channels do not have their
// turns all at once.
func jitter(d time.Duration) time.Duration {
	return time.Duration(float64(d) * (0.8 + 0.4*rand.Float64()))
}

// publishTimeout bounds one commit.
const publishTimeout = 10 * time.Second

func (s *Source) markName(channel string) string { return "pull/" + s.plan.Name + "/" + channel }

// stored is the mark that the log has of a channel, as far as it is known here.
func (s *Source) stored(channel string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if c := s.channels[channel]; c != nil {
		return c.stored
	}
	return ""
}

// publish stores events of a channel, and how far it was read.
func (s *Source) publish(ctx context.Context, channel string, events []event.Event, m string) error {
	ctx, cancel := context.WithTimeout(ctx, publishTimeout)
	defer cancel()
	receipts, err := s.options.Publisher.Publish(ctx, event.Batch{
		Events: events, Mark: &event.Mark{Source: s.markName(channel), Value: m},
	})
	if err != nil {
		return err
	}
	for i := range receipts {
		switch {
		case receipts[i].Duplicate:
			s.counts.duplicates.Add(1)
		case events[i].Op != event.Gap:
			s.counts.published.Add(1)
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if c := s.channels[channel]; c != nil {
		c.stored = m
	}
	return nil
}

// verifyEvery is how often the newest messages are looked at where a poke said that
// something is new and the app says that nothing is.
const verifyEvery = time.Minute

// mayVerify tells whether it is time for that.
func (s *Source) mayVerify(channel string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.channels[channel]
	if c == nil || time.Since(c.verified) < verifyEvery {
		return false
	}
	c.verified = time.Now()
	return true
}
