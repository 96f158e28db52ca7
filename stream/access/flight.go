package access

import (
	"context"
	"errors"
	"slices"
	"time"
)

// pause is how long a question that has failed is not put again.
const pause = 500 * time.Millisecond

// flight is one question on its way, for everybody who wants to know.
type flight struct {
	key digest
	// credential is the digest of the question's, once it is known.
	credential digest
	question   Question
	era        uint64         // of the Asker that was asked
	recheck    bool           // started by the scheduler
	queued     time.Time      // when it began to wait for its turn
	turn       *turn[*flight] // while it waits
	asked      stamp          // when it was put; zero while it waits for its turn
	waiters    int
	sources    []source // who wants to know, also those who have left

	cancel  context.CancelCauseFunc
	givenUp bool // for others who wait

	done    chan struct{} // closed when verdict is set
	verdict Verdict
}

// maxSources bounds who is remembered to have asked one question.
const maxSources = 8

// wants notes who asks: for a bad credential they are counted, also if they have
// hung up by then.
func (f *flight) wants(s source) {
	if len(f.sources) < maxSources && s.address.IsValid() && !slices.Contains(f.sources, s) {
		f.sources = append(f.sources, s)
	}
}

// asking is the gate's questions on their way.
type asking struct {
	flights  map[digest]*flight // the newest one of each key
	waiting  turns[*flight]
	clients  lane
	rechecks lane
	pace     pace
	outage   outage
	era      uint64 // how often the Asker was changed
}

// configure shares the slots out: a quarter is for re-checks.
func (a *asking) configure(c *Config) {
	a.rechecks.slots = max(1, c.MaxInFlight/4)
	a.clients.slots = c.MaxInFlight - a.rechecks.slots
	a.pace = pace{timeout: c.Timeout, newest: a.pace.newest}
	a.outage = outage{}
	a.era++
}

func (a *asking) lane(recheck bool) *lane {
	if recheck {
		return &a.rechecks
	}
	return &a.clients
}

// abandon drops all that waits for its turn. The caller closes their channels.
func (a *asking) abandon() (dropped []*flight) {
	for a.waiting.length > 0 {
		f := a.waiting.pop()
		f.turn, f.verdict = nil, unknown(Unavailable)
		a.forget(f)
		dropped = append(dropped, f)
	}
	return dropped
}

func (a *asking) forget(f *flight) {
	if a.flights[f.key] == f {
		delete(a.flights, f.key)
	}
}

// join finds the flight for the question or makes one. If ok is false, there
// is none to wait for, and its verdict says why; pushed, if not nil, had to make
// room, and the caller closes its channel. The gate is locked.
func (g *Gate) join(key digest, q *Question) (f, pushed *flight, ok bool) {
	a := &g.asking
	refuse := func(c Cause) (*flight, *flight, bool) {
		g.counts.refused++
		return &flight{verdict: unknown(c)}, nil, false
	}
	if g.closed {
		return refuse(Unavailable)
	}
	// An answer to a question that was put before a revocation may be wrong
	// now; then it is put once more.
	if f := a.flights[key]; f != nil && (f.asked.tick == 0 || f.era == a.era && !g.outdated(q, "", f.asked.tick)) {
		f.waiters++
		f.wants(q.source())
		g.counts.shared++
		return f, nil, true
	}
	now := time.Now()
	if !a.outage.holds(&a.clients, now).IsZero() {
		return refuse(Unreachable)
	}
	f = &flight{key: key, question: *q, queued: now, waiters: 1, done: make(chan struct{})}
	f.wants(q.source())
	if a.waiting.length == 0 && a.clients.free() {
		g.start(f)
	} else {
		address := q.source().address
		if a.waiting.length >= g.config.MaxWaiting {
			room := a.waiting.makesRoom(address, q.Client)
			if room == nil {
				return refuse(Overloaded)
			}
			pushed = room.value
			a.waiting.remove(room)
			g.refuseWaiting(pushed, unknown(Overloaded))
		}
		f.turn = a.waiting.push(address, q.Client, f)
		g.nudge() // to look after those who take too long
	}
	a.flights[key] = f
	return f, pushed, true
}

// refuseWaiting gives an answer of our own to a question that had waited for its
// turn. The caller closes its channel.
func (g *Gate) refuseWaiting(f *flight, v Verdict) {
	f.turn, f.verdict = nil, v
	g.asking.forget(f)
	g.counts.refused++
}

// leave is for a waiter who no longer wants to know. A question that has not
// been put and that nobody wants an answer to is dropped.
func (g *Gate) leave(f *flight) {
	g.mu.Lock()
	defer g.mu.Unlock()
	f.waiters--
	if f.waiters == 0 && f.turn != nil {
		g.asking.waiting.remove(f.turn)
		f.turn = nil
		g.asking.forget(f)
	}
}

// start puts the question. The gate is locked, and its lane has a slot.
func (g *Gate) start(f *flight) {
	f.asked = g.stamp()
	f.era = g.asking.era
	lane := g.asking.lane(f.recheck)
	lane.running = append(lane.running, f)
	lane.nextAt = f.asked.at.Add(outagePace)
	g.counts.questions++
	if f.recheck {
		g.counts.rechecks++
	}
	ctx, cancel := context.WithCancelCause(g.ctx)
	f.cancel = cancel
	ask, timeout := g.ask, g.config.Timeout
	g.work.Go(func() {
		defer cancel(nil)
		ctx, end := context.WithTimeout(ctx, timeout)
		defer end()
		v, panicked := put(ctx, ask, f.question)
		if f.credential == (digest{}) {
			f.credential = g.key.credential(f.question.Credential)
		}
		g.land(f, landing{verdict: v, panicked: panicked, late: ctx.Err() != nil})
	})
}

// ErrGivenUp is the cause of the end of a question's context that made room for
// others.
var ErrGivenUp = errors.New("it took much longer than is usual, and others waited")

// landing is how a question came back.
type landing struct {
	verdict  Verdict
	panicked bool
	late     bool // its time was over, or it was given up
}

// answered tells whether the backend has said something, be it that it has
// failed. What our own time ended is no answer, and no sign of an outage either.
func (l *landing) answered() bool {
	return l.verdict.Outcome != Unknown || l.verdict.Cause != Unreachable && !l.late && !l.panicked
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
func (g *Gate) land(f *flight, l landing) {
	g.mu.Lock()
	a := &g.asking
	a.lane(f.recheck).leave(f)
	a.forget(f)
	now := time.Now()
	f.verdict = l.verdict
	f.verdict.asked = f.asked
	if l.verdict.Outcome == Unknown {
		g.counts.failures++
		if l.panicked {
			g.counts.panics++
		}
	}
	if f.era == a.era {
		switch {
		case l.answered():
			a.outage.answered()
			a.pace.answered(f, now)
		case l.verdict.Cause == Unreachable && !l.late:
			a.outage.failure(f.key, now)
		}
		g.learn(f, now)
		g.remember(f, now)
	}
	ended := g.settle(f, now)
	dropped := g.turn(now)
	landed := g.landed
	g.landed = nil
	g.mu.Unlock()

	ended.tell()
	close(f.done)
	for _, f := range dropped {
		close(f.done)
	}
	if landed != nil {
		close(landed)
	}
	g.nudge()
}

// learn takes note of whether the credential is good, and whose it is. The gate
// is locked.
func (g *Gate) learn(f *flight, now time.Time) {
	credential := f.credential
	switch v := &f.verdict; {
	case f.question.Credential.IsZero(): // nobody in particular, and no guess
	case v.Outcome == Allowed:
		g.known.good(credential, v.User, now)
	case v.Cause == BadCredential && !v.Unasked:
		g.known.bad(credential)
		for _, s := range f.sources {
			g.guesses.add(s, credential, now)
		}
	}
}

// remember keeps the answer for as long as it may be believed, counted from
// when its question was put. No answer is no reason to forget one; but where
// there is none, the same question is held off for a moment. The gate is
// locked.
func (g *Gate) remember(f *flight, now time.Time) {
	v := f.verdict
	if v.Outcome == Unknown {
		if _, ok := g.remembered(f.key, &f.question); !ok {
			g.cache.put(f.key, f.question.Client, v, now.Add(pause))
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
	g.cache.put(f.key, f.question.Client, v, v.asked.at.Add(lifetime))
}

// turn lets questions go that waited for their turn, and refuses those that
// waited for too long. The caller closes their channels. The gate is locked.
func (g *Gate) turn(now time.Time) (dropped []*flight) {
	a := &g.asking
	refuse := func(f *flight, v Verdict) {
		g.refuseWaiting(f, v)
		dropped = append(dropped, f)
	}
	for a.waiting.length > 0 && (a.clients.free() || a.outage.on(now)) {
		f := a.waiting.pop()
		f.turn = nil
		wait, blocked := g.blocked(&f.question, now)
		switch {
		case blocked:
			refuse(f, blockedFor(wait))
		case now.Sub(f.queued) > g.config.Timeout:
			refuse(f, unknown(Overloaded))
		case !a.clients.free(), !a.outage.holds(&a.clients, now).IsZero():
			refuse(f, unknown(Unreachable))
		default:
			g.start(f)
		}
	}
	return dropped
}

// giveUp makes room for those who wait, by giving up questions that take much
// longer than is usual. It returns when to look again; zero if only an answer
// makes a difference. The gate is locked.
func (g *Gate) giveUp(now time.Time) (again time.Time) {
	a := &g.asking
	for _, one := range [...]struct {
		lane    *lane
		waiting int
	}{{&a.clients, a.waiting.length}, {&a.rechecks, g.watches.waiting()}} {
		victims, at := one.lane.overdue(now, one.waiting, &a.pace)
		for _, f := range victims {
			f.givenUp = true
			f.cancel(ErrGivenUp)
			g.counts.givenUp++
		}
		if !at.IsZero() && (again.IsZero() || at.Before(again)) {
			again = at
		}
	}
	return again
}
