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
	tc       *tls.Conn
	raw      syscall.RawConn
	framing  Framing
	closed   bool
	p        *Poller
	token    Token
	options  Options
	writing  chan struct{} // of the goroutine that writes, if any; closed when it is done
	arrivals *arrivals     // of the one that reads, once the peer has sent something
	unwanted int           // bytes that the peer has sent and nobody wanted
}

const (
	// tlsPiece is what is written at once: at most one full record.
	tlsPiece = 16 << 10
	// tlsOverhead is what a small write adds to the kernel's count at least.
	tlsOverhead = 1 << 10
	// tlsReadWait is how long a peer that has sent half a record may take for the
	// rest, before its goroutine ends and waits for the kernel's word again.
	tlsReadWait = 2 * time.Second
	// tlsSureWait bounds a write that is sure not to wait, should the machine
	// have no memory for it. It is more than tlsReadWait, because the one who
	// reads also writes: to a peer that changes its keys it has to answer, and a
	// deadline that has passed would end the connection.
	tlsSureWait = 2 * tlsReadWait
	// tlsWriteWait ends the goroutine of a peer that takes nothing at all,
	// should its shard not have closed it long before.
	tlsWriteWait = 2 * time.Minute
)

func newTLSSocket(tc *tls.Conn, raw syscall.RawConn, f Framing, o Options) (*tlsSocket, error) {
	s := &tlsSocket{tc: tc, raw: raw, framing: f, options: o}
	dropBuffers(tc)
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

// Read takes what a goroutine has read: a peer may send half a record, and then
// reading waits. On a stream that is rare, and the goroutine ends as soon as it
// has read what there is.
func (s *tlsSocket) Read(take func([]byte)) (gone bool) {
	first := s.arrivals == nil
	if first {
		s.arrivals = &arrivals{}
	}
	all, ended := s.arrivals.take(func(b []byte) {
		if take != nil {
			take(b)
		} else {
			s.unwanted += len(b)
		}
	})
	if ended || s.closed || s.unwanted > unwantedLimit {
		return !s.closed
	}
	// What was decrypted and not read yet, the kernel knows nothing of.
	if (first || !all || s.waiting() > 0) && s.arrivals.begin() {
		if !running(s.writing) { // which gave itself more time
			s.tc.SetWriteDeadline(time.Now().Add(tlsSureWait))
		}
		go s.readAll(s.arrivals)
	}
	return false
}

// readAll reads until the peer has sent nothing more, the shard has enough to do
// with what was read, or tlsReadWait is over.
func (s *tlsSocket) readAll(a *arrivals) {
	var b [readPiece]byte
	until := time.Now().Add(tlsReadWait)
	for {
		all, ended := false, false
		for room := true; room && !all && !ended && time.Now().Before(until); {
			if s.waiting() > 0 {
				s.tc.SetReadDeadline(until)
			} else {
				s.tc.SetReadDeadline(longAgo) // what was decrypted needs no time
			}
			n, err := s.tc.Read(b[:])
			room = a.add(b[:n])
			timeout, ok := err.(interface{ Timeout() bool })
			all = ok && timeout.Timeout()
			ended = err != nil && !all
		}
		dropBuffers(s.tc)
		if a.done(all, ended) {
			s.p.report(Event{Token: s.token, Readable: true})
			return
		}
	}
}

// waiting is how many bytes the kernel has for us.
func (s *tlsSocket) waiting() (n int) {
	s.raw.Control(func(fd uintptr) { n, _ = unix.IoctlGetInt(int(fd), unix.TIOCINQ) })
	return n
}

func (s *tlsSocket) Framing() Framing { return s.framing }
func (s *tlsSocket) Kind() Kind       { return TLS }

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
func (s *tlsSocket) Close() {
	s.closed = true
	s.tc.NetConn().Close()
}
