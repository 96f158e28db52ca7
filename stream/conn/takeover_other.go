//go:build !linux

package conn

import "net"

// TakeOver makes a Conn of a connection that was hijacked from an HTTP server
// after the response head went out. It owns nc from then on.
func TakeOver(nc net.Conn, chunked bool, _ Options) Conn { return newRoutine(nc, chunked) }
