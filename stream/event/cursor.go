package event

import (
	"crypto/rand"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"strconv"
	"strings"
)

// Epoch names one unbroken life of a log. A log takes a new epoch whenever it
// cannot prove that it still holds what clients may have seen.
type Epoch [8]byte

// NewEpoch makes an epoch from 64 random bits.
func NewEpoch() Epoch {
	var e Epoch
	rand.Read(e[:]) // never fails (crypto/rand)
	return e
}

func (e Epoch) String() string { return hex.EncodeToString(e[:]) }

// Tag is random bits that a log gives to each position and keeps with it. It tells
// a reused position (a log that lost its tail) from the one that the client saw,
// and says nothing of the event: a listener of one channel holds tags of events in
// others.
type Tag uint32

const (
	tagBits     = 30
	tagLen      = 6
	tagAlphabet = "0123456789abcdefghjkmnpqrstvwxyz" // Crockford's base 32
)

// Tags makes tags. The zero value is ready; it is for one goroutine at a time.
type Tags struct {
	random [256]byte // of the system, as much as one call gives
	left   int
}

// Next is 30 bits that nobody can guess.
func (t *Tags) Next() Tag {
	if t.left == 0 {
		rand.Read(t.random[:]) // never fails (crypto/rand)
		t.left = len(t.random)
	}
	t.left -= 4
	return Tag(binary.LittleEndian.Uint32(t.random[t.left:]) & (1<<tagBits - 1))
}

func (t Tag) String() string {
	var b [tagLen]byte
	for i := tagLen - 1; i >= 0; i-- {
		b[i] = tagAlphabet[t&31]
		t >>= 5
	}
	return string(b[:])
}

// Cursor is a position in a hub's log as clients hold it: everything up to and
// including Seq was delivered. Seq counts the hub's events from 1; 0 is before
// the first one.
type Cursor struct {
	Epoch Epoch
	Seq   uint64
	Tag   Tag
}

// MaxCursor is the length of the longest cursor on the wire, in bytes.
const MaxCursor = 2*len(Epoch{}) + 1 + 20 + 1 + tagLen

// String is the cursor on the wire: <epoch>.<seq>.<tag>, of [0-9a-z.] only.
func (c Cursor) String() string { return string(c.Append(nil)) }

// Append appends the cursor as String has it.
func (c Cursor) Append(dst []byte) []byte {
	dst = hex.AppendEncode(dst, c.Epoch[:])
	dst = append(dst, '.')
	dst = strconv.AppendUint(dst, c.Seq, 10)
	dst = append(dst, '.')
	return append(dst, c.Tag.String()...)
}

// ErrCursor is the error of text that is no cursor of ours. It says nothing of
// the text, which a stranger chose.
var ErrCursor = errors.New("not a cursor of this server")

// ParseCursor reads what Cursor.String wrote, and nothing else: no other case,
// no leading zeros, no spaces.
func ParseCursor(s string) (Cursor, error) {
	var c Cursor
	if len(s) > MaxCursor {
		return c, ErrCursor
	}
	epoch, rest, ok := strings.Cut(s, ".")
	if !ok || len(epoch) != 2*len(c.Epoch) || strings.ToLower(epoch) != epoch {
		return c, ErrCursor
	}
	if _, err := hex.Decode(c.Epoch[:], []byte(epoch)); err != nil {
		return Cursor{}, ErrCursor
	}
	seq, tag, ok := strings.Cut(rest, ".")
	if !ok || len(tag) != tagLen || seq == "" || (seq[0] == '0' && len(seq) > 1) || seq[0] == '+' {
		return Cursor{}, ErrCursor
	}
	n, err := strconv.ParseUint(seq, 10, 64)
	if err != nil {
		return Cursor{}, ErrCursor
	}
	c.Seq = n
	for i := range tagLen {
		d := strings.IndexByte(tagAlphabet, tag[i])
		if d < 0 {
			return Cursor{}, ErrCursor
		}
		c.Tag = c.Tag<<5 | Tag(d)
	}
	return c, nil
}

// Entry is an event with its place in a hub's log.
type Entry struct {
	// Seq is the event's number in the hub, from 1, without holes.
	Seq uint64
	// Tag is the last part of the event's cursor.
	Tag Tag
	// At is when the log took the event, in milliseconds since 1970. It never
	// goes back from one entry to the next, whatever the clock does.
	At int64
	Event
}

// Reason is why events may be missing from a stream.
type Reason string

// The reasons of a gap signal.
const (
	Trimmed         Reason = "trimmed"          // older than what the history keeps
	EpochChanged    Reason = "epoch-changed"    // the cursor is of another life of the log, or of another log
	IngestUncertain Reason = "ingest-uncertain" // the way in may have missed events
	StoreDegraded   Reason = "store-degraded"   // the shared store was out of reach
	SlowClient      Reason = "slow-client"      // the client did not keep up
)

// Reasons are all reasons of a gap signal.
var Reasons = []Reason{Trimmed, EpochChanged, IngestUncertain, StoreDegraded, SlowClient}

// Missing is a gap: events of Channel after From and up to To may not have
// reached the client. An empty Channel means every channel of the stream.
type Missing struct {
	Channel string
	// From is where the client stood, if that is known: the text that it
	// presented, if it was one of our cursors. Zero otherwise.
	From Cursor
	// To is up to where they are missing.
	To Cursor
	// At is where the client stands that has got the signal, if that is not To:
	// a stream of several channels may miss more of one than of another.
	At     Cursor
	Reason Reason
}

func itoa(n int) string { return strconv.Itoa(n) }
