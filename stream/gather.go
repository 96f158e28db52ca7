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
	wait   bool        // commits are dear enough to wait for others
}

// newGathering makes one that waits, or one that takes only what is there: a
// log in memory gains nothing from larger commits.
func newGathering(wait bool) *gathering {
	timer := time.NewTimer(gatherWait)
	timer.Stop()
	return &gathering{timer: timer, wait: wait}
}

// gather takes the first publication, all that wait, and, for a moment, those
// that come until there are as many as the last time. Its events and marks are
// valid until the next call.
func (g *gathering) gather(first *publication, publications <-chan *publication) *gathering {
	expected := min(len(g.group), gatherEnough)
	g.group = make([]*publication, 0, len(g.group)) // who is to be told later keeps the last one
	clear(g.events)                                 // the log has copied what it keeps
	g.events, g.marks = g.events[:0], g.marks[:0]
	g.add(first)
	waiting := false
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
		if !waiting {
			waiting = true
			g.timer.Reset(gatherWait)
		}
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
}
