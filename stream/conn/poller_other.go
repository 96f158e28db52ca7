//go:build !linux

package conn

import (
	"sync"
	"time"
)

// Poller collects what the goroutines of its connections report: where there
// is no epoll, all of them are of the goroutine kinds. Wake and report may be
// called from anywhere, Wait by its owner only; beside Wait, the Conns may be
// used.
type Poller struct {
	mu     sync.Mutex
	events []Event
	signal chan struct{}
}

// NewPoller makes a Poller. Close it when its last Conn is closed.
func NewPoller() (*Poller, error) { return &Poller{signal: make(chan struct{}, 1)}, nil }

// Wait appends to events what has become ready, waiting for at most timeout
// (negative: for ever) or until Wake.
func (p *Poller) Wait(events []Event, timeout time.Duration) ([]Event, error) {
	if timeout < 0 {
		<-p.signal
	} else {
		timer := time.NewTimer(timeout)
		select {
		case <-p.signal:
		case <-timer.C:
		}
		timer.Stop()
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	events = append(events, p.events...)
	p.events = p.events[:0]
	return events, nil
}

// Wake makes Wait return. Safe for concurrent use.
func (p *Poller) Wake() {
	select {
	case p.signal <- struct{}{}:
	default:
	}
}

func (p *Poller) report(e Event) {
	p.mu.Lock()
	p.events = append(p.events, e)
	p.mu.Unlock()
	p.Wake()
}

// Close releases nothing here; conns that are still watched hear nothing more.
func (p *Poller) Close() {}
