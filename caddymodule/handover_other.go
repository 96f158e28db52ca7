//go:build !linux

package caddymodule

import (
	"errors"
	"syscall"
)

var errNotLed = errors.New("this system does not let new connections be led to one of several sockets")

func leadToNewest(syscall.RawConn) error { return errNotLed }

func leadToAny(syscall.RawConn) error { return errNotLed }
