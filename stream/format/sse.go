package format

import (
	"strconv"

	"github.com/seed-078801ba/sidestream/stream/event"
)

// SSE is Server-Sent Events with Flowdock's messages as data: Flowdock's
// Event-Stream. Each message has an id, the cursor, which clients send back
// when they reconnect; none has an event field, because clients listen to
// plain messages (flowdock api-docs streaming.md) and em-eventsource does not
// even deliver "event: message" to them.
type SSE struct{}

// Name is "sse".
func (SSE) Name() string { return "sse" }

// ContentType is the one that clients insist on.
func (SSE) ContentType() string { return "text/event-stream" }

// Event appends id, data on one line, and the empty line that ends a frame.
func (SSE) Event(dst []byte, e *event.Entry, cursor event.Cursor) []byte {
	before := len(dst)
	dst = append(appendCursorField(dst, cursor), "data: "...)
	head := len(dst)
	if dst = appendFlowdock(dst, e, cursor); len(dst) == head {
		return dst[:before]
	}
	return append(dst, "\n\n"...)
}

// Gap appends an event named gap. Its id is where delivery goes on, so that a
// client that reconnects is not told of the same gap again.
func (SSE) Gap(dst []byte, gap event.Missing) []byte {
	at := gap.At
	if at == (event.Cursor{}) {
		at = gap.To
	}
	dst = append(dst, "event: gap\n"...)
	dst = append(appendCursorField(dst, at), "data: {"...)
	return append(appendMissing(dst, gap), "}\n\n"...)
}

// Heartbeat appends a comment with nothing in it, which PyFlowdock knows by
// being exactly a colon. With a cursor, an id goes before it; the empty line
// behind makes clients remember that id without an event being fired.
func (SSE) Heartbeat(dst []byte, cursor event.Cursor) []byte {
	if cursor.Epoch != (event.Epoch{}) {
		dst = appendCursorField(dst, cursor)
	}
	return append(dst, ":\n\n"...)
}

// Farewell appends the time after which clients reconnect. There is no word that
// keeps them from it.
func (SSE) Farewell(dst []byte, f Farewell) []byte {
	if f.RetryMillis <= 0 {
		return dst
	}
	dst = append(dst, "retry: "...)
	dst = strconv.AppendInt(dst, int64(f.RetryMillis), 10)
	return append(dst, "\n\n"...)
}

// Resumable is true.
func (SSE) Resumable() bool { return true }

func appendCursorField(dst []byte, cursor event.Cursor) []byte {
	return append(cursor.Append(append(dst, "id: "...)), '\n')
}
