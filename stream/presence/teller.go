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

// line is what there is to tell of one channel, and what the app knows of it when all
// of that is told.
type line struct {
	channel  string
	known    map[string]Present // nil: only the count
	count    int
	notices  []*Notice
	snapshot bool // who is there is to be told, and nothing else
	busy     bool // a notice is on its way
	queued   bool // in Teller.due
	tries    int
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

func (t *Teller) line(channel string) *line {
	l := t.lines[channel]
	if l == nil {
		l = &line{channel: channel, known: map[string]Present{}}
		t.lines[channel] = l
	}
	return l
}

// note takes up a change of a channel.
func (t *Teller) note(l *line, c *Change) {
	l.count = c.Count
	switch c.Kind {
	case Counted:
		l.known = nil
		if last := len(l.notices) - 1; last > 0 && l.notices[last].Kind == Counted {
			l.notices[last].Change = *c // an older count is worth nothing
			return
		}
		t.tell(l, c)
	case Listed:
		t.list(l, c)
	case Left:
		delete(l.known, c.User)
		t.tell(l, c)
	default:
		if l.known == nil {
			l.known = map[string]Present{}
		}
		l.known[c.User] = c.Present
		t.tell(l, c)
	}
	t.forget(l)
}

// list compares what the app will know of a channel with who is there, and tells the
// difference. Where it knew only a count, it is told who is there.
func (t *Teller) list(l *line, c *Change) {
	known, there := l.known, map[string]Present{}
	for _, p := range c.Users {
		there[p.User] = p
	}
	l.known = there
	if known == nil {
		t.replace(l)
		return
	}
	count := len(known)
	for user, p := range known {
		if _, ok := there[user]; !ok {
			count--
			p.State, p.Streams, p.Changed = Offline, 0, c.At
			t.tell(l, &Change{Kind: Left, Present: p, At: c.At, Count: count})
		}
	}
	for user, p := range there {
		switch was, ok := known[user]; {
		case !ok:
			count++
			t.tell(l, &Change{Kind: Joined, Present: p, At: c.At, Count: count})
		case was.State != p.State:
			t.tell(l, &Change{Kind: Changed, Present: p, At: c.At, Count: count})
		}
	}
}

// tell puts a change behind those that wait.
func (t *Teller) tell(l *line, c *Change) {
	switch {
	case t.role != telling:
		return // another node tells it
	case l.snapshot: // it will be in there
	case len(l.notices) >= maxUntold, t.untold >= maxUntoldInAll:
		t.replace(l)
	default:
		l.notices = append(l.notices, &Notice{ID: rand.Text(), Change: *c})
		t.untold++
		t.queue(l)
	}
}

// replace has it told who is in a channel, in place of all that waits.
func (t *Teller) replace(l *line) {
	if t.role != telling {
		return
	}
	keep := 0
	if l.busy && !l.snapshot {
		keep = 1 // it is on its way
	}
	t.stats.Replaced += uint64(len(l.notices) - keep)
	t.untold -= len(l.notices) - keep
	l.notices = l.notices[:keep]
	l.snapshot = true
	t.queue(l)
}

func (t *Teller) queue(l *line) {
	if !l.queued && !l.busy {
		l.queued = true
		t.due = append(t.due, l)
	}
}

// forget drops a channel that nobody is in and of which there is nothing to tell.
func (t *Teller) forget(l *line) {
	if l.count == 0 && len(l.known) == 0 && len(l.notices) == 0 && !l.snapshot && !l.busy && !l.queued {
		delete(t.lines, l.channel)
	}
}

// dispatch starts workers for what there is to do.
func (t *Teller) dispatch() {
	if t.paused || t.role != telling || t.life.Err() != nil {
		return
	}
	for t.workers < tellersAtOnce && (len(t.due) > t.workers || t.reset != nil && t.workers == 0) {
		t.workers++
		t.work.Add(1)
		go func() {
			defer t.work.Done()
			t.run()
		}()
	}
}

// run brings notices to the app until there are none, or it fails.
func (t *Teller) run() {
	t.mu.Lock()
	defer t.mu.Unlock()
	defer func() { t.workers-- }()
	for !t.paused && t.role == telling && t.life.Err() == nil {
		if t.reset != nil {
			if t.workers > 1 {
				return // the last one tells it, and nothing is told beside it
			}
			if !t.tryReset() {
				return
			}
			continue
		}
		if len(t.due) == 0 {
			return
		}
		l := t.due[0]
		t.due = t.due[1:]
		l.queued = false
		t.try(l)
	}
}

// tryReset tells the app that what it knows is void. It tells whether it could.
func (t *Teller) tryReset() bool {
	n := t.reset
	n.Channels = n.Channels[:0]
	for name, l := range t.lines {
		if l.count > 0 && l.snapshot { // of others, all will be told
			n.Channels = append(n.Channels, name)
		}
	}
	slices.Sort(n.Channels)
	err := t.bring(n)
	if err != nil {
		return false
	}
	if t.reset == n {
		t.reset = nil
	}
	t.dispatch()
	return true
}

// try brings the next notice of a channel to the app.
func (t *Teller) try(l *line) {
	var n *Notice
	whole := l.snapshot
	switch {
	case whole:
		n = l.whole()
		l.snapshot = false
		t.untold -= len(l.notices)
		l.notices = nil
	case len(l.notices) > 0:
		n = l.notices[0]
	default:
		t.forget(l)
		return
	}
	l.busy = true
	err := t.bring(n)
	l.busy = false
	switch {
	case t.lines[l.channel] != l: // all was forgotten meanwhile
		return
	case err == nil:
		l.tries = 0
		if !whole && len(l.notices) > 0 && l.notices[0] == n {
			l.notices = l.notices[1:]
			t.untold--
		}
	case whole:
		t.replace(l)
	default:
		if l.tries++; l.tries >= maxTries {
			l.tries = 0
			t.replace(l)
		}
	}
	if len(l.notices) > 0 || l.snapshot {
		t.queue(l)
	}
	t.forget(l)
}

// bring brings a notice to the app, without the lock. After a failure, nothing is
// brought for a while.
func (t *Teller) bring(n *Notice) error {
	send := t.send
	t.mu.Unlock()
	err := send(t.life, n)
	t.mu.Lock()
	if err == nil {
		t.stats.Told++
		t.pause = 0
		return nil
	}
	t.stats.Failed++
	if !t.paused && t.life.Err() == nil {
		t.pause = min(max(2*t.pause, firstTellPause), lastTellPause)
		t.paused = true
		t.after(t.pause, func() {
			t.paused = false
			t.dispatch()
		})
	}
	return err
}

// whole is who is there, as a notice.
func (l *line) whole() *Notice {
	c := Change{Kind: Listed, Present: Present{Channel: l.channel}, At: time.Now(), Count: l.count}
	if l.known == nil {
		c.Kind = Counted
	} else {
		c.Count = len(l.known)
	}
	for _, p := range l.known {
		c.Users = append(c.Users, p)
	}
	return &Notice{ID: rand.Text(), Change: c}
}

// demand has the app told who is in a channel, or in all, because somebody asked.
func (t *Teller) demand(channels []string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, channel := range channels {
		switch {
		case t.role != telling:
		case channel == "":
			t.resetAll()
		case t.shows(channel):
			t.replace(t.line(channel))
		}
	}
	t.dispatch()
}
