package stream

import (
	"time"

	"github.com/seed-078801ba/sidestream/stream/event"
)

// gathering is what shares a commit. The writer uses it again and again.
type gathering struct {
	group  []*publication
	events []event.Event
	marks  []event.Mark
	timer  *time.Timer // stopped, but while gather waits
	wait   bool        // a commit is dear enough to wait for others
	others int         // had come before the last group was told
}

// newGathering makes one that waits, or one that takes only what is there: what
// is not synced costs too little to wait for.
func newGathering(wait bool) *gathering {
	timer := time.NewTimer(gatherWait)
	timer.Stop()
	return &gathering{timer: timer, wait: wait}
}

// gather takes the first publication, all that wait, and those that come soon
// one after the other until there are as many as are known to send: the last
// group, and those that came while it was stored. Its events and marks are valid
// until the next call.
func (g *gathering) gather(first *publication, publications <-chan *publication) *gathering {
	expected := min(len(g.group)+g.others, gatherEnough)
	g.group = make([]*publication, 0, len(g.group)) // who is to be told later keeps the last one
	clear(g.events)                                 // the log has copied what it keeps
	g.events, g.marks, g.others = g.events[:0], g.marks[:0], 0
	g.add(first)
	var until time.Time // zero: it need not wait so far
	for len(g.events) < commitEvents {
		select {
		case p := <-publications:
			g.add(p)
			continue
		default:
		}
		if !g.wait || len(g.group) >= expected {
			break
		}
		now := time.Now()
		if until.IsZero() {
			until = now.Add(gatherWait)
		}
		g.timer.Reset(min(gatherGap, until.Sub(now)))
		select {
		case p := <-publications:
			g.add(p)
			continue
		case <-g.timer.C:
		}
		break
	}
	g.timer.Stop()
	return g
}

func (g *gathering) add(p *publication) {
	g.group = append(g.group, p)
	g.events = append(g.events, p.batch.Events...)
	if m := p.batch.Mark; m != nil {
		g.marks = append(g.marks, *m)
	}
	g.marks = append(g.marks, p.marks...)
}
