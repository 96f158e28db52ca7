package conn

import (
	"encoding/binary"
	"errors"
	"fmt"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// wakeToken is the epoll data of the eventfd; conns never have it.
const wakeToken Token = 1<<64 - 1

// Poller waits for connections to become ready, with one epoll instance. Wake
// and report may be called from anywhere, all else from its owner.
type Poller struct {
	epoll, eventfd int
	ready          []unix.EpollEvent
	scratch        scratch
	inbox          inbox
}

// scratch is what the conns' Write needs for a moment. It is here because only
// one of them writes at a time, and because what they write in is idle streams'
// heartbeats: garbage from those would double the memory of them all.
type scratch struct {
	iov     []unix.Iovec
	piece   []byte // a record's worth
	memory  socketMemory
	measure func(fd uintptr) // fills memory
}

// inbox holds what was reported by goroutines instead of the kernel.
type inbox struct {
	mu     sync.Mutex
	events []Event
	awake  bool // a wake-up is under way and was not seen yet
	closed bool
}

// NewPoller makes a Poller. Close it when its last Conn is closed.
func NewPoller() (*Poller, error) {
	epoll, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("creating epoll instance: %w", err)
	}
	eventfd, err := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	if err != nil {
		unix.Close(epoll)
		return nil, fmt.Errorf("creating eventfd: %w", err)
	}
	p := &Poller{epoll: epoll, eventfd: eventfd, ready: make([]unix.EpollEvent, 512)}
	if err := p.add(eventfd, wakeToken, unix.EPOLLIN|unix.EPOLLET); err != nil {
		p.Close()
		return nil, fmt.Errorf("watching eventfd: %w", err)
	}
	return p, nil
}

func (p *Poller) add(fd int, token Token, events uint32) error {
	return unix.EpollCtl(p.epoll, unix.EPOLL_CTL_ADD, fd, &unix.EpollEvent{
		Events: events, Fd: int32(uint32(token)), Pad: int32(uint32(token >> 32)),
	})
}

// Wait appends to events what has become ready, waiting for at most timeout
// (negative: for ever) or until Wake.
func (p *Poller) Wait(events []Event, timeout time.Duration) ([]Event, error) {
	millis := -1
	if timeout >= 0 {
		millis = int((timeout + time.Millisecond - 1) / time.Millisecond) // rounded up, or a short wait spins
	}
	n, err := unix.EpollWait(p.epoll, p.ready, millis)
	if err != nil && !errors.Is(err, unix.EINTR) {
		return events, fmt.Errorf("waiting for connections: %w", err)
	}
	for _, e := range p.ready[:max(n, 0)] {
		token := Token(uint32(e.Fd)) | Token(uint32(e.Pad))<<32
		if token == wakeToken {
			continue
		}
		events = append(events, Event{
			Token:    token,
			Writable: e.Events&unix.EPOLLOUT != 0,
			Readable: e.Events&unix.EPOLLIN != 0,
			// A peer that has closed its half has gone: that is how net/http
			// sees it as well, and no client of a stream half-closes on purpose.
			Gone: e.Events&(unix.EPOLLRDHUP|unix.EPOLLHUP|unix.EPOLLERR) != 0,
		})
	}
	return p.inbox.take(events), nil
}

func (b *inbox) take(events []Event) []Event {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.awake = false
	events = append(events, b.events...)
	b.events = b.events[:0]
	return events
}

// Wake makes Wait return. Safe for concurrent use, also beside Close.
func (p *Poller) Wake() { p.wake(nil) }

// report tells the owner of the Poller of an event that the kernel does not
// know of.
func (p *Poller) report(e Event) { p.wake(&e) }

func (p *Poller) wake(e *Event) {
	b := &p.inbox
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return
	}
	if e != nil {
		b.events = append(b.events, *e)
	}
	if !b.awake { // one write per wake-up, however many ask for it
		b.awake = true
		var one [8]byte
		binary.NativeEndian.PutUint64(one[:], 1)
		unix.Write(p.eventfd, one[:]) // fails only when the counter is full, and then Wait returns anyway
	}
}

// Close releases the epoll instance. Conns that are still watched hear nothing
// more.
func (p *Poller) Close() {
	p.inbox.mu.Lock()
	defer p.inbox.mu.Unlock()
	if p.inbox.closed {
		return
	}
	p.inbox.closed = true
	unix.Close(p.eventfd)
	unix.Close(p.epoll)
}
