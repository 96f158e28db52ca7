//go:build !linux

package conn

import "net"

// TakeOver makes a Conn of a connection that was hijacked from an HTTP server
// after the response head went out, and on which messages go in this framing.
// It owns nc from then on.
func TakeOver(nc net.Conn, f Framing, _ Options) Conn { return newRoutine(nc, f) }
