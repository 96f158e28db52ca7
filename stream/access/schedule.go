package access

import (
	"container/heap"
	"math/rand/v2"
	"time"
)

// spread is 80 to 100 % of d: never late, and not all at once.
func spread(d time.Duration) time.Duration {
	return d - rand.N(d/5+1)
}

// patience is how often the scheduler looks at re-checks that are due and
// cannot be asked for.
const patience = time.Second

// schedule asks again what is watched, until Close. It is the gate's one
// goroutine that lives as long as the gate does.
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
		wait, ended := g.askDue(time.Now())
		g.mu.Unlock()
		ended.tell()
		if wait >= 0 {
			timer.Reset(wait)
		} else {
			timer.Stop()
		}
	}
}

// askDue starts the re-checks that are due and for which there are slots, and
// says when to look again; negative if only a nudge can make a difference. The
// gate is locked.
func (g *Gate) askDue(now time.Time) (wait time.Duration, ended endings) {
	if g.closed {
		return -1, nil
	}
	queue := &g.watches
	for len(queue.queue) > 0 {
		w := queue.queue[0]
		if w.due.After(now) {
			return w.due.Sub(now), nil
		}
		if !g.mayAsk(true) || g.asking.down(now) {
			return patience, g.giveUp(now)
		}
		heap.Pop(queue)
		w.asked, w.flight = now, g.recheck(w)
	}
	return -1, nil
}

// recheck asks the watch's question, unless it is with the backend already. One
// that waits for its turn goes now. The gate is locked, and there is a slot.
func (g *Gate) recheck(w *watch) *flight {
	a := &g.asking
	f := a.flights[w.key]
	switch {
	case f == nil || f.asked.tick != 0 && (f.era != a.era || f.asked.tick <= w.revoked):
		f = &flight{key: w.key, question: w.question, done: make(chan struct{})}
		a.flights[w.key] = f
	case f.asked.tick != 0:
		return f
	default:
		a.unqueue(f)
	}
	f.recheck = true
	g.start(f)
	return f
}

// giveUp ends, while re-checks cannot be had, what has gone without one for
// too long. It looks at everything, so at most once in patience.
func (g *Gate) giveUp(now time.Time) (ended endings) {
	if now.Sub(g.watches.lookedAt) < patience {
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

// reschedule sets when the watch is asked for again. While a re-check is on
// its way it stays out of the queue.
func (ws *watches) reschedule(w *watch, due time.Time) {
	w.due = due
	switch {
	case w.place >= 0:
		heap.Fix(ws, w.place)
	case w.flight == nil:
		heap.Push(ws, w)
	}
}

// The queue is a container/heap.

func (ws *watches) Len() int           { return len(ws.queue) }
func (ws *watches) Less(i, j int) bool { return ws.queue[i].due.Before(ws.queue[j].due) }

func (ws *watches) Swap(i, j int) {
	q := ws.queue
	q[i], q[j] = q[j], q[i]
	q[i].place, q[j].place = i, j
}

func (ws *watches) Push(x any) {
	w := x.(*watch)
	w.place = len(ws.queue)
	ws.queue = append(ws.queue, w)
}

func (ws *watches) Pop() any {
	last := len(ws.queue) - 1
	w := ws.queue[last]
	ws.queue[last] = nil
	ws.queue = ws.queue[:last]
	w.place = -1
	return w
}
