package redis

import "sync"

// itemKind is what an item of the queue says.
type itemKind uint8

const (
	heard    itemKind = iota // a message
	began                    // a subscription: what comes next was heard by it
	missed                   // here, messages were lost
	asked                    // another node asks whether we have been listening
	followed                 // somebody listens to a channel from now on
)

// item is something that the one worker has to deal with, in order.
type item struct {
	kind    itemKind
	channel string // of Redis; with followed, a channel of the hub
	payload string
	window  string // names the window, with ordinal
	ordinal uint64
	session *session // with began
	token   string   // with asked
}

func (i *item) size() int64 { return int64(len(i.channel) + len(i.payload)) }

// maxNotes bounds the items that are no messages.
const maxNotes = 4096

// queue hands from the goroutine that reads the connection, which must never
// wait, to the worker. It is bounded in messages and bytes; what does not fit
// is counted and leaves a missed item in its place.
type queue struct {
	maxEvents int
	maxBytes  int64
	wake      chan struct{} // has room for one

	mu     sync.Mutex
	items  []item
	head   int
	events int
	notes  int
	bytes  int64
}

func newQueue(events int, bytes int64) *queue {
	return &queue{maxEvents: events, maxBytes: bytes, wake: make(chan struct{}, 1)}
}

// push adds a message; false if there was no room.
func (q *queue) push(i item) bool {
	q.mu.Lock()
	ok := q.events < q.maxEvents && q.bytes+i.size() <= q.maxBytes
	if ok {
		q.events++
		q.bytes += i.size()
		q.items = append(q.items, i)
	} else {
		q.miss()
	}
	q.mu.Unlock()
	q.signal()
	return ok
}

// note adds an item that is no message. Too many of them count as a loss, which
// says no less than they do.
func (q *queue) note(i item) {
	q.mu.Lock()
	if i.kind == missed || q.notes >= maxNotes && i.kind != began {
		q.miss()
	} else {
		q.notes++
		q.items = append(q.items, i)
	}
	q.mu.Unlock()
	q.signal()
}

// miss marks a loss at the end of the queue. Called with mu held.
func (q *queue) miss() {
	if n := len(q.items); n > q.head && q.items[n-1].kind == missed {
		return
	}
	q.notes++
	q.items = append(q.items, item{kind: missed})
}

func (q *queue) signal() {
	select {
	case q.wake <- struct{}{}:
	default:
	}
}

// take removes up to max items. It does not wait.
func (q *queue) take(dst []item, max int) []item {
	q.mu.Lock()
	defer q.mu.Unlock()
	n := min(max, len(q.items)-q.head)
	taken := q.items[q.head : q.head+n]
	dst = append(dst, taken...)
	for i := range taken {
		if taken[i].kind == heard {
			q.events--
			q.bytes -= taken[i].size()
		} else {
			q.notes--
		}
	}
	clear(taken) // the payloads must not stay reachable
	q.head += n
	if q.head == len(q.items) {
		q.items, q.head = q.items[:0], 0
		if cap(q.items) > maxNotes {
			q.items = nil // a burst is over
		}
	} else if q.head > len(q.items)/2 && q.head > maxNotes {
		q.items = append([]item(nil), q.items[q.head:]...)
		q.head = 0
	}
	return dst
}

// full tells whether the next message would be lost.
func (q *queue) full() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.events >= q.maxEvents || q.bytes >= q.maxBytes*15/16
}

// waiting is how many messages and bytes wait.
func (q *queue) waiting() (events int, bytes int64) {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.events, q.bytes
}
