package presence

import (
	"slices"
	"time"
)

// Watch is somebody's interest in the changes of a channel, or of all.
type Watch struct {
	roster *Roster
	ch     *channel // nil: all
	f      func([]Change)

	// Guarded by Roster.mu.
	fresh   bool // was told nothing yet
	lists   []func(Change)
	stopped bool
}

// Watch has f told of what changes in a channel: first who is there (Listed, or
// Counted if they are many), then every change in its order. f is called by one
// goroutine, for one after the other, and may call the roster; it had better not wait
// long, because nobody is told of anything while it does.
func (r *Roster) Watch(channel string, f func([]Change)) *Watch {
	r.mu.Lock()
	defer r.mu.Unlock()
	w := &Watch{roster: r, f: f, fresh: true}
	if r.closed {
		return w
	}
	r.begin()
	w.ch = r.channel(channel)
	w.ch.watches = append(slices.Clone(w.ch.watches), w)
	r.queue(w.ch)
	return w
}

// WatchAll is Watch for all channels. The first that f is told is all that there is,
// which may be nothing.
func (r *Roster) WatchAll(f func([]Change)) *Watch {
	r.mu.Lock()
	defer r.mu.Unlock()
	w := &Watch{roster: r, f: f, fresh: true}
	if r.closed {
		return w
	}
	r.begin()
	r.everyone = append(slices.Clone(r.everyone), w)
	r.stir()
	return w
}

// List has f told who is in the channel of a Watch now, in turn with what the Watch
// is told: what it is told afterwards is what has changed since.
func (w *Watch) List(f func(Change)) {
	r := w.roster
	r.mu.Lock()
	defer r.mu.Unlock()
	if w.ch == nil || w.stopped || r.closed {
		return
	}
	w.lists = append(w.lists, f)
	r.queue(w.ch)
}

// Stop ends the interest. f is not called any more, but for a call that has begun.
func (w *Watch) Stop() {
	r := w.roster
	r.mu.Lock()
	defer r.mu.Unlock()
	if w.stopped {
		return
	}
	w.stopped = true
	same := func(other *Watch) bool { return other == w }
	if w.ch == nil {
		r.everyone = slices.DeleteFunc(slices.Clone(r.everyone), same)
		return
	}
	w.ch.watches = slices.DeleteFunc(slices.Clone(w.ch.watches), same)
	r.forgetChannel(w.ch)
}

// note has a change told, if somebody wants to know.
func (r *Roster) note(ch *channel, c Change) {
	if len(ch.watches) == 0 && len(r.everyone) == 0 {
		return
	}
	if ch.many {
		ch.listed = true
	} else if !ch.listed {
		ch.changes = append(ch.changes, c)
	}
	r.queue(ch)
}

// queue has the roster's goroutine tell what a channel has to tell.
func (r *Roster) queue(ch *channel) {
	if !ch.queued {
		ch.queued = true
		r.told = append(r.told, ch)
	}
	r.stir()
}

// tidings are what a watcher is to be told.
type tidings struct {
	watch   *Watch
	changes []Change
	lists   []func(Change) // in turn, before the changes
	now     Change         // of lists
}

// news collects what is to be told now. It gives the time when there is more,
// zero if there is none.
func (r *Roster) news(now time.Time) (all []tidings, next time.Time) {
	fresh := slices.ContainsFunc(r.everyone, func(w *Watch) bool { return w.fresh })
	if len(r.told) == 0 && !fresh {
		return nil, time.Time{}
	}
	if due := r.toldAt.Add(window); now.Before(due) {
		return nil, due
	}
	later := r.told[:0:0]
	for _, ch := range r.told {
		tell := true
		if due := ch.countedAt.Add(countEvery); ch.many && ch.listed && now.Before(due) {
			tell = false
			if next.IsZero() || due.Before(next) {
				next = due
			}
		}
		all = ch.news(r, all, tell, now)
		if !tell {
			later = append(later, ch)
			continue
		}
		ch.queued = false
		r.forgetChannel(ch)
	}
	r.told = later
	for _, w := range r.everyone {
		if w.fresh {
			w.fresh = false
			all = append(all, tidings{watch: w, changes: r.whole(now)})
		}
	}
	if len(all) > 0 {
		r.toldAt = now
	}
	return all, next
}

// whole is who is in all channels.
func (r *Roster) whole(now time.Time) []Change {
	var changes []Change
	for _, ch := range r.channels {
		if ch.count > 0 {
			changes = append(changes, ch.whole(now))
		}
	}
	return changes
}

// news adds what the watchers of one channel are to be told.
func (ch *channel) news(r *Roster, all []tidings, tell bool, now time.Time) []tidings {
	changes := ch.changes
	if tell {
		if ch.listed {
			changes = []Change{ch.whole(now)}
			ch.countedAt = now
		}
		ch.changes, ch.listed = nil, false
	} else {
		changes = nil
	}
	for _, w := range ch.watches {
		t := tidings{watch: w, changes: changes, lists: w.lists}
		if w.fresh {
			w.fresh = false
			t.changes = []Change{ch.whole(now)}
		}
		if w.lists = nil; len(t.lists) > 0 {
			t.now = ch.whole(now)
		}
		if len(t.changes) > 0 || len(t.lists) > 0 {
			all = append(all, t)
		}
	}
	if len(changes) > 0 {
		for _, w := range r.everyone {
			if !w.fresh {
				all = append(all, tidings{watch: w, changes: changes})
			}
		}
	}
	return all
}

// whole is who is in the channel, as a change.
func (ch *channel) whole(now time.Time) Change {
	c := Change{Kind: Listed, Present: Present{Channel: ch.name}, At: now, Count: ch.count}
	if ch.many {
		c.Kind = Counted
		return c
	}
	c.Users = ch.list()
	return c
}

// tell tells a watcher.
func (t *tidings) tell() {
	r := t.watch.roster
	r.mu.Lock()
	stopped := t.watch.stopped
	r.mu.Unlock()
	if stopped {
		return
	}
	if len(t.changes) > 0 || t.watch.ch == nil { // the first of all channels may be nothing
		t.watch.f(t.changes)
	}
	for _, f := range t.lists {
		f(t.now)
	}
}
