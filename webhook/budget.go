package webhook

import (
	"net/http"
	"runtime"
	"sync"
	"sync/atomic"
	"time"
)

// A budget bounds the memory that the process uses for deliveries that are not
// verified yet, in bytes. It counts what there is in memory, not what is in use: what
// is needed no more counts until the garbage collector has taken it. A part is
// reserved for small deliveries, so that a few large ones cannot keep many small
// ones out. It is safe for concurrent use.
type budget struct {
	small, rest atomic.Int64 // what is left
	unbounded   bool

	collecting sync.Mutex
	collected  time.Time
}

const (
	unverifiedSmall = 24 << 20
	unverifiedRest  = 40 << 20

	// smallCost is how much of what a delivery takes beside its buffer counts as
	// small. Most messages take less.
	smallCost = 16 << 10

	// collectEvery is how often the memory is collected because a budget is used
	// up: a collection takes long where many clients listen.
	collectEvery = time.Second

	// collectWait bounds the wait for what a collection gives back.
	collectWait = 100 * time.Millisecond
)

// unverified is the budget of all webhooks of the process, and the buffers that it
// pays for. The others are for deliveries that were verified by their head.
var (
	unverified = newBuffers(newBudget(unverifiedSmall, unverifiedRest))
	vouched    = newBuffers(&budget{unbounded: true})
)

func newBudget(small, rest int64) *budget {
	b := new(budget)
	b.small.Store(small)
	b.rest.Store(rest)
	return b
}

var errBudget = &Refusal{http.StatusServiceUnavailable, "too much is waiting to be verified"}

// take reserves bytes, or none at all and returns errBudget. What is used up by
// garbage is collected first, though not more often than once in collectEvery.
func (b *budget) take(small, rest int64) error {
	if b.unbounded || b.try(small, rest) || b.collect() && b.try(small, rest) {
		return nil
	}
	return errBudget
}

func (b *budget) try(small, rest int64) bool {
	if !takeFrom(&b.small, small) {
		return false
	}
	if !takeFrom(&b.rest, rest) {
		b.small.Add(small)
		return false
	}
	return true
}

func takeFrom(left *atomic.Int64, n int64) bool {
	if n > 0 && left.Add(-n) < 0 {
		left.Add(n)
		return false
	}
	return true
}

func (b *budget) giveBack(small, rest int64) {
	b.small.Add(small)
	b.rest.Add(rest)
}

// share is a part of a budget that is bound to something in memory.
type share struct {
	of          *budget
	small, rest int64
}

func (s share) giveBack() { s.of.giveBack(s.small, s.rest) }

// garbage gives a share back when the garbage collector has been there: what was
// let go of before is no more in memory then.
func (s share) garbage() {
	runtime.AddCleanup(new(share), share.giveBack, s)
}

// collect collects the garbage that has a share of a budget. It returns false if
// that was done a moment ago, or is being done.
func (b *budget) collect() bool {
	if !b.collecting.TryLock() {
		return false
	}
	defer b.collecting.Unlock()
	if time.Since(b.collected) < collectEvery {
		return false
	}
	given := make(chan struct{})
	runtime.AddCleanup(new(share), func(given chan struct{}) { close(given) }, given)
	runtime.GC() // buffers that wait to be used again go with the second one
	runtime.GC()
	b.collected = time.Now()
	select {
	case <-given:
	case <-time.After(collectWait):
	}
	return true
}

// hold is what one delivery takes of a budget beside its buffers. It is used by one
// goroutine.
type hold struct {
	of *budget
	share
}

// take reserves n bytes more, or returns errBudget and reserves nothing.
func (h *hold) take(n int64) error {
	small := max(min(n, smallCost-h.small), 0)
	if err := h.of.take(small, n-small); err != nil {
		return err
	}
	h.small, h.rest = h.small+small, h.rest+n-small
	return nil
}

// vouch gives all back, because somebody answers for what the delivery takes.
func (h *hold) vouch() {
	h.of.giveBack(h.small, h.rest)
	h.share = share{}
}

// release gives all back. What is large is garbage first.
func (h *hold) release() {
	h.of.giveBack(h.small, 0)
	if h.rest > 0 && !h.of.unbounded {
		share{of: h.of, rest: h.rest}.garbage()
	}
	h.share = share{}
}
