package access

import (
	"context"
	"slices"
	"time"
)

// After tripAfter failures in a row the backend is taken to be down: for
// pause after each failure nobody asks, and then one question at a time tries
// until one is answered. One question that fails is not asked again for pause
// either, but others are: a channel for which the backend fails must not shut
// out everybody else.
const (
	tripAfter = 5
	pause     = 500 * time.Millisecond
)

// flight is one question on its way, for everybody who wants to know.
type flight struct {
	key      digest
	question Question
	era      uint64    // of the Asker that was asked
	recheck  bool      // started by the scheduler
	queued   time.Time // when it began to wait for its turn
	asked    stamp     // when it was put; zero while it waits for its turn
	waiters  int

	done    chan struct{} // closed when verdict is set
	verdict Verdict
}

// asking is the gate's questions on their way.
type asking struct {
	flights    map[digest]*flight // the newest one of each key
	waiting    []*flight          // for their turn, first come first
	inFlight   int
	rechecking int    // of inFlight, the scheduler's
	era        uint64 // how often the Asker was changed
	failures   int    // in a row
	resume     time.Time
}

// down tells whether no question may be put now.
func (a *asking) down(now time.Time) bool {
	return a.failures >= tripAfter && (now.Before(a.resume) || a.inFlight > 0)
}

// abandon drops all that waits for its turn. The caller closes their channels.
func (a *asking) abandon() []*flight {
	dropped := a.waiting
	a.waiting = nil
	for _, f := range dropped {
		f.verdict = unknown(Unavailable)
		delete(a.flights, f.key)
	}
	return dropped
}

// recheckSlots is how many questions the scheduler may have in flight.
func (c *Config) recheckSlots() int { return max(1, c.MaxInFlight/4) }

// mayAsk tells whether there is a slot for one more question. Clients cannot
// take the scheduler's slots, nor it theirs.
func (g *Gate) mayAsk(recheck bool) bool {
	a := &g.asking
	if a.inFlight >= g.config.MaxInFlight {
		return false
	}
	if recheck {
		return a.rechecking < g.config.recheckSlots()
	}
	return a.inFlight-a.rechecking < g.config.MaxInFlight-g.config.recheckSlots()
}

// join finds the flight for the question or makes one. If ok is false, there
// is none to wait for, and its verdict says why. The gate is locked.
func (g *Gate) join(key digest, q *Question) (f *flight, ok bool) {
	a := &g.asking
	refuse := func(c Cause) (*flight, bool) {
		g.counts.refused++
		return &flight{verdict: unknown(c)}, false
	}
	if g.closed {
		return refuse(Unavailable)
	}
	// An answer to a question that was put before a revocation may be wrong
	// now; then it is put once more.
	if f := a.flights[key]; f != nil && (f.asked.tick == 0 || f.era == a.era && !g.revoked.suspect(q.Channel, f.asked.tick)) {
		f.waiters++
		g.counts.shared++
		return f, true
	}
	if a.down(time.Now()) {
		return refuse(Unavailable)
	}
	f = &flight{key: key, question: *q, queued: time.Now(), waiters: 1, done: make(chan struct{})}
	switch {
	case g.mayAsk(false):
		g.start(f)
	case len(a.waiting) < g.config.MaxWaiting:
		a.waiting = append(a.waiting, f)
	default:
		return refuse(Overloaded)
	}
	a.flights[key] = f
	return f, true
}

// leave is for a waiter who no longer wants to know. A question that has not
// been put and that nobody wants an answer to is dropped.
func (g *Gate) leave(f *flight) {
	g.mu.Lock()
	defer g.mu.Unlock()
	f.waiters--
	if f.waiters == 0 && g.asking.unqueue(f) {
		g.asking.forget(f)
	}
}

// unqueue takes the flight out of those that wait for their turn.
func (a *asking) unqueue(f *flight) bool {
	i := slices.Index(a.waiting, f)
	if i < 0 {
		return false
	}
	a.waiting = slices.Delete(a.waiting, i, i+1)
	return true
}

func (a *asking) forget(f *flight) {
	if a.flights[f.key] == f {
		delete(a.flights, f.key)
	}
}

// start puts the question. The gate is locked, and there is a slot.
func (g *Gate) start(f *flight) {
	f.asked = g.stamp()
	f.era = g.asking.era
	g.asking.inFlight++
	g.counts.questions++
	if f.recheck {
		g.asking.rechecking++
		g.counts.rechecks++
	}
	ask, timeout := g.ask, g.config.Timeout
	g.work.Go(func() {
		ctx, cancel := context.WithTimeout(g.ctx, timeout)
		defer cancel()
		v, panicked := put(ctx, ask, f.question)
		g.land(f, v, panicked)
	})
}

// put calls the Asker.
func put(ctx context.Context, ask Asker, q Question) (v Verdict, panicked bool) {
	defer func() {
		if recover() != nil {
			v, panicked = Verdict{}, true
		}
		v = v.tidy()
	}()
	if ask != nil {
		v = ask(ctx, q)
	}
	if v.Outcome == Allowed && q.List {
		v.Channels = slices.Compact(slices.Sorted(slices.Values(v.Channels)))
	} else {
		v.Channels = nil
	}
	return v, false
}

// land takes the answer: remembers it, tells the watchers, the waiters, and
// lets the next question go.
func (g *Gate) land(f *flight, v Verdict, panicked bool) {
	g.mu.Lock()
	a := &g.asking
	a.inFlight--
	if f.recheck {
		a.rechecking--
	}
	a.forget(f)
	v.asked = f.asked
	f.verdict = v
	now := time.Now()
	if v.Outcome == Unknown {
		g.counts.failures++
		if panicked {
			g.counts.panics++
		}
	}
	if f.era == a.era {
		if v.Outcome != Unknown {
			a.failures = 0
		} else if v.Cause != Limited {
			a.failures++
			a.resume = now.Add(pause)
		}
		g.remember(f, now)
	}
	ended := g.settle(f, now)
	dropped := g.turn(now)
	g.mu.Unlock()

	ended.tell()
	close(f.done)
	for _, f := range dropped {
		close(f.done)
	}
	g.nudge()
}

// remember keeps the answer for as long as it may be believed, reckoned from
// when its question was put. No answer is no reason to forget one; but where
// there is none, the same question is held off for a moment. The gate is
// locked.
func (g *Gate) remember(f *flight, now time.Time) {
	v := f.verdict
	if v.Outcome == Unknown {
		if _, ok := g.remembered(f.key, f.question.Channel); !ok {
			g.cache.put(f.key, v, now.Add(pause))
		}
		return
	}
	lifetime := g.config.Allowed
	switch {
	case v.Cause == BadCredential:
		lifetime = g.config.BadCredential
	case v.Outcome == Denied:
		lifetime = g.config.Denied
	}
	if v.MaxAge > 0 {
		lifetime = min(lifetime, v.MaxAge)
	}
	if v.MaxAge < 0 {
		g.cache.remove(f.key)
		return
	}
	g.cache.put(f.key, v, v.asked.at.Add(lifetime))
}

// turn lets questions go that waited for their turn, and gives up those that
// waited for too long. The caller closes their channels. The gate is locked.
func (g *Gate) turn(now time.Time) (dropped []*flight) {
	a := &g.asking
	for len(a.waiting) > 0 {
		f := a.waiting[0]
		switch {
		case a.down(now):
			f.verdict = unknown(Unavailable)
		case now.Sub(f.queued) > g.config.Timeout:
			f.verdict = unknown(Overloaded)
		case !g.mayAsk(false):
			return dropped
		default:
			g.start(f)
		}
		if f.asked.tick == 0 {
			a.forget(f)
			g.counts.refused++
			dropped = append(dropped, f)
		}
		a.waiting[0] = nil
		a.waiting = a.waiting[1:]
	}
	return dropped
}
