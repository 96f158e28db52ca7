package bayeux

import (
	"strconv"
	"time"
)

// advice says what a client does next. It is always whole: CometD's client takes
// what is not said from its defaults, and not from the last advice. Times are written
// in milliseconds.
type advice struct {
	reconnect string
	// interval is how long the client waits before its next connect.
	interval time.Duration
	// timeout is how long the server holds a connect.
	timeout time.Duration
	// maxInterval is how long a session lives without one.
	maxInterval time.Duration
}

// What a client does next.
const (
	retry     = "retry"     // connect again
	handshake = "handshake" // begin a new session
	none      = "none"      // nothing: whatever it does, it is in vain
)

func (a *advice) append(dst []byte) []byte {
	dst = append(append(append(dst, `{"reconnect":"`...), a.reconnect...), `","interval":`...)
	dst = strconv.AppendInt(dst, a.interval.Milliseconds(), 10)
	if a.timeout >= 0 && a.reconnect == retry {
		dst = append(dst, `,"timeout":`...)
		dst = strconv.AppendInt(dst, a.timeout.Milliseconds(), 10)
		dst = append(dst, `,"maxInterval":`...)
		dst = strconv.AppendInt(dst, a.maxInterval.Milliseconds(), 10)
	}
	return append(dst, '}')
}

// again is the advice of a session that is well.
func (e *bayeux) again() *advice {
	return &advice{reconnect: retry, timeout: e.timeout, maxInterval: e.expire}
}

// anew is the advice to a client whose session is gone. The pause keeps clients that
// cannot be helped from asking without end.
func anew() *advice { return &advice{reconnect: handshake, interval: time.Second} }
