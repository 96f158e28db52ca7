package conn

import "sync"

const (
	// readPiece is what is read at once.
	readPiece = 4 << 10
	// readAhead is how much a goroutine reads before the shard has taken it, and
	// how much one Read takes: a peer that talks without end keeps nobody else
	// waiting.
	readAhead = 32 << 10
	// unwantedLimit is how much a peer may send on a connection on which it has
	// nothing to say: more than any client's stray CRLF, less than a flood.
	unwantedLimit = 64 << 10
)

// arrivals are the bytes that a goroutine has read for a shard, on connections
// that cannot be read without waiting.
type arrivals struct {
	mu      sync.Mutex
	bytes   []byte
	ended   bool // nothing more will come
	left    bool // the goroutine has ended and left something unread
	reading bool // the goroutine is at work
	again   bool // it has to look once more before it ends
}

// add keeps what was read, and tells whether there is room for more.
func (a *arrivals) add(b []byte) (room bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.bytes = append(a.bytes, b...)
	return len(a.bytes) < readAhead
}

// end notes that nothing more will come.
func (a *arrivals) end() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.ended = true
}

// take gives what has come to f. It tells whether that was all that there is to
// be read, and whether nothing more will come.
func (a *arrivals) take(f func([]byte)) (all, ended bool) {
	a.mu.Lock()
	b := a.bytes
	a.bytes, all, ended = nil, !a.left, a.ended
	a.mu.Unlock()
	if len(b) > 0 {
		f(b)
	}
	return all, ended
}

// begin tells whether a goroutine has to be started: not if one is at work,
// which then looks once more.
func (a *arrivals) begin() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.reading {
		a.again = true
		return false
	}
	a.reading, a.left = true, false
	return true
}

// done tells whether the goroutine may end, having read all that there is, or
// that there will ever be. If it was told of more since it looked, it must go on.
func (a *arrivals) done(all, ended bool) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if all && a.again {
		a.again = false
		return false
	}
	a.reading, a.again, a.ended, a.left = false, false, ended, !all && !ended
	return true
}
