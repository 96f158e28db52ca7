package webhook

import (
	"io"
	"math/bits"
	"runtime"
	"sync"
)

// The sizes of buffers. Each body begins in a small one, however long its
// Content-Length says that it is, and moves to larger ones as it comes: four times
// as large, then twice.
const (
	firstBuffer = 4 << 10
	// smallBuffer is the largest that counts as small in a budget.
	smallBuffer = 16 << 10
	// quadrupleTo is the largest that is four times as large as the one before.
	quadrupleTo = 1 << 20
)

func nextSize(size int) int {
	if size < quadrupleTo {
		return 4 * size
	}
	return 2 * size
}

// buffers has the buffers that a budget pays for, from when they are made until the
// garbage collector has taken them. They are used again and again.
type buffers struct {
	of    *budget
	pools [bits.UintSize]sync.Pool // by the number of bits of their size
}

func newBuffers(of *budget) *buffers { return &buffers{of: of} }

// buffer holds a body while a delivery is served.
type buffer struct {
	bytes []byte
	from  *buffers
}

// get returns an empty buffer, or errBudget.
func (s *buffers) get(size int) (*buffer, error) {
	if b, ok := s.pools[bits.Len(uint(size))].Get().(*buffer); ok {
		return b, nil
	}
	paid := share{of: s.of, small: int64(size)}
	if size > smallBuffer {
		paid.small, paid.rest = 0, int64(size)
	}
	if err := s.of.take(paid.small, paid.rest); err != nil {
		return nil, err
	}
	b := &buffer{make([]byte, 0, size), s}
	if !s.of.unbounded {
		runtime.AddCleanup(b, share.giveBack, paid)
	}
	return b, nil
}

// release lets others use it.
func (b *buffer) release() {
	b.bytes = b.bytes[:0]
	b.from.pools[bits.Len(uint(cap(b.bytes)))].Put(b)
}

// readFrom reads to the end and returns the buffer in which everything is. Beyond
// the limit it returns errTooLarge. Where there is an error, there is no buffer.
func (b *buffer) readFrom(r io.Reader, limit int64) (*buffer, error) {
	for {
		space := b.bytes[len(b.bytes):cap(b.bytes)]
		var more [1]byte
		switch {
		case int64(len(b.bytes)) >= limit: // it must be the end
			space = more[:]
		case len(space) == 0:
			larger, err := b.from.get(nextSize(cap(b.bytes)))
			if err != nil {
				b.release()
				return nil, err
			}
			larger.bytes = append(larger.bytes, b.bytes...)
			b.release()
			b = larger
			continue
		}
		n, err := r.Read(space)
		if int64(len(b.bytes))+int64(n) > limit {
			b.release()
			return nil, errTooLarge
		}
		b.bytes = b.bytes[:len(b.bytes)+n]
		switch {
		case err == io.EOF:
			return b, nil
		case err != nil:
			b.release()
			return nil, err
		}
	}
}
