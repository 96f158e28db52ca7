package event

import (
	"context"
	"errors"
)

// Batch is what one delivery brought: its events are appended next to each
// other, in order, all of them or none.
type Batch struct {
	Events []Event
	// Mark, if set, is remembered in the same transaction as the events: how
	// far an ingest has read its source.
	Mark *Mark
	// Unrepeated is the name of the way in, if its sender does not repeat what it
	// gets no answer to. When that way is interrupted, messages may be missing in
	// the channels that it has brought events into.
	Unrepeated string
	// Repeated: the sender repeats what it gets no answer to, until it is stored. What
	// ways that are counted on alone miss in these channels, this one brings.
	Repeated bool
}

// Mark is the place that an ingest has reached in its source.
type Mark struct {
	Source string // a name of the source that is unique in the hub
	Value  string
}

// Receipt says what became of one event of a batch.
type Receipt struct {
	// Position is where the event stands; of a duplicate, where the first one
	// stands.
	Position Cursor
	// Duplicate: an event with the same Key was there already, nothing was
	// stored.
	Duplicate bool
	// Conflict: a Duplicate whose content differs from what is stored. The
	// first one stands.
	Conflict bool
	// Durable: the event survives a crash of this process. Only then may the
	// sender be told 200 rather than 202.
	Durable bool
}

// Publisher is where every ingest puts its events.
type Publisher interface {
	// Publish returns when the events are as durable as the store promises and
	// were handed to every stream, with one Receipt for each event. Channels
	// get the canonical form of their names there; a batch with a name that
	// CheckChannel refuses is refused with that error, whole. If Publish
	// returns an error, then nothing was stored, or (any other error than
	// those of CheckChannel and the ones below) the outcome is unknown; the
	// sender may repeat the same events. Safe for concurrent use.
	Publish(ctx context.Context, b Batch) ([]Receipt, error)
}

// Errors of Publish that say that nothing was stored.
var (
	ErrStoreFull   = errors.New("the disk of the store is full")
	ErrUnavailable = errors.New("the store does not take events now")
	ErrBusy        = errors.New("too many publishes are waiting")
	ErrClosed      = errors.New("the hub is closed")
)
