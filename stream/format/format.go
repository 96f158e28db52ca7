// Package format turns events into the bytes that a kind of client reads, one
// file a format. It sees no connection and no HTTP: transfer coding is not its
// business, and everything that it writes is meant to go out in one piece.
package format

import "github.com/seed-078801ba/sidestream/stream/event"

// Format writes the messages of one kind of client. Formats hold no state and
// are safe for concurrent use; what they return may be shared by all streams
// and must not be changed.
type Format interface {
	// Name is the format's name in configuration, logs and metrics.
	Name() string
	// ContentType is the whole value of the Content-Type header.
	ContentType() string
	// Event appends one message with its delimiter. cursor is where a client
	// that got it stands. It appends nothing if the event says nothing in this
	// format.
	Event(dst []byte, e *event.Entry, cursor event.Cursor) []byte
	// Gap appends the signal that events are missing.
	Gap(dst []byte, gap event.Missing) []byte
	// Heartbeat appends what keeps an idle connection alive and is no message.
	// Formats with cursors may move the client's cursor with it; the zero
	// Cursor says that there is nothing to move it to.
	Heartbeat(dst []byte, cursor event.Cursor) []byte
	// Farewell appends what the client is told before the server ends the
	// stream; nothing if the format has no word for it.
	Farewell(dst []byte, f Farewell) []byte
	// Resumable tells whether messages carry cursors, so that every client of
	// the format understands a gap signal. Clients of other formats get one
	// only if they asked for a place to start from.
	Resumable() bool
}

// Farewell is why the server ends a stream.
type Farewell struct {
	// Reason is the word that stands in logs and metrics.
	Reason string
	// RetryMillis is when the client had better come back, in milliseconds. Zero
	// means that coming back is of no use.
	RetryMillis int
}
