package presence

import (
	"slices"
)

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
