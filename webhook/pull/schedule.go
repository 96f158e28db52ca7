package pull

import (
	"container/heap"
	"time"
)

// turns says which channel is read next. Those where something is new come first, then
// those that somebody waits for, but every fourth turn is for the one that has been due
// for longest, and every fourth for one that somebody waits for. The zero value is ready.
// Its user serialises the calls.
type turns struct {
	due   byDue
	hasty [3][]*channel // by their haste; the first is empty
	count int
}

// haste is how much a channel is in a hurry.
type haste uint8

const (
	whenDue haste = iota
	waited        // somebody waits for it
	poked         // something is new in it
)

// order is who comes first in each of four turns.
var order = [...]haste{poked, waited, poked, whenDue}

// put gives a channel its turn when it is due.
func (t *turns) put(c *channel) {
	if c.index >= 0 {
		heap.Fix(&t.due, c.index)
		return
	}
	heap.Push(&t.due, c)
}

// hurry gives a channel its turn as soon as it can be.
func (t *turns) hurry(c *channel, h haste, now time.Time) {
	t.advance(c, now)
	if c.haste < h {
		c.haste = h
		t.hasty[h] = append(t.hasty[h], c)
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
	c.haste = whenDue // its place in hasty is passed over
}

// take takes the channel whose turn it is out, or says how long there is none.
func (t *turns) take(now time.Time) (c *channel, wait time.Duration) {
	for _, h := range []haste{order[t.count%len(order)], poked, waited, whenDue} {
		if c = t.first(h, now); c == nil {
			continue
		}
		t.count++
		heap.Remove(&t.due, c.index)
		c.haste = whenDue
		return c, 0
	}
	if len(t.due) > 0 {
		return nil, t.due[0].due.Sub(now)
	}
	return nil, idleWait
}

// first is the first channel with a haste; nil if there is none.
func (t *turns) first(h haste, now time.Time) *channel {
	if h == whenDue {
		if len(t.due) > 0 && !t.due[0].due.After(now) {
			return t.due[0]
		}
		return nil
	}
	for len(t.hasty[h]) > 0 && (t.hasty[h][0].haste != h || t.hasty[h][0].index < 0) {
		t.hasty[h] = t.hasty[h][1:]
	}
	if len(t.hasty[h]) == 0 {
		return nil
	}
	return t.hasty[h][0]
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
