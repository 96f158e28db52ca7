// Package contract checks what Sidestream promises about delivery, from
// outside. Publishers and clients write down what they did and saw, and Check
// holds it against the promise: everyone sees one order, each event once, in
// an unbroken row or with a signal where it is broken; what was acknowledged,
// and what anybody saw, stays.
//
// The package knows the wire and nothing of the server's code.
package contract

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Event names a message. A test gives each message an id of its own.
type Event struct{ Channel, ID string }

func (e Event) String() string { return e.Channel + "/" + e.ID }

// Outcome is what a publisher knows after an attempt.
type Outcome uint8

const (
	// Unknown: no answer, or one that leaves it open. The publisher tries
	// again with the same message.
	Unknown Outcome = iota
	// Acked: the answer says where the message stands.
	Acked
	// Refused: the answer says that it was not stored.
	Refused
)

// Attempt is one try of a publisher. Times are since the history began.
type Attempt struct {
	Event
	Body       string
	Start, End time.Duration
	Outcome    Outcome
	// Position and Duplicate are what the answer said.
	Position  string
	Duplicate bool
}

// Session is one connection of a client, from its request to its end.
type Session struct {
	Client   string
	Channels []string
	// Asked and AskedID are the cursor or the message's id with which the
	// client came; both are empty if it wanted what is new.
	Asked, AskedID string
	// Opened is when the response's head had arrived.
	Opened time.Duration
	// Resume is the Stream-Resume header.
	Resume string
	Seen   []Seen
	// Torn is a message that was complete by its delimiter and not by its
	// content.
	Torn string
	// Last: the session was open long after everything had been said.
	Last bool
	// Audit: the session read everything from the beginning, after the last
	// restart.
	Audit bool
}

// Kind is what a client got.
type Kind uint8

const (
	Message Kind = iota
	Gap
	Bookmark // a cursor without a message
)

// Seen is one thing that a client got.
type Seen struct {
	Kind Kind
	At   time.Duration
	// Cursor is what the client holds from then on, in formats that carry it.
	Cursor string
	// Event and Body are of a message.
	Event
	Body string
	// To and Reason are of a gap. Its Channel is empty if it is one in all
	// channels of the stream.
	To, Reason string
}

// History is what everybody did and saw, in no particular order.
type History struct {
	Attempts []Attempt
	Sessions []Session
	// Retained, if it is not zero, is how many events of each channel are
	// always kept: a gap within them has no cause.
	Retained int
}

// Recorder collects a history. It is safe for concurrent use.
type Recorder struct {
	begun time.Time
	mu    sync.Mutex
	h     History
}

// NewRecorder begins a history.
func NewRecorder() *Recorder { return &Recorder{begun: time.Now()} }

// Now is the time since the history began, by a clock that nobody sets.
func (r *Recorder) Now() time.Duration { return time.Since(r.begun) }

// Attempted adds an attempt that is over.
func (r *Recorder) Attempted(a Attempt) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.h.Attempts = append(r.h.Attempts, a)
}

// Heard adds a session that is over.
func (r *Recorder) Heard(s Session) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.h.Sessions = append(r.h.Sessions, s)
}

// History is what was added so far.
func (r *Recorder) History() History {
	r.mu.Lock()
	defer r.mu.Unlock()
	return History{Attempts: slices.Clone(r.h.Attempts), Sessions: slices.Clone(r.h.Sessions)}
}

// position is what a cursor says.
type position struct {
	epoch string
	seq   uint64
	tag   string
}

// parsePosition takes a cursor apart: <epoch>.<seq>.<tag>.
func parsePosition(text string) (position, error) {
	parts := strings.Split(text, ".")
	if len(parts) != 3 || len(parts[0]) < 16 || len(parts[2]) < 4 || len(text) > 64 {
		return position{}, fmt.Errorf("%q is no cursor", text)
	}
	seq, err := strconv.ParseUint(parts[1], 10, 64)
	if err != nil {
		return position{}, fmt.Errorf("%q is no cursor", text)
	}
	return position{parts[0], seq, parts[2]}, nil
}
