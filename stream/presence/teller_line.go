package presence

import (
	"crypto/rand"
	"time"
)

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
