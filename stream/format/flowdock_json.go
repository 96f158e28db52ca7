package format

import "github.com/seed-078801ba/sidestream/stream/event"

// FlowdockJSON is /flows as a JSON stream: objects, each followed by CR LF,
// and single line feeds as heartbeat. The manual says that the delimiter is a
// carriage return, but the vendor's own libraries cut at CR LF (node-flowdock
// src/json_stream.coffee); a heartbeat with a CR in it makes them throw.
//
// Payloads in Flowdock's schema, and those that the configuration says, are passed
// on as they came.
type FlowdockJSON struct{}

// Name is "flowdock-json".
func (FlowdockJSON) Name() string { return "flowdock-json" }

// ContentType names no charset, as the service did not.
func (FlowdockJSON) ContentType() string { return "application/json" }

// Event appends the message and CR LF.
func (FlowdockJSON) Event(dst []byte, e *event.Entry, cursor event.Cursor) []byte {
	before := len(dst)
	if dst = appendFlowdock(dst, e, cursor); len(dst) == before {
		return dst
	}
	return append(dst, "\r\n"...)
}

// Gap appends an object of type StreamGap. It has no key "event": clients that look
// there for what a message is pass over it.
func (FlowdockJSON) Gap(dst []byte, gap event.Missing) []byte {
	return append(appendStreamGap(dst, gap), "\r\n"...)
}

// Heartbeat appends one line feed.
func (FlowdockJSON) Heartbeat(dst []byte, _ event.Cursor) []byte { return append(dst, '\n') }

// Farewell appends nothing.
func (FlowdockJSON) Farewell(dst []byte, _ Farewell) []byte { return dst }

// Resumable is false.
func (FlowdockJSON) Resumable() bool { return false }
