package pull

import (
	"container/heap"
	"time"
)

// turns says which channel is read next. Those that somebody waits for come first, but
// every fourth turn is for the one that has been due for longest. The zero value is
// ready. Its user serialises the calls.
type turns struct {
	due    byDue
	urgent []*channel
	count  int
}

// urgentTurns is how many urgent channels may have their turn before a due one.
const urgentTurns = 3

// put gives a channel its turn when it is due.
func (t *turns) put(c *channel) {
	if c.index >= 0 {
		heap.Fix(&t.due, c.index)
		return
	}
	heap.Push(&t.due, c)
}

// hurry gives a channel its turn as soon as it can be.
func (t *turns) hurry(c *channel, now time.Time) {
	t.advance(c, now)
	if !c.urgent {
		c.urgent = true
		t.urgent = append(t.urgent, c)
	}
}

// advance makes a channel due at a time, if it was due later.
func (t *turns) advance(c *channel, at time.Time) {
	if c.due.After(at) {
		c.due = at
	}
	t.put(c)
}

// remove takes a channel out.
func (t *turns) remove(c *channel) {
	if c.index >= 0 {
		heap.Remove(&t.due, c.index)
	}
	c.urgent = false // its place in urgent is passed over
}

// take takes the channel whose turn it is out, or says how long there is none.
func (t *turns) take(now time.Time) (c *channel, wait time.Duration) {
	for len(t.urgent) > 0 && (!t.urgent[0].urgent || t.urgent[0].index < 0) {
		t.urgent[0].urgent = false
		t.urgent = t.urgent[1:]
	}
	isDue := len(t.due) > 0 && !t.due[0].due.After(now)
	switch {
	case len(t.urgent) > 0 && (t.count < urgentTurns || !isDue):
		c = t.urgent[0]
		t.urgent = t.urgent[1:]
		t.count++
	case isDue:
		c, t.count = t.due[0], 0
	case len(t.due) > 0:
		return nil, t.due[0].due.Sub(now)
	default:
		return nil, idleWait
	}
	heap.Remove(&t.due, c.index)
	c.urgent = false
	return c, 0
}

// behind is for how long the most overdue channel has been waiting.
func (t *turns) behind(now time.Time) time.Duration {
	if len(t.due) == 0 {
		return 0
	}
	return max(0, now.Sub(t.due[0].due))
}

// byDue is a heap of channels, the one that is due first at its top.
type byDue []*channel

func (h byDue) Len() int           { return len(h) }
func (h byDue) Less(i, j int) bool { return h[i].due.Before(h[j].due) }
func (h byDue) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].index, h[j].index = i, j
}

// Push implements heap.Interface.
func (h *byDue) Push(x any) {
	c := x.(*channel)
	c.index = len(*h)
	*h = append(*h, c)
}

// Pop implements heap.Interface.
func (h *byDue) Pop() any {
	old := *h
	c := old[len(old)-1]
	old[len(old)-1] = nil
	*h = old[:len(old)-1]
	c.index = -1
	return c
}
