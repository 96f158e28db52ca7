package caddymodule

import (
	"syscall"

	"golang.org/x/sys/unix"
)

// leadToNewest has the kernel give new connections to the second of the sockets that
// share an address. Caddy makes a socket for each configuration, so that this is the
// new one while the old one is the first. Where there is no second one, nothing
// changes. (socket(7), SO_ATTACH_REUSEPORT_CBPF)
func leadToNewest(socket syscall.RawConn) error {
	return control(socket, func(fd int) error {
		second := unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K, K: 1}
		return unix.SetsockoptSockFprog(fd, unix.SOL_SOCKET, unix.SO_ATTACH_REUSEPORT_CBPF, &unix.SockFprog{Len: 1, Filter: &second})
	})
}

// leadToAny has the kernel choose by the addresses of a connection again.
func leadToAny(socket syscall.RawConn) error {
	return control(socket, func(fd int) error {
		return unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_DETACH_REUSEPORT_BPF, 0)
	})
}

func control(socket syscall.RawConn, f func(fd int) error) error {
	var failed error
	if err := socket.Control(func(fd uintptr) { failed = f(int(fd)) }); err != nil {
		return err
	}
	return failed
}
