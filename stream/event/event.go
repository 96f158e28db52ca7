// Package event holds the values that flow through Sidestream: the event, its
// place in a hub's log, and that place as text on the wire.
//
// It is a leaf: it knows nothing of HTTP, of stores or of connections, so that
// every other package can speak in its words.
package event

import (
	"strings"
	"time"
)

// Op says what an event does to the message that it names.
type Op uint8

const (
	// Create is a new message.
	Create Op = iota
	// Edit replaces the text of an earlier message with the same ID.
	Edit
	// Delete takes back an earlier message with the same ID.
	Delete
	// Gap is no message: events of this channel may be missing at this place
	// of the log (its Type is the Reason). Ingest writes it when it cannot
	// prove that it heard everything.
	Gap
)

var opNames = [...]string{Create: "create", Edit: "edit", Delete: "delete", Gap: "gap"}

func (o Op) String() string {
	if int(o) < len(opNames) {
		return opNames[o]
	}
	return "unknown"
}

// ParseOp reads the name of an operation as the mapping language spells it.
func ParseOp(s string) (Op, bool) {
	for op, name := range opNames {
		if s == name && Op(op) != Gap {
			return Op(op), true
		}
	}
	return Create, false
}

// Shape says in which schema a payload is, and so which formats may pass it
// on whole.
type Shape uint8

const (
	// Mapped events are built by formats from the fields. Their payload is the
	// files that are attached, as AppendFiles writes them, or nothing.
	Mapped Shape = iota
	// Raw payloads were chosen by the configuration ("map data"): every JSON
	// format writes them as they are.
	Raw
	// Campfire payloads are messages in Campfire's schema.
	Campfire
	// Flowdock payloads are messages in Flowdock's schema.
	Flowdock
	// Gone is what is left of a message that was taken back, or of an edit that a
	// later one has replaced: its place, and nothing that it said. Formats write
	// nothing. Only a log makes one.
	Gone
)

// Scalar is an identifier as the backend wrote it. JSON numbers and strings
// with the same text name the same thing, but are written out as they came in:
// a client that was given the number 5 is given the number 5 again. Text of a
// number is the literal itself, never passed through a float.
type Scalar struct {
	Text   string
	Number bool
}

// String makes a Scalar that is written as a JSON string.
func String(text string) Scalar { return Scalar{Text: text} }

// Number makes a Scalar from a JSON number literal.
func Number(literal string) Scalar { return Scalar{Text: literal, Number: true} }

// IsZero tells whether nothing was mapped.
func (s Scalar) IsZero() bool { return s.Text == "" }

// Event is one message on its way from the backend to the streams.
//
// Events are values: whoever holds one may read it, nobody changes it once it
// was given to a Publisher.
type Event struct {
	// Channel is where the event goes. Required, and a name that CheckChannel
	// takes. For an event addressed to a user it is UserChannel(user).
	Channel Scalar
	// ID is the backend's id of the message; zero if it has none.
	ID Scalar
	// Version tells apart several edits of one message (usually the time of
	// the edit).
	Version string
	// Op is what happened to the message.
	Op Op
	// Type is the kind of message in Campfire's words: TextMessage,
	// EnterMessage, ... Empty means TextMessage. For Op Gap, it is the Reason.
	Type string
	// User is the id of who wrote the message; zero for nobody.
	User Scalar
	// UserName is the author's name for people, if the backend sent one.
	UserName string
	// Thread is the id of the message that this one answers, if any.
	Thread Scalar
	// To is the user that the event is addressed to, if it is private; then
	// Channel is that user's private channel.
	To Scalar
	// Time is when the backend says that the message was written, in whole
	// milliseconds. Zero if it did not say: the log's time stands in.
	Time time.Time
	// Body is the text of the message.
	Body string
	// Delivery is the id of the delivery plus the event's place in it. It
	// stands in for the ID in the key of an event that has none of its own.
	Delivery string
	// Shape says what Payload is.
	Shape Shape
	// Payload is the backend's JSON, compacted and otherwise untouched; of a
	// mapped event its files.
	Payload []byte
}

// Key is what makes two events the same one: channel, id, operation and
// version, never the delivery that brought it, because real senders put a
// grown batch into the same delivery. Only an event without an id of its own
// is known by its delivery. An event with neither has no key ("") and is never
// a duplicate.
func (e *Event) Key() string {
	if e.ID.IsZero() && e.Delivery == "" {
		return ""
	}
	return key(e.Channel.Text, e.ID.Text, e.Delivery, e.Op, e.Version)
}

// CreateKey is the Key of the event that created the message with this id.
func CreateKey(channel, id string) string { return key(channel, id, "", Create, "") }

// key joins the parts so that no choice of parts can look like another one:
// each is preceded by its length.
func key(channel, id, delivery string, op Op, version string) string {
	var b strings.Builder
	if id != "" {
		delivery = ""
	}
	b.Grow(len(channel) + len(id) + len(delivery) + len(version) + 16)
	for _, part := range []string{channel, id, delivery, version} {
		b.WriteString(itoa(len(part)))
		b.WriteByte(':')
		b.WriteString(part)
	}
	b.WriteByte('0' + byte(op))
	return b.String()
}

// MessageKey stands for a message itself, whatever happened to it: the events that
// created, edited and deleted it have keys of their own.
func MessageKey(channel, id string) string { return key(channel, id, "", message, "") }

// message is no operation: it sets MessageKey apart from the keys of events.
const message Op = 9

// Changes tells whether the event changes an earlier message.
func (e *Event) Changes() bool { return (e.Op == Edit || e.Op == Delete) && !e.ID.IsZero() }

// Kept is the event as a log keeps it. A deletion takes back what was said, and
// some apps repeat it there: only a payload that the configuration chose stays, or
// one that is a deletion in Flowdock's words.
func (e *Event) Kept() Event {
	kept := *e
	if e.Op == Delete && !e.ID.IsZero() {
		kept.Body = ""
		if e.Shape == Campfire {
			kept.Shape, kept.Payload = Mapped, nil
		}
	}
	return kept
}

// WithoutText is the event without anything that it said.
func (e *Event) WithoutText() Event {
	gone := *e
	gone.Shape, gone.Body, gone.Payload = Gone, "", nil
	return gone
}

// WithText is the event with what another one says, which has edited it.
func (e *Event) WithText(edit *Event) Event {
	changed, said := *e, edit.Text()
	changed.Shape, changed.Body, changed.Payload = said.Shape, said.Body, said.Payload
	return changed
}

// Text is what an edit makes a message say: Shape, Body and Payload. Flowdock's
// payload of an edit is no message of its own; then the body alone counts.
func (e *Event) Text() Event {
	if e.Shape == Flowdock {
		return Event{Body: e.Body}
	}
	return Event{Shape: e.Shape, Body: e.Body, Payload: e.Payload}
}
