// Package log says what a hub's log is: its events in one order, over all
// channels, with marks, keys and retention. The packages below keep one: memory,
// file, redis; what they have in common is here. logtest is the suite that each of
// them passes.
//
// It knows channels and positions; it must not know streams, formats or HTTP.
package log

import (
	"errors"
	"time"

	"github.com/seed-078801ba/sidestream/stream/event"
)

// Log is an append-only list of a hub's events with one order for all
// channels. Append, Sweep and Clear are called by one goroutine at a time; everything
// else is safe for concurrent use, also beside them. Close comes last.
type Log interface {
	// Append stores the events, in order, and the marks, in one transaction:
	// all or nothing. When it returns, they are as durable as the store
	// promises. An event whose Key the log remembers is not stored again.
	// The result has one Appended for each event.
	//
	// An event that edits or deletes a message changes what the log keeps of it in
	// the same transaction. Of a message that was deleted, and of an edit that a
	// later one replaces, the place stays and what was said goes: its Shape is
	// event.Gone. A message that was edited says from then on what the last edit
	// says. Numbers, tags and counts stay. It does not matter which came first:
	// what comes after its own deletion is Gone at once, and a message that comes
	// after its edit says what that says. This holds as long as the key of the edit
	// or deletion is remembered. A file and a Redis may hold what was said for a
	// little longer where nobody reads it, see the packages.
	//
	// After an error nothing of it is visible to readers, in this process or,
	// once a later Append has succeeded, in any: the caller may append the
	// same events again. Only if the process ends before that, they may turn
	// out to be stored; then their keys are known. The error is ErrFull,
	// ErrFailed or another one that wraps the cause. While a store has
	// failed, Append fails at once, and heals it when it can: the caller only
	// has to try again.
	Append(events []event.Event, marks []event.Mark) ([]Appended, error)

	// Head is the cursor of the newest entry; Seq is 0 in an empty log.
	Head() event.Cursor

	// Read returns entries of the channels with after < Seq <= upto, in order,
	// each channel's retained ones without holes. It stops behind limit
	// entries or maxBytes of events (but always returns at least one if there
	// is one) and then says that there is more; a limit of 0 is none. Channels
	// may be unknown and may be named twice. What a store finds damaged or
	// missing is an error, never a hole.
	Read(channels []string, after, upto uint64, limit, maxBytes int) (entries []event.Entry, more bool, err error)

	// Trimmed is the Seq of the newest entry that the channel has lost to
	// retention, 0 if it has lost none: a reader whose cursor is before it has
	// missed something. What a channel lost that has been empty for longer
	// than keys are remembered is remembered for all unknown channels
	// together.
	Trimmed(channel string) (uint64, error)

	// TagAt is the tag of the entry at seq; ok is false if the log no longer
	// knows it (then it cannot have been reused in this epoch either).
	TagAt(seq uint64) (tag event.Tag, ok bool, err error)

	// SeqOf finds the entry that created the backend's message id in a
	// channel, retained or not, if its key is remembered.
	SeqOf(channel, id string) (seq uint64, ok bool, err error)

	// SeqBefore is the Seq of the newest entry taken before t, retained or
	// not: reading after it gives everything since t. 0 if there is none.
	// It is exact as long as keys are remembered, and too low rather than too
	// high before.
	SeqBefore(t time.Time) (uint64, error)

	// Mark is what was last remembered for the source, "" if nothing.
	Mark(source string) (string, error)

	// PutRecords keeps records, or removes them, all in one write. They survive
	// what the store survives, but for a crash of the machine: nothing waits for
	// the disk to have them. A record that is put again replaces the older one.
	PutRecords(records []Record) error

	// Record is the value of a record that has not ended; ok is false if there is
	// none. The value must not be changed.
	Record(id string) (value []byte, ok bool, err error)

	// SetRetention changes how much is kept. What is over the new bounds goes
	// in steps, with later appends or Sweep.
	SetRetention(Retention)

	// Sweep removes some of what retention no longer keeps, in one bounded
	// step, and says whether there is more to do. The hub calls it between
	// appends, from the goroutine that appends.
	Sweep(now time.Time) (more bool, err error)

	// Clear removes what the log keeps of a channel, as retention would have, in one
	// bounded step, and says whether there is more. Keys stay: what comes again is
	// known. It is called by the goroutine that appends.
	Clear(channel string) (more bool, err error)

	// Stats are the log's sizes now, cheap enough for every scrape.
	Stats() Stats

	// Durable tells whether what Append stored survives a crash of the process.
	Durable() bool

	// Grouped tells whether one Append of many events costs much less than many
	// of one, so that senders had better share it.
	Grouped() bool

	// Close releases the store. No other call may follow.
	Close() error
}

// Appended is what became of one event.
type Appended struct {
	// Entry is the event in its place; of a duplicate, only Seq and Tag are
	// set, and say where the first one stands.
	Entry event.Entry
	// Duplicate: the log had an event with the same Key.
	Duplicate bool
	// Conflict: it had, and with other content (channel, fields or payload;
	// Time and Delivery do not count).
	Conflict bool
}

// Retention bounds what a log keeps of each channel. Zero means no bound.
type Retention struct {
	Events int           // the newest so many
	Age    time.Duration // none older
	Bytes  int64         // of encoded events
	// Keys is how long the key of an event is remembered, so that a repeated
	// delivery is known as one: at least this long, at least 24 h, at least
	// Age, and as long as the event is retained.
	Keys time.Duration
	// Total bounds what all channels together may make the process grow by, in
	// bytes; the channel with the most gives first. Only stores in memory keep it.
	Total int64
}

// Stats are sizes and counts of a log.
type Stats struct {
	Events   uint64 // retained
	Bytes    int64  // of retained encoded events
	Channels uint64 // with at least one retained event
	FileSize int64  // on disk; 0 in memory
	Appends  uint64 // transactions since open
	Oldest   uint64 // Seq of the oldest retained entry, 0 if none
}

// Errors of Append that callers decide on.
var (
	// ErrFull: the disk has no room. Nothing was stored; it works again by
	// itself when there is.
	ErrFull = errors.New("no room left on the store's disk")
	// ErrFailed: the store cannot tell what is on disk after a failed write or
	// sync. Nothing is taken until it has been opened again and checked.
	ErrFailed = errors.New("the store failed")
)
