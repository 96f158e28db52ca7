package log

import (
	"crypto/sha256"
	"encoding/binary"
	"time"

	"github.com/seed-078801ba/sidestream/stream/event"
)

// ContentOf is a digest of what must be equal in two events with one key:
// everything that is kept of them but the time, the delivery that brought it, and whether an
// identifier was written as a number or a string.
func ContentOf(e *event.Event, scratch []byte) (digest uint64, grown []byte) {
	c := e.Kept()
	c.Time, c.Delivery = time.Time{}, ""
	for _, s := range []*event.Scalar{&c.Channel, &c.ID, &c.User, &c.Thread, &c.To} {
		s.Number = false
	}
	scratch = c.AppendBinary(scratch[:0])
	sum := sha256.Sum256(scratch)
	return max(1, binary.BigEndian.Uint64(sum[:8])), scratch
}

// Conflict tells whether two digests that ContentOf gave for one key are of
// different contents. 0 is that of a content that the log no longer knows: it
// agrees with every other.
func Conflict(known, content uint64) bool { return known != 0 && known != content }
