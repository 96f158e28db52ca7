package caddymodule

import (
	"context"
	"crypto/tls"
	"net"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// share listens on an address that others may listen on as well.
func share(t *testing.T, address string) *net.TCPListener {
	t.Helper()
	config := net.ListenConfig{Control: func(_, _ string, c syscall.RawConn) error {
		return control(c, func(fd int) error { return unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEPORT, 1) })
	}}
	config.SetMultipathTCP(false) // as in the command
	l, err := config.Listen(context.Background(), "tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l.(*net.TCPListener)
}

// While a reload takes the old socket away, all new connections come to the new one:
// none waits at a socket that is about to be closed.
func TestNewConnectionsAreLedToTheNewSocket(t *testing.T) {
	first := share(t, "127.0.0.1:0")
	second := share(t, first.Addr().String())
	const connections = 64
	accepted := make(chan *net.TCPListener, connections)
	for _, l := range []*net.TCPListener{first, second} {
		go func() { // ends with the socket
			for {
				c, err := l.Accept()
				if err != nil {
					return
				}
				c.Close()
				accepted <- l
			}
		}()
	}
	come := func() (toFirst int) {
		t.Helper()
		var clients []net.Conn
		for range connections {
			c, err := net.Dial("tcp", first.Addr().String())
			if err != nil {
				t.Fatal(err)
			}
			clients = append(clients, c)
		}
		for range connections {
			if <-accepted == first {
				toFirst++
			}
		}
		for _, c := range clients {
			c.Close()
		}
		return toFirst
	}
	socket := func(l *net.TCPListener) syscall.RawConn {
		raw, err := l.SyscallConn()
		if err != nil {
			t.Fatal(err)
		}
		return raw
	}
	if n := come(); n == 0 || n == connections {
		t.Errorf("of %d connections, the old socket got %d before", connections, n)
	}
	if err := leadToNewest(socket(first)); err != nil {
		t.Fatal(err)
	}
	if n := come(); n > 0 {
		t.Errorf("the old socket got %d", n)
	}
	if err := leadToAny(socket(second)); err != nil {
		t.Fatal(err)
	}
	if n := come(); n == 0 || n == connections {
		t.Errorf("of %d connections, the old socket got %d afterwards", connections, n)
	}
	// A socket that is alone gets everything.
	if err := leadToNewest(socket(first)); err != nil {
		t.Fatal(err)
	}
	first.Close()
	c, err := net.Dial("tcp", second.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	c.Close()
}

// The socket is found under all that wraps it.
func TestInnermostListener(t *testing.T) {
	l := share(t, "127.0.0.1:0")
	type wrapped struct{ net.Listener }
	type counted struct {
		n int
		wrapped
	}
	for name, wrapper := range map[string]net.Listener{
		"itself": l, "TLS": tls.NewListener(l, &tls.Config{}), "two": wrapped{tls.NewListener(&wrapped{l}, &tls.Config{})}, "a field": &counted{1, wrapped{l}},
	} {
		if innermostListener(wrapper) != net.Listener(l) {
			t.Errorf("%s: found %T", name, innermostListener(wrapper))
		}
	}
}
