package format

import "github.com/seed-078801ba/sidestream/stream/event"

// AppendText appends text as a JSON string of printable ASCII.
func AppendText(dst []byte, text string) []byte { return appendText(dst, text) }

// AppendBayeux appends an event as a message of Bayeux (docs.cometd.org, The Bayeux
// Protocol, 5.2.2), for a client that knows its channel by this name; nothing if there
// is no message for it. Its data is what server-sent events have: Flowdock's message,
// or what the configuration says. Its place in the history is ext.cursor.
//
// It has no id and no clientId: those would be the sender's, which nobody else may
// learn, and CometD's clients take an id for an answer to what they sent themselves.
func AppendBayeux(dst []byte, name string, e *event.Entry, cursor event.Cursor) []byte {
	before := len(dst)
	dst = append(dst, `{"channel":`...)
	dst = appendText(dst, name)
	dst = append(dst, `,"data":`...)
	head := len(dst)
	if dst = appendFlowdock(dst, e, cursor); len(dst) == head {
		return dst[:before]
	}
	dst = append(dst, `,"ext":{"cursor":`...)
	return append(appendCursor(dst, cursor), "}}"...)
}

// AppendBayeuxGap appends the signal that events may be missing in a channel. It has
// no data: clients hand it to their extensions, and to no listener.
func AppendBayeuxGap(dst []byte, name string, gap event.Missing) []byte {
	dst = append(dst, `{"channel":`...)
	dst = appendText(dst, name)
	dst = append(dst, `,"ext":{"gap":{`...)
	gap.Channel = name
	return append(appendMissing(dst, gap), "}}}"...)
}

// BayeuxSocket is what the server pushes to a client of Bayeux over a WebSocket: whole
// arrays of messages, which its session writes. So the format itself writes nothing.
type BayeuxSocket struct{ pushed }

// Name is "bayeux-websocket".
func (BayeuxSocket) Name() string { return "bayeux-websocket" }

// ContentType is that of the messages.
func (BayeuxSocket) ContentType() string { return "application/json" }

// Heartbeat appends nothing: WebSockets have pings.
func (BayeuxSocket) Heartbeat(dst []byte, _ event.Cursor) []byte { return dst }

// BayeuxEvents is the same as server-sent events, Faye's transport eventsource.
type BayeuxEvents struct{ pushed }

// Name is "bayeux-eventsource".
func (BayeuxEvents) Name() string { return "bayeux-eventsource" }

// ContentType is text/event-stream.
func (BayeuxEvents) ContentType() string { return "text/event-stream; charset=utf-8" }

// Heartbeat appends an empty comment.
func (BayeuxEvents) Heartbeat(dst []byte, _ event.Cursor) []byte { return append(dst, ":\n\n"...) }

// pushed is what formats have in common whose messages a session writes.
type pushed struct{}

func (pushed) Event(dst []byte, _ *event.Entry, _ event.Cursor) []byte { return dst }
func (pushed) Gap(dst []byte, _ event.Missing) []byte                  { return dst }
func (pushed) Farewell(dst []byte, _ Farewell) []byte                  { return dst }
func (pushed) Resumable() bool                                         { return true }
