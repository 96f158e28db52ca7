package access

import (
	"context"
	"slices"
	"sync"
	"time"
)

// Asker puts a question to the backend. It is called from goroutines of the
// Gate, for at most Config.MaxInFlight questions at a time, and must return
// soon after ctx ends. For a question with List it answers Allowed with the
// Channels, whatever q.Channel is. What it cannot make sense of is Unknown; so
// is a panic, which HTTP handlers do when their peer goes away. Where there was
// no answer at all, because no connection was made or it broke, the cause is
// Unreachable.
type Asker func(ctx context.Context, q Question) Verdict

// Config of a Gate. Zero values stand for the defaults.
type Config struct {
	// Allowed, Denied and BadCredential say how long such verdicts are
	// remembered, from when the question was put. Defaults: 30 s, 5 s, 2 s
	// (people sign in and come back at once). Allowed is never longer than the
	// Cadence, so that no stream opens on a verdict whose re-check is due.
	Allowed, Denied, BadCredential time.Duration
	// MaxEntries bounds how many verdicts are remembered. Default: 50,000.
	MaxEntries int
	// MaxInFlight bounds how many questions are with the backend at a time,
	// a quarter of them for re-checks alone. Default: 32; at least 2.
	MaxInFlight int
	// MaxWaiting bounds how many questions wait for their turn. Default: 1024.
	MaxWaiting int
	// Timeout bounds how long the backend has for an answer. Default: 3 s.
	Timeout time.Duration
	// Cadence is how old a verdict may get while a stream runs on it. The
	// question is asked again when 80 to 100 % of it have passed. Default: 60 s.
	Cadence time.Duration
	// Grace is how long streams go on after a re-check is due that cannot be
	// had. Default: 3 cadences.
	Grace time.Duration
	// Guesses is how many distinct bad credentials one address (of IPv6, one
	// /64) may present in any GuessWindow, before credentials of its that are
	// not known to be good are refused without asking. Defaults: 20, a minute.
	Guesses     int
	GuessWindow time.Duration
	// MaxGuessers bounds how many addresses are remembered for that. Default:
	// 10,000.
	MaxGuessers int
}

func (c Config) withDefaults() Config {
	orDuration := func(d *time.Duration, value time.Duration) {
		if *d <= 0 {
			*d = value
		}
	}
	orInt := func(n *int, value int) {
		if *n <= 0 {
			*n = value
		}
	}
	orDuration(&c.Allowed, 30*time.Second)
	orDuration(&c.Denied, 5*time.Second)
	orDuration(&c.BadCredential, 2*time.Second)
	orInt(&c.MaxEntries, 50_000)
	orInt(&c.MaxInFlight, 32)
	c.MaxInFlight = max(c.MaxInFlight, 2)
	orInt(&c.MaxWaiting, 1024)
	orDuration(&c.Timeout, 3*time.Second)
	orDuration(&c.Cadence, time.Minute)
	orDuration(&c.Grace, 3*c.Cadence)
	orInt(&c.Guesses, 20)
	orDuration(&c.GuessWindow, time.Minute)
	orInt(&c.MaxGuessers, 10_000)
	c.Allowed = min(c.Allowed, c.Cadence)
	return c
}

// maxParallel bounds how many questions one CheckAll has open at a time.
const maxParallel = 8

// Gate is where streams ask whether they may open, and where they are told
// that they may no longer run. It outlives configurations: see Configure. All
// methods are safe for concurrent use.
type Gate struct {
	key digestKey

	mu      sync.Mutex // guards everything below; never held while others' code runs
	config  Config
	ask     Asker
	closed  bool
	tick    uint64 // of the last stamp
	cache   cache
	known   known
	guesses guesses
	revoked revocations
	asking  asking
	watches watches
	counts  counts
	landed  chan struct{} // if somebody waits for it: closed by the next answer

	ctx    context.Context // of all questions and the scheduler; ends with Close
	cancel context.CancelFunc
	wake   chan struct{} // tells the scheduler to look again
	work   sync.WaitGroup
}

// New makes a gate, with one goroutine of its own until Close. A nil Asker
// knows nothing.
func New(c Config, ask Asker) *Gate {
	g := &Gate{key: newDigestKey(), wake: make(chan struct{}, 1)}
	g.ctx, g.cancel = context.WithCancel(context.Background())
	g.asking.flights = map[digest]*flight{}
	g.watches = newWatches()
	g.Configure(c, ask)
	g.work.Go(g.schedule)
	return g
}

// Configure changes how questions are put from now on. Remembered verdicts are
// forgotten, so that no new stream opens by the old rules. Streams that run keep
// running; their next re-check goes by the new rules.
func (g *Gate) Configure(c Config, ask Asker) {
	g.mu.Lock()
	g.config, g.ask = c.withDefaults(), ask
	g.cache = newCache(g.config.MaxEntries)
	g.known.limit = g.config.MaxEntries
	g.guesses.limit, g.guesses.window, g.guesses.maxAddresses = g.config.Guesses, g.config.GuessWindow, g.config.MaxGuessers
	g.asking.configure(&g.config)
	for _, w := range g.watches.byKey { // a shorter cadence holds from now on
		if due := time.Now().Add(spread(g.config.Cadence)); due.Before(w.due) {
			g.watches.reschedule(w, due)
		}
	}
	g.mu.Unlock()
	g.nudge()
}

// Close ends all questions and the scheduler, and waits for them. No watcher is
// told anything after it, and every Check is answered Unknown.
func (g *Gate) Close() {
	g.mu.Lock()
	g.closed = true
	ended := g.asking.abandon()
	g.mu.Unlock()
	for _, f := range ended {
		close(f.done)
	}
	g.cancel()
	g.work.Wait()
}

// Check answers the question: from memory, from the same question's answer
// that somebody waits for already, or from the backend. If ctx ends first, the
// answer is Unknown; the question goes on for others and for next time.
func (g *Gate) Check(ctx context.Context, q Question) Verdict {
	key := g.key.question(&q)
	g.mu.Lock()
	v, ok := g.remembered(key, &q)
	if !ok || v.Outcome != Allowed {
		if wait, blocked := g.blocked(&q, time.Now()); blocked {
			g.counts.blocked++
			g.mu.Unlock()
			return blockedFor(wait)
		}
	}
	if ok {
		g.counts.remembered++
		if v.Cause == BadCredential && !v.Unasked {
			g.guesses.add(q.source(), g.key.credential(q.Credential), time.Now())
		}
		g.mu.Unlock()
		return v.forChannel(&q)
	}
	if ctx.Err() != nil {
		g.mu.Unlock()
		return unknown(Unavailable)
	}
	f, pushed, ok := g.join(key, &q)
	g.mu.Unlock()
	if pushed != nil {
		close(pushed.done)
	}
	if !ok {
		return f.verdict
	}
	select {
	case <-f.done:
		return f.verdict.forChannel(&q)
	case <-ctx.Done():
		g.leave(f)
		return unknown(Unavailable)
	}
}

// remembered finds a verdict that may still be believed. The gate is locked.
func (g *Gate) remembered(key digest, q *Question) (Verdict, bool) {
	e, ok := g.cache.get(key, time.Now())
	if !ok || g.closed || g.outdated(q, e.verdict.User, e.verdict.asked.tick) {
		return Verdict{}, false
	}
	return e.verdict, true
}

// outdated tells whether something was revoked after the tick at which a question
// was asked, of the user that its verdict named. The gate is locked.
func (g *Gate) outdated(q *Question, user string, tick uint64) bool {
	if g.revoked.outdated(user, q.Channel, tick) {
		return true
	}
	return len(g.revoked.credentials) > 0 && g.revoked.credentials[g.key.credential(q.Credential)].tick > tick
}

// blocked tells whether the question is not put, because of what else came from
// its address: never, if its credential was good lately. The gate is locked.
func (g *Gate) blocked(q *Question, now time.Time) (wait time.Duration, blocked bool) {
	if q.Credential.IsZero() {
		return 0, false
	}
	if wait, blocked = g.guesses.blocked(q.source(), now); !blocked {
		return 0, false
	}
	_, good := g.known.user(g.key.credential(q.Credential))
	return wait, !good
}

// User is whose credential it is, as far as the backend has said so lately; empty
// if it is not known.
func (g *Gate) User(c Credential) string {
	key := g.key.credential(c)
	g.mu.Lock()
	defer g.mu.Unlock()
	user, _ := g.known.user(key)
	return user
}

// blockedFor is the verdict for a question that is not put.
func blockedFor(wait time.Duration) Verdict {
	return Verdict{Outcome: Unknown, Cause: Blocked, RetryAfter: wait}
}

// forChannel is what an answer means for the question's channel: of a list,
// the one channel.
func (v Verdict) forChannel(q *Question) Verdict {
	if !q.List || v.Outcome != Allowed {
		return v
	}
	_, listed := slices.BinarySearch(v.Channels, q.Channel)
	v.Channels = nil
	if !listed {
		v.Outcome, v.Cause = Denied, Forbidden
	}
	return v
}

// CheckAll answers the question for each of the channels, in their order.
// q.Channel does not matter. With q.List it is one question; otherwise the
// first channel is asked about alone, so that a bad credential costs the backend
// one question and not one for each channel, and then up to 8 at a time.
//
// It stops at the first channel for which there is no verdict, and with all,
// which says that one denial refuses everything, at the first denial. Channels
// that were not asked about are Unknown.
func (g *Gate) CheckAll(ctx context.Context, q Question, channels []string, all bool) []Verdict {
	verdicts := make([]Verdict, len(channels))
	if len(channels) == 0 {
		return verdicts
	}
	all = all && !q.List // of a list, every further channel is answered from memory
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	check := func(i int) {
		each := q
		each.Channel = channels[i]
		verdicts[i] = g.Check(ctx, each)
		if v := &verdicts[i]; v.Outcome == Unknown || v.Outcome == Denied && all {
			stop()
		}
	}
	check(0)
	if verdicts[0].Cause == BadCredential {
		for i := range verdicts {
			verdicts[i] = verdicts[0]
		}
		return verdicts
	}
	var (
		wg   sync.WaitGroup
		next = make(chan int)
	)
	for range min(maxParallel, len(channels)-1) {
		wg.Go(func() {
			for i := range next {
				check(i)
			}
		})
	}
	for i := 1; i < len(channels) && ctx.Err() == nil; i++ {
		select {
		case next <- i:
		case <-ctx.Done():
		}
	}
	close(next)
	wg.Wait()
	return verdicts
}

// stamp is the next point in the gate's order of things. The gate is locked.
func (g *Gate) stamp() stamp {
	g.tick++
	return stamp{g.tick, time.Now()}
}

// nudge makes the scheduler look again.
func (g *Gate) nudge() {
	select {
	case g.wake <- struct{}{}:
	default:
	}
}
