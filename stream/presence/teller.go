package presence

import (
	"context"
	"crypto/rand"
	"slices"
	"sync"
	"time"
)

// Reset is a kind of Notice: what the app knows of channels is void, but for those
// that are listed. Of those, a Listed or Counted follows.
const Reset Kind = 5

// Notice is one thing that the app is told.
type Notice struct {
	// ID is the same for all tries.
	ID string
	Change
	// Channels are those of a Reset.
	Channels []string
}

// Send brings a notice to the app. An error means that it is to be tried again.
type Send func(context.Context, *Notice) error

const (
	// tellersAtOnce is how many notices are on their way at once, each of another
	// channel.
	tellersAtOnce = 4
	// maxUntold bounds the notices of one channel that wait, and maxUntoldInAll those
	// of all. Beyond, who is there is told instead of what has changed.
	maxUntold, maxUntoldInAll = 1000, 50_000
	// maxTries is how often a notice is tried before that.
	maxTries = 8

	firstTellPause, lastTellPause = time.Second, 30 * time.Second
	// tellAllEvery is how often the app is told everything, in case that it knows
	// something else: a node that nobody else has heard may have told it.
	tellAllEvery = 10 * time.Minute
)

// Teller tells the app who is there: every change, in the order of each channel. What
// cannot be told is tried again, and what was not told at last is made good by telling
// who is there. Of several nodes that could, one tells.
//
// It is safe for concurrent use.
type Teller struct {
	roster *Roster
	watch  *Watch
	life   context.Context
	end    context.CancelFunc
	work   sync.WaitGroup

	mu      sync.Mutex
	send    Send
	shows   func(channel string) bool
	role    role
	whole   bool // the next that the watch tells is everything
	reset   *Notice
	lines   map[string]*line
	untold  int
	due     []*line // lines with something to tell, in turn
	workers int
	pause   time.Duration // after failures
	paused  bool
	tries   int // of the reset
	timers  map[*time.Timer]struct{}
	stats   TellerStats
}

// TellerStats are counted since the Teller was made.
type TellerStats struct {
	// Telling: this node tells.
	Telling bool
	// Told and Failed are tries; Replaced are notices that were not told, but who
	// was there instead.
	Told, Failed, Replaced uint64
	// Waiting are notices that are still to be told.
	Waiting int
}

// Tell makes the Teller of a roster. There can be one.
func (r *Roster) Tell(shows func(channel string) bool, send Send) *Teller {
	t := &Teller{roster: r, send: send, shows: shows, lines: map[string]*line{}, timers: map[*time.Timer]struct{}{}}
	t.life, t.end = context.WithCancel(context.Background())
	r.mu.Lock()
	r.teller = t
	r.mu.Unlock()
	t.mu.Lock()
	t.after(tellAllEvery, t.recur)
	t.mu.Unlock()
	return t
}

func (t *Teller) recur() {
	t.resetAll()
	t.after(tellAllEvery, t.recur)
}

// Use changes how and of what the app is told. The roster's Config says whether it is.
func (t *Teller) Use(shows func(channel string) bool, send Send) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.shows, t.send = shows, send
}

// Close ends the Teller. What is untold stays untold.
func (t *Teller) Close() {
	t.roster.mu.Lock()
	if t.roster.teller == t {
		t.roster.teller = nil
	}
	t.roster.mu.Unlock()
	t.end()
	t.mu.Lock()
	w := t.watch
	t.watch, t.role = nil, mute
	for timer := range t.timers {
		if timer.Stop() {
			t.work.Done()
		}
	}
	t.timers = nil
	t.mu.Unlock()
	if w != nil {
		w.Stop()
	}
	t.work.Wait()
}

// Stats tells how the Teller does.
func (t *Teller) Stats() TellerStats {
	t.mu.Lock()
	defer t.mu.Unlock()
	s := t.stats
	s.Telling, s.Waiting = t.role == telling, t.untold
	return s
}

// Snapshot has the app told who is in a channel; who is in all, if it is empty. Where
// another node tells, that one is asked to.
func (r *Roster) Snapshot(channel string) {
	r.mu.Lock()
	r.spread.demand = append(r.spread.demand, channel)
	r.stir()
	r.mu.Unlock()
}

// turn is called by the roster, with its lock held, when it becomes, or is no longer,
// this node's turn to tell.
func (t *Teller) turn(before, now role) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.role = now
	switch {
	case now == mute:
		t.drop()
	case now == telling && before == halted:
		t.listen() // what has changed since is told as such
	case now == telling:
		// What the app knows is of another node, or of a process that is gone. Of the
		// latter, it is told again when all of its users had the time to come back.
		t.resetAll()
		if !t.roster.spread.relieved {
			t.after(t.roster.cfg.Grace, t.resetAll)
		}
	case now == ready:
		for _, l := range t.lines { // the other node tells all
			t.untold -= len(l.notices)
			l.notices, l.snapshot = nil, false
		}
		t.reset = nil
		if before == halted {
			t.listen() // it has not listened
		}
	}
	if now > mute && t.watch == nil {
		t.listen()
	}
}

// rival is called by the roster when another node has told as well.
func (t *Teller) rival() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.resetAll()
}

// listen has the teller told everything anew.
func (t *Teller) listen() {
	r := t.roster
	if t.watch != nil {
		t.watch.stopped = true
		old := t.watch
		r.everyone = slices.DeleteFunc(slices.Clone(r.everyone), func(w *Watch) bool { return w == old })
	}
	w := &Watch{roster: r, fresh: true}
	w.f = func(changes []Change) { t.hear(w, changes) }
	r.begin()
	r.everyone = append(slices.Clone(r.everyone), w)
	t.watch, t.whole = w, true
	r.stir()
}

// drop forgets everything.
func (t *Teller) drop() {
	if w := t.watch; w != nil {
		w.stopped = true
		r := t.roster
		r.everyone = slices.DeleteFunc(slices.Clone(r.everyone), func(other *Watch) bool { return other == w })
	}
	t.watch, t.lines, t.untold, t.due, t.reset = nil, map[string]*line{}, 0, nil, nil
}

// after calls f, with mu held, when a time has passed, unless the Teller ends first.
func (t *Teller) after(d time.Duration, f func()) {
	if t.timers == nil {
		return
	}
	t.work.Add(1)
	var timer *time.Timer
	timer = time.AfterFunc(d, func() {
		defer t.work.Done()
		t.mu.Lock()
		defer t.mu.Unlock()
		if t.timers != nil {
			delete(t.timers, timer)
			f()
		}
	})
	t.timers[timer] = struct{}{}
}

// resetAll has the app told everything anew.
func (t *Teller) resetAll() {
	if t.role != telling {
		return
	}
	for _, l := range t.lines {
		t.replace(l)
	}
	t.reset, t.tries = &Notice{ID: rand.Text(), Change: Change{Kind: Reset, At: time.Now()}}, 0
	t.dispatch()
}

// hear is called by the roster with every change.
func (t *Teller) hear(w *Watch, changes []Change) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if w != t.watch || t.role == halted {
		return // what is missed is found out when it goes on
	}
	whole := t.whole
	t.whole = false
	listed := map[string]bool{}
	for i := range changes {
		c := &changes[i]
		if !t.shows(c.Channel) {
			continue
		}
		listed[c.Channel] = true
		t.note(t.line(c.Channel), c)
	}
	if whole {
		for name, l := range t.lines {
			if !listed[name] { // nobody is there any more
				t.note(l, &Change{Kind: Listed, Present: Present{Channel: name}, At: time.Now()})
			}
		}
	}
	t.dispatch()
}
