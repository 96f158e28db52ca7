package webhook

import (
	"net/http"
	"sync/atomic"
)

// A budget bounds the memory that the process uses for deliveries that are not
// verified yet, in bytes. A part of it is reserved for the beginnings of
// deliveries, so that a few large ones cannot keep many small ones out. It is safe
// for concurrent use.
type budget struct {
	beginnings, rest atomic.Int64 // what is left
}

const (
	// beginning is how much of each delivery counts as its beginning. Most
	// messages are no longer.
	beginning = 16 << 10

	unverifiedBeginnings = 16 << 20
	unverifiedRest       = 48 << 20
)

// unverified is the budget of all webhooks of the process.
var unverified = newBudget(unverifiedBeginnings, unverifiedRest)

func newBudget(beginnings, rest int64) *budget {
	b := new(budget)
	b.beginnings.Store(beginnings)
	b.rest.Store(rest)
	return b
}

var errBudget = &Refusal{http.StatusServiceUnavailable, "too much is waiting to be verified"}

// hold is one delivery's share of a budget. The zero value has no budget and is
// never refused. It is used by one goroutine.
type hold struct {
	of               *budget
	beginnings, rest int64
}

// take reserves n bytes more, or returns errBudget and reserves nothing.
func (h *hold) take(n int64) error {
	if h.of == nil || n <= 0 {
		return nil
	}
	small := min(n, beginning-h.beginnings)
	large := n - small
	if !takeFrom(&h.of.beginnings, small) {
		return errBudget
	}
	if !takeFrom(&h.of.rest, large) {
		h.of.beginnings.Add(small)
		return errBudget
	}
	h.beginnings, h.rest = h.beginnings+small, h.rest+large
	return nil
}

func takeFrom(left *atomic.Int64, n int64) bool {
	if n > 0 && left.Add(-n) < 0 {
		left.Add(n)
		return false
	}
	return true
}

// release gives all reserved bytes back.
func (h *hold) release() {
	if h.of != nil {
		h.of.beginnings.Add(h.beginnings)
		h.of.rest.Add(h.rest)
		h.beginnings, h.rest = 0, 0
	}
}
