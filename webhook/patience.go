package webhook

import (
	"context"
	"sync"
	"time"
)

// patience is a context that ends after a time, for one Publish. It is used again
// after that, which saves what context.WithTimeout makes anew for each delivery: a
// Publisher keeps nothing of it when it has returned.
type patience struct {
	until time.Time
	timer *time.Timer
	done  chan struct{}
}

var patiences = sync.Pool{New: func() any {
	p := &patience{done: make(chan struct{})}
	p.timer = time.AfterFunc(time.Hour, func() { close(p.done) })
	p.timer.Stop()
	return p
}}

// newPatience begins now.
func newPatience(d time.Duration) *patience {
	p := patiences.Get().(*patience)
	p.until = time.Now().Add(d)
	p.timer.Reset(d)
	return p
}

// end lets go of it. One whose time has come is not used again.
func (p *patience) end() {
	if p.timer.Stop() {
		patiences.Put(p)
	}
}

func (p *patience) Deadline() (time.Time, bool) { return p.until, true }
func (p *patience) Done() <-chan struct{}       { return p.done }
func (p *patience) Value(any) any               { return nil }

func (p *patience) Err() error {
	select {
	case <-p.done:
		return context.DeadlineExceeded
	default:
		return nil
	}
}
