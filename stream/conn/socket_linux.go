package conn

import (
	"fmt"
	"net"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// socket is a connection that was taken over whole: a descriptor of our own,
// and nothing of Go's net package behind it. It costs 56 bytes instead of the
// kilobyte of a net.Conn that waits in the runtime's poller.
type socket struct {
	fd       int32
	framing  Framing
	closed   bool
	unwanted int // bytes that the peer has sent and nobody wanted
	token    Token
	p        *Poller
	options  Options
}

// newSocket takes the descriptor out of nc and closes nc.
func newSocket(nc net.Conn, raw syscall.RawConn, f Framing, o Options) (*socket, error) {
	fd := -1
	var dupErr error
	err := raw.Control(func(orig uintptr) {
		fd, dupErr = unix.FcntlInt(orig, unix.F_DUPFD_CLOEXEC, 0)
	})
	if err == nil {
		err = dupErr
	}
	if err != nil {
		return nil, fmt.Errorf("duplicating the descriptor: %w", err)
	}
	nc.Close() // the duplicate keeps the connection open
	return &socket{fd: int32(fd), framing: f, options: o}, nil
}

func (s *socket) Watch(p *Poller, token Token) error {
	s.p, s.token = p, token
	s.options.apply(int(s.fd))
	// Edge-triggered: registered once for all, and silent while nothing
	// changes. The first report (writable) comes at once.
	return p.add(int(s.fd), token, unix.EPOLLIN|unix.EPOLLOUT|unix.EPOLLRDHUP|unix.EPOLLET)
}

// apply sets what the kernel knows for this kind of socket; a Unix socket has
// no TCP options and needs none.
func (o Options) apply(fd int) {
	if o.SendBuffer > 0 {
		unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_SNDBUF, o.SendBuffer)
	}
	if o.UnackedMillis > 0 {
		unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT, o.UnackedMillis)
	}
}

func (s *socket) Write(bufs [][]byte) (int, error) {
	if len(bufs) == 0 {
		return 0, nil
	}
	if len(bufs) == 1 {
		return writeResult(unix.RawSyscall6(unix.SYS_SENDTO, uintptr(s.fd),
			uintptr(unsafe.Pointer(unsafe.SliceData(bufs[0]))), uintptr(len(bufs[0])), unix.MSG_NOSIGNAL, 0, 0))
	}
	iov := s.p.scratch.iov[:0]
	for _, b := range bufs[:min(len(bufs), maxIOV)] {
		v := unix.Iovec{Base: unsafe.SliceData(b)}
		v.SetLen(len(b))
		iov = append(iov, v)
	}
	s.p.scratch.iov = iov
	return writeResult(unix.RawSyscall(unix.SYS_WRITEV, uintptr(s.fd), uintptr(unsafe.Pointer(&iov[0])), uintptr(len(iov))))
}

// maxIOV is the kernel's bound on the vectors of one writev (IOV_MAX).
const maxIOV = 1024

func writeResult(n, _ uintptr, errno syscall.Errno) (int, error) {
	switch errno {
	case 0:
		return int(n), nil
	case unix.EAGAIN, unix.EINTR: // a send that never blocks is not interrupted half-way
		return 0, nil
	}
	return 0, errno
}

func (s *socket) Read(take func([]byte)) (gone bool) {
	if s.p.scratch.read == nil {
		s.p.scratch.read = make([]byte, readPiece)
	}
	b := s.p.scratch.read
	for got := 0; got < readAhead; {
		n, err := unix.Read(int(s.fd), b)
		switch {
		case err == unix.EINTR:
			continue
		case err == unix.EAGAIN:
			return false
		case err != nil || n == 0:
			return true
		}
		got += n
		if take != nil {
			if take(b[:n]); s.closed {
				return false
			}
		} else if s.unwanted += n; s.unwanted > unwantedLimit {
			return true
		}
	}
	s.p.report(Event{Token: s.token, Readable: true}) // the kernel says it only once
	return false
}

func (s *socket) Framing() Framing { return s.framing }
func (s *socket) Kind() Kind       { return Epoll }
func (s *socket) Finish()          { unix.Shutdown(int(s.fd), unix.SHUT_WR) }

func (s *socket) Close() {
	if !s.closed {
		s.closed = true
		unix.Close(int(s.fd)) // which takes it out of the epoll set
	}
}
