package access

import (
	"container/heap"
	"math/rand/v2"
	"time"
)

// spread is a random time from 80 to 100 % of d: what was begun together is not
// repeated together, and nothing is late.
func spread(d time.Duration) time.Duration {
	return d - rand.N(d/5+1)
}

// overdueEvery is how often the scheduler looks for watches that have gone
// without an answer for too long, while re-checks wait for a slot.
const overdueEvery = time.Second

// schedule asks again what is watched, until Close. It is the only goroutine that
// lives as long as the gate.
func (g *Gate) schedule() {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-g.ctx.Done():
			return
		case <-g.wake:
		case <-timer.C:
		}
		g.mu.Lock()
		now := time.Now()
		again, ended := g.askDue(now)
		g.mu.Unlock()
		ended.tell()
		if again.IsZero() {
			timer.Stop()
		} else {
			timer.Reset(max(0, again.Sub(now)))
		}
	}
}

// askDue starts the re-checks that are due and for which there are slots, and
// says when to look again; zero if only a nudge can make a difference. The gate
// is locked.
func (g *Gate) askDue(now time.Time) (again time.Time, ended endings) {
	if g.closed {
		return time.Time{}, nil
	}
	ws, lane := &g.watches, &g.asking.rechecks
	sooner := func(at time.Time) {
		if !at.IsZero() && (again.IsZero() || at.Before(again)) {
			again = at
		}
	}
	ws.wake(now)
	for ws.waiting() > 0 && lane.free() {
		if at := g.asking.outage.holds(lane, now); !at.IsZero() {
			sooner(at)
			break
		}
		w := ws.next()
		w.asked, w.flight = now, g.recheck(w)
	}
	if ws.waiting() > 0 {
		ended = g.endOverdue(now)
		sooner(now.Add(overdueEvery))
	}
	if len(ws.later) > 0 {
		sooner(ws.later[0].due)
	}
	sooner(g.giveUp(now))
	return again, ended
}

// wake lets those that are due wait for a slot.
func (ws *watches) wake(now time.Time) {
	for len(ws.later) > 0 && !ws.later[0].due.After(now) {
		w := heap.Pop(ws).(*watch)
		w.queue = &ws.due
		if w.revoked > w.allowed.tick {
			w.queue = &ws.urgent
		}
		w.turn = w.queue.push(w.question.source().address, w.question.Client, w)
	}
}

// next takes out the one whose turn it is. One must be waiting.
func (ws *watches) next() *watch {
	queue := &ws.due
	if ws.urgent.length > 0 {
		queue = &ws.urgent
	}
	w := queue.pop()
	w.queue, w.turn = nil, nil
	return w
}

// mostOverdue is since when the one that is due for the longest time has been
// waiting; zero if none is.
func (ws *watches) mostOverdue() (since time.Time) {
	for _, queue := range []*turns[*watch]{&ws.urgent, &ws.due} {
		for a := queue.addresses.Front(); a != nil; a = a.Next() {
			for c := a.Value.(*addressTurns).clients.Front(); c != nil; c = c.Next() {
				w := c.Value.(*clientTurns).waiting.Front().Value.(*turn[*watch]).value
				if since.IsZero() || w.due.Before(since) {
					since = w.due
				}
			}
		}
	}
	if len(ws.later) > 0 && (since.IsZero() || ws.later[0].due.Before(since)) {
		since = ws.later[0].due
	}
	return since
}

// recheck asks the watch's question, unless it is with the backend already. One
// that waits for its turn goes now. The gate is locked, and there is a slot.
func (g *Gate) recheck(w *watch) *flight {
	a := &g.asking
	f := a.flights[w.key]
	switch {
	case f == nil || f.asked.tick != 0 && (f.era != a.era || f.asked.tick <= w.revoked):
		f = &flight{key: w.key, credential: w.credential, question: w.question, done: make(chan struct{})}
		a.flights[w.key] = f
	case f.asked.tick != 0:
		return f
	default:
		a.waiting.remove(f.turn)
		f.turn = nil
	}
	f.recheck = true
	g.start(f)
	return f
}

// endOverdue ends, while re-checks wait for a slot, what has gone without an
// answer for too long. It looks at everything, so not more often than it has to.
func (g *Gate) endOverdue(now time.Time) (ended endings) {
	if now.Sub(g.watches.lookedAt) < overdueEvery {
		return nil
	}
	g.watches.lookedAt = now
	for _, w := range g.watches.byKey {
		if g.overdue(w, now) {
			ended = append(ended, g.watches.end(w, GraceOver)...)
		}
	}
	return ended
}

// reschedule sets when the watch's question is asked again. While a re-check is on
// its way, its answer will set it anew.
func (ws *watches) reschedule(w *watch, due time.Time) {
	ws.unschedule(w)
	w.due = due
	if w.flight == nil {
		heap.Push(ws, w)
	}
}

// unschedule takes the watch out of where it waits.
func (ws *watches) unschedule(w *watch) {
	if w.heapIndex >= 0 {
		heap.Remove(ws, w.heapIndex)
	}
	if w.turn != nil {
		w.queue.remove(w.turn)
		w.queue, w.turn = nil, nil
	}
}

// The watches that are not due yet are a container/heap.

func (ws *watches) Len() int           { return len(ws.later) }
func (ws *watches) Less(i, j int) bool { return ws.later[i].due.Before(ws.later[j].due) }

func (ws *watches) Swap(i, j int) {
	h := ws.later
	h[i], h[j] = h[j], h[i]
	h[i].heapIndex, h[j].heapIndex = i, j
}

func (ws *watches) Push(x any) {
	w := x.(*watch)
	w.heapIndex = len(ws.later)
	ws.later = append(ws.later, w)
}

func (ws *watches) Pop() any {
	last := len(ws.later) - 1
	w := ws.later[last]
	ws.later[last] = nil
	ws.later = ws.later[:last]
	w.heapIndex = -1
	return w
}
