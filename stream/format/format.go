// Package format turns events into the bytes that a kind of client reads. Each
// format has a file. The package knows no connections and no HTTP. What a format
// writes for one event is sent in one piece; chunks are made elsewhere.
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
	// Event appends one message with its delimiter. cursor is the position of a
	// client that got it. Event appends nothing if the format has no message for
	// this event.
	Event(dst []byte, e *event.Entry, cursor event.Cursor) []byte
	// Gap appends the signal that events are missing.
	Gap(dst []byte, gap event.Missing) []byte
	// Heartbeat appends what keeps an idle connection alive and is no message.
	// Formats with cursors may move the client's cursor on with it. With the
	// zero Cursor they do not.
	Heartbeat(dst []byte, cursor event.Cursor) []byte
	// Farewell appends what the client is told before the server ends the
	// stream, or nothing if the format cannot say it.
	Farewell(dst []byte, f Farewell) []byte
	// Resumable tells whether messages carry cursors, so that every client of
	// the format understands a gap signal. Clients of other formats get one
	// only if they said where to begin.
	Resumable() bool
}

// Farewell is why the server ends a stream.
type Farewell struct {
	// Reason is the word that stands in logs and metrics.
	Reason string
	// RetryMillis is after how many milliseconds the client should come back.
	// Zero means that it should not.
	RetryMillis int
}
