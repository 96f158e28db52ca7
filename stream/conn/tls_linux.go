package conn

import (
	"crypto/tls"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// tlsSocket writes through a tls.Conn, which can only block. So its shard
// writes only what is sure to fit into the kernel's buffer; anything else is
// given to a goroutine that lives until the peer has taken it.
type tlsSocket struct {
	tc      *tls.Conn
	raw     syscall.RawConn
	chunked bool
	p       *Poller
	token   Token
	options Options
	writing chan struct{} // of the goroutine that writes, if any; closed when it is done
	reading chan struct{} // the same for the one that reads
}

const (
	// tlsPiece is what is written at once: at most one full record.
	tlsPiece = 16 << 10
	// tlsOverhead is what a small write adds to the kernel's count at least.
	tlsOverhead = 1 << 10
	// tlsReadWait is how long a peer that sent something is listened to: the
	// record behind a stray byte, or the alert in front of its FIN.
	tlsReadWait = 2 * time.Second
	// tlsSureWait bounds a write that is sure not to wait, should the machine
	// have no memory for it.
	tlsSureWait = time.Second
	// tlsWriteWait ends the goroutine of a peer that takes nothing at all,
	// should its shard not have closed it long before.
	tlsWriteWait = 2 * time.Minute
)

func newTLSSocket(tc *tls.Conn, raw syscall.RawConn, chunked bool, o Options) (*tlsSocket, error) {
	s := &tlsSocket{tc: tc, raw: raw, chunked: chunked, options: o}
	err := raw.Control(func(fd uintptr) { o.apply(int(fd)) })
	return s, err
}

func (s *tlsSocket) Watch(p *Poller, token Token) error {
	s.p, s.token = p, token
	var addErr error
	err := s.raw.Control(func(fd uintptr) {
		addErr = p.add(int(fd), token, unix.EPOLLIN|unix.EPOLLRDHUP|unix.EPOLLET)
	})
	if err == nil {
		err = addErr
	}
	return err
}

func (s *tlsSocket) Write(bufs [][]byte) (taken int, err error) {
	if running(s.writing) {
		return 0, nil
	}
	if s.p.scratch.piece == nil {
		s.p.scratch.piece = make([]byte, tlsPiece)
	}
	for todo := size(bufs); taken < todo; {
		piece := s.p.scratch.piece[:min(tlsPiece, todo-taken)]
		copyAt(piece, bufs, taken)
		if !s.fits(len(piece)) {
			s.writing = make(chan struct{})
			go s.writeSlowly(append([]byte(nil), piece...), s.writing)
			return taken + len(piece), nil
		}
		s.tc.SetWriteDeadline(time.Now().Add(tlsSureWait))
		n, err := s.tc.Write(piece)
		taken += n
		if err != nil {
			return taken, err
		}
	}
	return taken, nil
}

// copyAt fills dst with what stands at an offset in bufs.
func copyAt(dst []byte, bufs [][]byte, offset int) {
	for _, b := range bufs {
		if offset >= len(b) {
			offset -= len(b)
			continue
		}
		n := copy(dst, b[offset:])
		if dst = dst[n:]; len(dst) == 0 {
			return
		}
		offset = 0
	}
}

// running tells whether the goroutine that closes done is at work.
func running(done chan struct{}) bool {
	select {
	case <-done:
		return false
	default:
		return done != nil
	}
}

// fits tells whether n bytes can be written without waiting: the kernel takes
// more while what is queued, its own bookkeeping included, is below the bound.
// crypto/tls begins with records of 1.4 KB, each written by itself, for which
// the kernel counts up to 3.3 KB.
func (s *tlsSocket) fits(n int) bool {
	sc := &s.p.scratch
	if sc.measure == nil {
		sc.measure = sc.memory.read
	}
	err := s.raw.Control(sc.measure)
	return err == nil && sc.memory.ok && sc.memory.queued()+4*(n+tlsOverhead) <= int(sc.memory.of[sndbuf])
}

// socketMemory is what the kernel says of a socket's memory, by SK_MEMINFO_*,
// see sock_diag(7).
type socketMemory struct {
	of [9]uint32
	ok bool
}

const wmemAlloc, sndbuf, wmemQueued = 2, 3, 5

func (m *socketMemory) read(fd uintptr) {
	size := uint32(unsafe.Sizeof(m.of))
	_, _, errno := unix.RawSyscall6(unix.SYS_GETSOCKOPT, fd, unix.SOL_SOCKET, unix.SO_MEMINFO,
		uintptr(unsafe.Pointer(&m.of)), uintptr(unsafe.Pointer(&size)), 0)
	m.ok = errno == 0
}

// queued is what waits: the one count is right for Unix sockets, the other for
// TCP.
func (m *socketMemory) queued() int { return int(max(m.of[wmemAlloc], m.of[wmemQueued])) }

func (s *tlsSocket) writeSlowly(b []byte, done chan struct{}) {
	s.tc.SetWriteDeadline(time.Now().Add(tlsWriteWait))
	_, err := s.tc.Write(b)
	close(done) // before the report: its reader may write again
	s.p.report(Event{Token: s.token, Writable: err == nil, Gone: err != nil})
}

// Discard reads in a goroutine: a peer may send half a record and nothing
// more. On a stream that is rare, and the goroutine lives for two seconds.
func (s *tlsSocket) Discard() (gone bool) {
	if running(s.reading) {
		return false // it reads whatever has come by now
	}
	s.reading = make(chan struct{})
	go s.readAway(s.reading)
	return false
}

func (s *tlsSocket) readAway(done chan struct{}) {
	defer close(done)
	s.tc.SetReadDeadline(time.Now().Add(tlsReadWait))
	var b [512]byte
	for total := 0; total <= discardLimit; {
		n, err := s.tc.Read(b[:])
		total += n
		if ne, ok := err.(interface{ Timeout() bool }); ok && ne.Timeout() {
			return
		}
		if err != nil {
			break
		}
	}
	s.p.report(Event{Token: s.token, Gone: true})
}

func (s *tlsSocket) Chunked() bool { return s.chunked }
func (s *tlsSocket) Kind() Kind    { return TLS }

// Finish tells the peer, behind what it still has to take.
func (s *tlsSocket) Finish() {
	if !running(s.writing) {
		s.shut(s.fits(0))
		return
	}
	go func(written chan struct{}) {
		<-written
		s.shut(true)
	}(s.writing)
}

// shut says twice that nothing follows, as TLS wants it: close_notify, if there
// is room for it, and FIN.
func (s *tlsSocket) shut(room bool) {
	if room {
		s.tc.SetWriteDeadline(time.Now().Add(tlsSureWait))
		s.tc.CloseWrite()
	}
	s.raw.Control(func(fd uintptr) { unix.Shutdown(int(fd), unix.SHUT_WR) })
}

// Close ends the goroutines, if there are any, by closing what they wait for.
// The socket below is closed, not the tls.Conn: that would wait for the lock
// of a goroutine that writes.
func (s *tlsSocket) Close() { s.tc.NetConn().Close() }
