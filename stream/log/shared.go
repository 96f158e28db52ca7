package log

import (
	"context"

	"github.com/seed-078801ba/sidestream/stream/event"
)

// Shared is a Log that other processes append to as well. Its order is made
// where it is kept; every process learns of all entries, its own included, by
// following it. So it is Grouped: what a hub has stored is shown when its turn
// comes, not by the sender.
//
// Read, Trimmed, TagAt, SeqOf and SeqBefore speak of the epoch that Follow has
// announced last.
type Shared interface {
	Log

	// Secret is what all processes that share the log know of it and nobody else:
	// random bytes that are kept in it. nil as long as this process has not
	// learnt it; another one after the log was lost and began anew.
	Secret() []byte

	// Follow gives every entry after a position to f, in order, from one
	// goroutine, until ctx is done. It reconnects by itself, for ever, and
	// only returns an error that no repetition can mend.
	Follow(ctx context.Context, after event.Cursor, f Follower) error
}

// Follower is told of what happens in a Shared log.
type Follower interface {
	// Entries are the next ones, without holes. head is the cursor of the last.
	Entries(entries []event.Entry, head event.Cursor)
	// Reset says that the log cannot be followed from where the Follower is: it
	// has another epoch, or the entries in between are gone. It goes on after
	// head.
	Reset(head event.Cursor, reason event.Reason)
	// Connected tells whether what is appended elsewhere is seen: nil, or why
	// that can no longer be proven, or not yet. Called on changes only; a cause
	// that was told is not told again before it was nil. Its text holds no secret.
	Connected(cause error)
}
