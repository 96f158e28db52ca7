package log

import (
	"crypto/sha256"
	"encoding/binary"
	"time"

	"github.com/seed-078801ba/sidestream/stream/event"
)

// contentOf is a digest of what must be equal in two events with one key:
// everything but the time, the delivery that brought it, and whether an
// identifier was written as a number or a string.
func contentOf(e *event.Event, scratch []byte) (digest uint64, grown []byte) {
	c := *e
	c.Time, c.Delivery = time.Time{}, ""
	for _, s := range []*event.Scalar{&c.Channel, &c.ID, &c.User, &c.Thread, &c.To} {
		s.Number = false
	}
	scratch = c.AppendBinary(scratch[:0])
	sum := sha256.Sum256(scratch)
	return binary.BigEndian.Uint64(sum[:8]), scratch
}

// maxStoredText is the length up to which names and keys are stored as they
// are, so that neighbours in the backend (ids that count up) are neighbours in
// the file and one page serves a whole batch.
const maxStoredText = 160

// appendText appends what stands for a text in a key of the file: itself, or
// its digest if it is long. The first byte tells which.
func appendText(dst []byte, text string) []byte {
	if len(text) <= maxStoredText {
		return append(append(dst, 0), text...)
	}
	sum := sha256.Sum256([]byte(text))
	return append(append(dst, 1), sum[:]...)
}
