package conn

import (
	"errors"
	"fmt"
	"os"
	"sync"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Poller waits for connections to become ready, with one epoll instance. Wake
// and report may be called from anywhere, Wait by its owner only; beside Wait,
// the Conns may be used.
//
// The instance is itself watched by the runtime's poller, so that an owner that
// waits is a parked goroutine: waking it costs no system call and no thread,
// and it does not take a processor of the scheduler's along into epoll_wait(2).
type Poller struct {
	epoll   int
	file    *os.File // of epoll
	raw     syscall.RawConn
	ready   []unix.EpollEvent
	scratch scratch
	inbox   inbox
}

// scratch is what the conns' Write needs for a moment. It is here because only
// one of them writes at a time, and because what they write in is idle streams'
// heartbeats: garbage from those would double the memory of them all.
type scratch struct {
	iov     []unix.Iovec
	piece   []byte // a record's worth
	read    []byte // what a peer has sent
	memory  socketMemory
	measure func(fd uintptr) // fills memory
}

// inbox holds what was reported by goroutines instead of the kernel.
type inbox struct {
	mu     sync.Mutex
	events []Event
	woken  bool // Wait has something to return for
	asleep bool // Wait has to be told
	closed bool
}

// NewPoller makes a Poller. Close it when its last Conn is closed.
func NewPoller() (*Poller, error) {
	epoll, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("creating epoll instance: %w", err)
	}
	if err := unix.SetNonblock(epoll, true); err != nil { // or os would not watch it
		unix.Close(epoll)
		return nil, fmt.Errorf("setting up epoll instance: %w", err)
	}
	p := &Poller{epoll: epoll, file: os.NewFile(uintptr(epoll), "epoll"), ready: make([]unix.EpollEvent, 512)}
	if err = p.file.SetReadDeadline(time.Time{}); err == nil {
		p.raw, err = p.file.SyscallConn()
	}
	if err != nil {
		p.file.Close()
		return nil, fmt.Errorf("watching epoll instance: %w", err)
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
	var n int
	var err error
	if timeout != 0 && p.inbox.fallAsleep() {
		n, err = p.sleep(timeout)
	} else {
		n, err = p.look()
	}
	if err != nil {
		return events, fmt.Errorf("waiting for connections: %w", err)
	}
	for _, e := range p.ready[:n] {
		events = append(events, Event{
			Token:    Token(uint32(e.Fd)) | Token(uint32(e.Pad))<<32,
			Writable: e.Events&unix.EPOLLOUT != 0,
			Readable: e.Events&unix.EPOLLIN != 0,
			// A peer that has closed its half has gone: that is how net/http
			// sees it as well, and no client of a stream half-closes on purpose.
			Gone: e.Events&(unix.EPOLLRDHUP|unix.EPOLLHUP|unix.EPOLLERR) != 0,
		})
	}
	return p.inbox.take(events), nil
}

// look fills ready with what there is now, and says how many.
func (p *Poller) look() (int, error) {
	n, _, errno := unix.RawSyscall6(unix.SYS_EPOLL_PWAIT, uintptr(p.epoll),
		uintptr(unsafe.Pointer(&p.ready[0])), uintptr(len(p.ready)), 0, 0, 0)
	switch errno {
	case 0:
		return int(n), nil
	case unix.EINTR:
		return 0, nil
	}
	return 0, errno
}

// sleep is look when there is something, or no time left, or after a Wake.
func (p *Poller) sleep(timeout time.Duration) (n int, err error) {
	var until time.Time
	if timeout > 0 {
		until = time.Now().Add(timeout)
	}
	if err := p.file.SetReadDeadline(until); err != nil {
		return 0, err
	}
	if p.inbox.isWoken() { // by a Wake whose deadline this one has replaced
		return p.look()
	}
	ended := p.raw.Read(func(uintptr) bool {
		n, err = p.look()
		return n > 0 || err != nil
	})
	if errors.Is(ended, os.ErrDeadlineExceeded) {
		return p.look()
	}
	return n, errors.Join(ended, err)
}

// fallAsleep tells whether there is nothing to do; then Wake has to wake.
func (b *inbox) fallAsleep() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.asleep = !b.woken
	return b.asleep
}

func (b *inbox) isWoken() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.woken
}

func (b *inbox) take(events []Event) []Event {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.woken, b.asleep = false, false
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
	b.woken = true
	if b.asleep { // once per Wait, however many wake it
		b.asleep = false
		_ = p.file.SetReadDeadline(longAgo) // it could be set before, and the file is open
	}
}

// longAgo is a deadline that ends a read at once.
var longAgo = time.Unix(1, 0)

// Close releases the epoll instance. Conns that are still watched hear nothing
// more.
func (p *Poller) Close() {
	p.inbox.mu.Lock()
	defer p.inbox.mu.Unlock()
	if !p.inbox.closed {
		p.inbox.closed = true
		p.file.Close()
	}
}
