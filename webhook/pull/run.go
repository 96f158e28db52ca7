package pull

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/seed-078801ba/sidestream/stream/event"
)

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
