package format

import (
	"strconv"

	"github.com/seed-078801ba/sidestream/stream/event"
)

// SSE is Server-Sent Events with Flowdock's messages as data, as in Flowdock's
// Event-Stream. The id of each message is its cursor, which clients send back when
// they reconnect. No message has an event field, because clients listen to plain
// messages (flowdock api-docs streaming.md), and em-eventsource does not deliver
// "event: message" to them.
type SSE struct{}

// Name is "sse".
func (SSE) Name() string { return "sse" }

// ContentType is text/event-stream: clients accept no other.
func (SSE) ContentType() string { return "text/event-stream" }

// Event appends id, data on one line, and the empty line that ends a frame.
func (SSE) Event(dst []byte, e *event.Entry, cursor event.Cursor) []byte {
	before := len(dst)
	if e.Seq > 0 || e.ID.IsZero() {
		dst = appendCursorField(dst, cursor)
	} else { // it is not of the log: the app's id is where a client goes on
		dst = append(append(append(dst, "id: "...), e.ID.Text...), '\n')
	}
	dst = append(dst, "data: "...)
	head := len(dst)
	if dst = appendFlowdock(dst, e, cursor); len(dst) == head {
		return dst[:before]
	}
	return append(dst, "\n\n"...)
}

// Gap appends an event named gap. Its id is the position at which delivery
// continues, so that a client that reconnects is not told of the same gap again.
func (SSE) Gap(dst []byte, gap event.Missing) []byte {
	at := gap.At
	if at == (event.Cursor{}) {
		at = gap.To
	}
	dst = append(dst, "event: gap\n"...)
	dst = append(appendCursorField(dst, at), "data: {"...)
	return append(appendMissing(dst, gap), "}\n\n"...)
}

// Heartbeat appends an empty comment: PyFlowdock compares it with a colon. With a
// cursor, an id stands before it. The empty line behind it makes clients remember
// that id, and fires no event.
func (SSE) Heartbeat(dst []byte, cursor event.Cursor) []byte {
	if cursor.Epoch != (event.Epoch{}) {
		dst = appendCursorField(dst, cursor)
	}
	return append(dst, ":\n\n"...)
}

// Farewell appends the time after which clients reconnect. The format has nothing
// that keeps them from reconnecting.
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
