package conn

import (
	"crypto/tls"
	"net"
	"syscall"
)

// TakeOver makes a Conn of a connection that was hijacked from an HTTP server
// after the response head went out, and on which messages go in this framing.
// It owns nc from then on, also when it had to fall back on goroutines: because
// nc offers no socket, or because there are no descriptors left.
func TakeOver(nc net.Conn, f Framing, o Options) Conn {
	if t, ok := nc.(*tls.Conn); ok {
		if raw, ok := rawConn(t.NetConn()); ok {
			if s, err := newTLSSocket(t, raw, f, o); err == nil {
				return s
			}
		}
		return newRoutine(nc, f)
	}
	if raw, ok := rawConn(nc); ok {
		if s, err := newSocket(nc, raw, f, o); err == nil {
			return s
		}
	}
	return newRoutine(nc, f)
}

// rawConn looks for the socket below nc, which may be wrapped.
func rawConn(nc net.Conn) (syscall.RawConn, bool) {
	switch nc := nc.(type) {
	case *net.TCPConn:
		raw, err := nc.SyscallConn()
		return raw, err == nil
	case *net.UnixConn:
		raw, err := nc.SyscallConn()
		return raw, err == nil
	}
	return nil, false
}
