package stick

import (
	"bytes"
	"errors"
	"fmt"
	"net/netip"
	"runtime"
	"strconv"
	"unsafe"

	"golang.org/x/sys/unix"
)

// loop is about the least that a server can do: one thread, one epoll instance,
// and a write(2) of ready-made bytes for each stream and message. What cannot
// be written at once ends the stream: the benchmark's clients read.
type loop struct {
	epoll, listener int
	batch           bool
	conns           map[int32]*peer
	rooms           map[string]*room
	dirty           []*room // with messages that not all streams have had
	buffer          []byte
}

// peer is a connection, and a stream once it is in a room.
type peer struct {
	fd      int32
	room    *room
	place   int    // in room.peers
	written int64  // position in the room's log
	in      []byte // of a request that is not whole
}

// room is a channel.
type room struct {
	peers []*peer
	log   []byte // chunks that not all streams have had
	base  int64  // position of log[0]
	next  int    // batching: the stream whose turn it is
	left  int    // batching: streams to visit until all are up to date
}

// slice is how many streams the batching loop writes to before it looks for
// more messages.
const slice = 256

const (
	streamHead = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
	taken      = "HTTP/1.1 204 No Content\r\n\r\n"
)

// ServeEpoll runs the bare loop. With batch, a stream gets all messages that
// wait for it in one write; without, each message is written by itself.
func ServeEpoll(addr netip.AddrPort, batch bool) error {
	runtime.LockOSThread()
	l := &loop{batch: batch, conns: map[int32]*peer{}, rooms: map[string]*room{}, buffer: make([]byte, 64<<10)}
	if err := l.listen(addr); err != nil {
		return err
	}
	events := make([]unix.EpollEvent, 256)
	for {
		timeout := -1
		if len(l.dirty) > 0 {
			timeout = 0
		}
		n, err := unix.EpollWait(l.epoll, events, timeout)
		if err != nil && !errors.Is(err, unix.EINTR) {
			return fmt.Errorf("waiting for connections: %w", err)
		}
		for _, e := range events[:max(n, 0)] {
			if e.Fd == int32(l.listener) {
				l.accept()
			} else if p := l.conns[e.Fd]; p != nil {
				l.read(p)
			}
		}
		l.flush()
	}
}

func (l *loop) listen(addr netip.AddrPort) (err error) {
	if l.listener, err = unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0); err != nil {
		return fmt.Errorf("creating a socket: %w", err)
	}
	unix.SetsockoptInt(l.listener, unix.SOL_SOCKET, unix.SO_REUSEADDR, 1)
	if err = unix.Bind(l.listener, &unix.SockaddrInet4{Addr: addr.Addr().As4(), Port: int(addr.Port())}); err == nil {
		err = unix.Listen(l.listener, 4096)
	}
	if err != nil {
		return fmt.Errorf("listening on %s: %w", addr, err)
	}
	if l.epoll, err = unix.EpollCreate1(unix.EPOLL_CLOEXEC); err != nil {
		return fmt.Errorf("creating epoll instance: %w", err)
	}
	return l.watch(l.listener)
}

func (l *loop) watch(fd int) error {
	return unix.EpollCtl(l.epoll, unix.EPOLL_CTL_ADD, fd, &unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(fd)})
}

func (l *loop) accept() {
	for {
		fd, _, err := unix.Accept4(l.listener, unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC)
		if err != nil {
			return
		}
		unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1)
		l.conns[int32(fd)] = &peer{fd: int32(fd)}
		l.watch(fd)
	}
}

func (l *loop) drop(p *peer) {
	if r := p.room; r != nil {
		last := r.peers[len(r.peers)-1]
		r.peers[p.place], last.place = last, p.place
		r.peers = r.peers[:len(r.peers)-1]
	}
	p.room = nil
	delete(l.conns, p.fd)
	unix.Close(int(p.fd))
}

func (l *loop) read(p *peer) {
	n, err := unix.Read(int(p.fd), l.buffer)
	if err == unix.EAGAIN {
		return
	}
	if err != nil || n == 0 {
		l.drop(p)
		return
	}
	if p.room == nil {
		p.in = append(p.in, l.buffer[:n]...)
		for l.serve(p) {
		}
	}
}

// serve takes one request out of what has come. It returns true if there may
// be another.
func (l *loop) serve(p *peer) bool {
	head, rest, whole := bytes.Cut(p.in, []byte("\r\n\r\n"))
	if !whole {
		return false
	}
	method, path, _ := bytes.Cut(head, []byte(" "))
	path, _, _ = bytes.Cut(path, []byte(" "))
	path, ok := bytes.CutPrefix(path, []byte("/room/"))
	if !ok {
		l.drop(p)
		return false
	}
	if string(method) == "GET" {
		name, _, _ := bytes.Cut(path, []byte("/"))
		l.join(p, string(name))
		return false
	}
	size := contentLength(head)
	if len(rest) < size {
		return false
	}
	if r := l.rooms[string(path)]; r != nil {
		l.publish(r, rest[:size])
	}
	if n, err := write(p.fd, []byte(taken)); err != nil || n < len(taken) {
		l.drop(p)
		return false
	}
	p.in = append(p.in[:0], rest[size:]...)
	return len(p.in) > 0
}

// contentLength reads what the benchmark's own client writes.
func contentLength(head []byte) int {
	_, value, _ := bytes.Cut(head, []byte("\r\nContent-Length: "))
	value, _, _ = bytes.Cut(value, []byte("\r\n"))
	n, _ := strconv.Atoi(string(value))
	return n
}

func (l *loop) join(p *peer, name string) {
	r := l.rooms[name]
	if r == nil {
		r = new(room)
		l.rooms[name] = r
	}
	p.in, p.room, p.place = nil, r, len(r.peers)
	p.written = r.base + int64(len(r.log))
	r.peers = append(r.peers, p)
	if n, err := write(p.fd, []byte(streamHead)); err != nil || n < len(streamHead) {
		l.drop(p)
	}
}

func (l *loop) publish(r *room, message []byte) {
	r.log = fmt.Appendf(r.log, "%x\r\n%s\n\r\n", len(message)+1, message)
	if l.batch {
		if r.left == 0 {
			l.dirty = append(l.dirty, r)
		}
		r.left = len(r.peers)
		return
	}
	for i := len(r.peers) - 1; i >= 0; i-- {
		l.push(r.peers[i])
	}
	r.forget()
}

// push writes what a stream has not had.
func (l *loop) push(p *peer) {
	b := p.room.log[p.written-p.room.base:]
	if len(b) == 0 {
		return
	}
	if n, err := write(p.fd, b); err != nil || n < len(b) {
		l.drop(p)
		return
	}
	p.written += int64(len(b))
}

// forget empties a log that all streams have had.
func (r *room) forget() {
	r.base += int64(len(r.log))
	r.log = r.log[:0]
}

// flush writes to some streams of rooms that have something.
func (l *loop) flush() {
	for budget := slice; budget > 0 && len(l.dirty) > 0; {
		r := l.dirty[0]
		for ; budget > 0 && r.left > 0 && len(r.peers) > 0; budget-- {
			r.next = (r.next + 1) % len(r.peers)
			r.left--
			l.push(r.peers[r.next])
		}
		if r.left > 0 && len(r.peers) > 0 {
			return
		}
		r.left = 0
		r.forget()
		l.dirty = l.dirty[1:]
	}
}

// write is send(2) on a socket that does not block, so the Go scheduler need
// not hear of it.
func write(fd int32, b []byte) (int, error) {
	n, _, errno := unix.RawSyscall6(unix.SYS_SENDTO, uintptr(fd),
		uintptr(unsafe.Pointer(unsafe.SliceData(b))), uintptr(len(b)), unix.MSG_NOSIGNAL, 0, 0)
	if errno != 0 {
		return 0, errno
	}
	return int(n), nil
}
