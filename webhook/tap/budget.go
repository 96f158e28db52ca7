package tap

import "sync/atomic"

const (
	// maxCopy is how much of one answer is copied, and how much it may be unpacked,
	// in bytes.
	maxCopy = 1 << 20
	// maxCopies is how much all copies of the process may take together.
	maxCopies = 64 << 20
)

// copies is the budget of all taps of the process.
var copies = newBudget(maxCopies)

// budget bounds memory, in bytes. Safe for concurrent use.
type budget struct{ left atomic.Int64 }

func newBudget(n int64) *budget {
	b := new(budget)
	b.left.Store(n)
	return b
}

// take reserves n bytes, or returns false and reserves none.
func (b *budget) take(n int64) bool {
	if b.left.Add(-n) < 0 {
		b.left.Add(n)
		return false
	}
	return true
}

func (b *budget) give(n int64) { b.left.Add(n) }
