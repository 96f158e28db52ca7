package access

import (
	"slices"
	"sync/atomic"
	"time"
)

// Watcher is one stream's interest in the verdict that it runs on.
type Watcher struct {
	gate    *Gate
	watch   *watch
	channel string
	onEnd   func(Cause)
	index   int32       // in watch.watchers; -1 when it is no longer there
	over    atomic.Bool // released or told, whichever was first
}

// watch is one question that is asked again and again, for all streams that
// run on its answer.
type watch struct {
	key      digest
	question Question
	// credential is the digest of the question's.
	credential digest
	named      string // the user that answers to this question name
	user       string // whose it is, also if another answer said so; empty if unknown
	watchers   []*Watcher
	allowed    stamp     // when the question was put whose answer was Allowed
	asked      time.Time // when it was last asked again
	due        time.Time // when to ask again
	failed     int       // re-checks without an answer, in a row
	revoked    uint64    // tick of the last revocation that may concern it

	// It waits in one of three ways: in the heap until it is due, in the queue
	// of those that are due for a slot, or for the answer of a flight.
	heapIndex int // -1 if it is not in the heap
	queue     *turns[*watch]
	turn      *turn[*watch]
	flight    *flight
}

// watches finds them by question, channel and user, and holds those that are to
// be asked again. The gate's lock guards them.
type watches struct {
	byKey     map[digest]*watch
	byChannel map[string]map[*watch]int      // how many of its watchers are there
	byUser    map[string]map[*watch]struct{} // under "" those of whom it is not known
	later     []*watch                       // a heap by due
	urgent    turns[*watch]                  // due because of a revocation
	due       turns[*watch]                  // due because time has passed
	lookedAt  time.Time                      // when endOverdue last did
	watchers  int
}

// waiting is how many are due and wait for a slot.
func (ws *watches) waiting() int { return ws.urgent.length + ws.due.length }

func newWatches() watches {
	return watches{
		byKey:     map[digest]*watch{},
		byChannel: map[string]map[*watch]int{},
		byUser:    map[string]map[*watch]struct{}{},
	}
}

// Watch keeps asking the question for as long as a stream runs, until Release.
// v is the verdict that Check gave for it, with which the stream was opened.
// Streams with the same question share the asking. q.Channel may differ between
// the watchers of one question with List.
//
// onEnd is called at most once, when the stream has to end: as soon as the
// backend denies, names another user, or has not answered for the cadence plus
// the grace. It is called from the gate's goroutines and must not block.
func (g *Gate) Watch(q Question, v Verdict, onEnd func(Cause)) *Watcher {
	key, credential := g.key.question(&q), g.key.credential(q.Credential)
	g.mu.Lock()
	defer g.mu.Unlock()
	user := v.User
	if user == "" {
		user, _ = g.known.user(credential)
	}
	w := g.watches.byKey[key]
	if w == nil {
		w = &watch{key: key, credential: credential, question: q, allowed: v.asked, heapIndex: -1}
		if w.allowed.at.IsZero() {
			w.allowed.at = time.Now()
		}
		g.watches.byKey[key] = w
		g.watches.enlist(w)
		g.watches.reschedule(w, w.allowed.at.Add(spread(g.config.Cadence)))
	}
	watcher := &Watcher{gate: g, watch: w, channel: q.Channel, onEnd: onEnd}
	g.watches.add(watcher)
	if w.user == "" {
		g.watches.identify(w, user)
	}
	if w.named == "" {
		w.named = v.User
	}
	// Between the verdict and now somebody may have learnt better.
	newer, ok := g.cache.get(key, time.Now())
	switch {
	case g.outdated(&q, user, v.asked.tick),
		ok && newer.verdict.asked.tick > v.asked.tick && newer.verdict.forChannel(&q).Outcome == Denied,
		v.User != w.named && v.User != "":
		g.hasten(w)
	}
	g.nudge()
	return watcher
}

// Release ends the interest. When it has returned, onEnd has been called, is
// being called, or never will be. It may be called more than once.
func (w *Watcher) Release() {
	w.over.Store(true)
	g := w.gate
	g.mu.Lock()
	defer g.mu.Unlock()
	if w.index >= 0 {
		g.watches.remove(w)
	}
}

// settle lets an answer serve the watch on the same question, whoever asked.
// The gate is locked.
func (g *Gate) settle(f *flight, now time.Time) (ended endings) {
	w := g.watches.byKey[f.key]
	if w == nil {
		return nil
	}
	own := w.flight == f
	if own {
		w.flight = nil
	}
	v := &f.verdict
	switch {
	case f.asked.tick < w.allowed.tick: // a later question was answered before
		g.watches.reschedule(w, w.due)
	case v.Outcome == Denied:
		return g.watches.end(w, v.Cause)
	case v.Outcome == Allowed && w.named != "" && v.User != "" && v.User != w.named:
		return g.watches.end(w, IdentityChanged)
	case v.Outcome == Allowed && f.asked.tick > w.revoked:
		w.allowed, w.failed = f.asked, 0
		if v.User != "" {
			w.named = v.User
			g.watches.identify(w, v.User)
		}
		g.watches.reschedule(w, w.allowed.at.Add(spread(g.config.Cadence)))
		return g.watches.endUnlisted(w, v)
	case g.overdue(w, now):
		return g.watches.end(w, GraceOver)
	case own && v.Outcome == Allowed: // it was put before something was revoked
		g.watches.reschedule(w, w.soon())
	case own && w.revoked > w.allowed.tick:
		g.watches.reschedule(w, now.Add(spread(2*pause)))
	case own:
		due := now.Add(max(spread(g.again(w)), v.RetryAfter))
		if last := g.last(w); last.Before(due) {
			due = last
		}
		g.watches.reschedule(w, due)
	}
	return nil
}

// again is how long to wait before a re-check is repeated that was not answered:
// a second at first, so that a failure by chance does not keep a stream open that
// would be denied, and then longer and longer, up to a quarter of the cadence.
func (g *Gate) again(w *watch) time.Duration {
	longest := g.config.Cadence / 4
	wait := time.Second << min(w.failed, 16)
	w.failed++
	return min(wait, longest)
}

// last is when the watch ends if it is not answered until then.
func (g *Gate) last(w *watch) time.Time {
	return w.allowed.at.Add(g.config.Cadence + g.config.Grace)
}

// overdue tells whether the watch has gone without an answer for too long.
func (g *Gate) overdue(w *watch, now time.Time) bool { return !now.Before(g.last(w)) }

// add puts a watcher to its watch.
func (ws *watches) add(w *Watcher) {
	w.index = int32(len(w.watch.watchers))
	w.watch.watchers = append(w.watch.watchers, w)
	ws.watchers++
	in := ws.byChannel[w.channel]
	if in == nil {
		in = map[*watch]int{}
		ws.byChannel[w.channel] = in
	}
	in[w.watch]++
}

// remove takes a watcher from its watch, and the watch away with its last.
func (ws *watches) remove(w *Watcher) {
	watch := w.watch
	last := len(watch.watchers) - 1
	watch.watchers[w.index] = watch.watchers[last]
	watch.watchers[w.index].index = w.index
	watch.watchers[last] = nil
	watch.watchers = watch.watchers[:last]
	w.index = -1
	ws.watchers--
	in := ws.byChannel[w.channel]
	if in[watch]--; in[watch] == 0 {
		delete(in, watch)
		if len(in) == 0 {
			delete(ws.byChannel, w.channel)
		}
	}
	if last > 0 {
		return
	}
	delete(ws.byKey, watch.key)
	ws.unlist(watch)
	ws.unschedule(watch)
}

// identify notes whose watch it is.
func (ws *watches) identify(w *watch, user string) {
	if w.user != user {
		ws.unlist(w)
		w.user = user
		ws.enlist(w)
	}
}

func (ws *watches) enlist(w *watch) {
	if ws.byUser[w.user] == nil {
		ws.byUser[w.user] = map[*watch]struct{}{}
	}
	ws.byUser[w.user][w] = struct{}{}
}

func (ws *watches) unlist(w *watch) {
	of := ws.byUser[w.user]
	delete(of, w)
	if len(of) == 0 {
		delete(ws.byUser, w.user)
	}
}

// ending is a watcher that has to be told.
type ending struct {
	watcher *Watcher
	cause   Cause
}

type endings []ending

// tell tells them, without the gate's lock.
func (e endings) tell() {
	for _, one := range e {
		if one.watcher.over.CompareAndSwap(false, true) {
			one.watcher.onEnd(one.cause)
		}
	}
}

// end removes the watch and all its watchers.
func (ws *watches) end(w *watch, cause Cause) (ended endings) {
	for _, watcher := range slices.Clone(w.watchers) {
		ws.remove(watcher)
		ended = append(ended, ending{watcher, cause})
	}
	return ended
}

// endUnlisted removes the watchers whose channel a list no longer has.
func (ws *watches) endUnlisted(w *watch, v *Verdict) (ended endings) {
	if !w.question.List {
		return nil
	}
	for _, watcher := range slices.Clone(w.watchers) {
		if _, listed := slices.BinarySearch(v.Channels, watcher.channel); !listed {
			ws.remove(watcher)
			ended = append(ended, ending{watcher, Forbidden})
		}
	}
	return ended
}
