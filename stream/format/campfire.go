package format

import (
	"strings"

	"github.com/seed-078801ba/sidestream/stream/event"
)

// saysInCampfire tells whether the event can be written in Campfire's schema.
// Edits and deletions cannot: a bot would take either for a new message and answer
// it twice. So Campfire's streams leave them out, unless the configuration says
// itself what clients get (data). Flowdock's activity, tags and the like cannot
// either: the names of Campfire's types all end in Message.
func saysInCampfire(e *event.Entry) bool {
	if e.Shape == event.Flowdock && e.Type != "" && !strings.HasSuffix(e.Type, "Message") {
		return false
	}
	return e.Op == event.Create || e.Op != event.Gap && passesRaw(e)
}

func passesRaw(e *event.Entry) bool {
	return e.Shape == event.Raw && len(e.Payload) > 0
}

// campfireType is the type of the message. A text without a type gets the one that
// Campfire gave it: PasteMessage if it has line breaks, otherwise TextMessage.
func campfireType(e *event.Entry) string {
	switch {
	case e.Type != "":
		return e.Type
	case strings.ContainsAny(e.TextWithFiles(), "\r\n"):
		return "PasteMessage"
	default:
		return "TextMessage"
	}
}

// appendCampfireID appends an identifier as JSON. Campfire's ids are numbers, and
// its clients compare them as such: a plain integer is a number, also if it came as text,
// as the names of channels in Redis do.
func appendCampfireID(dst []byte, id event.Scalar) []byte {
	if isInteger(id.Text) {
		return append(dst, id.Text...)
	}
	return appendScalar(dst, id)
}

// hasBody tells whether the body is text. In EnterMessage and the like it is null.
func hasBody(e *event.Entry) bool {
	return e.Body != "" || len(e.Payload) > 0 || e.Type == "" || e.Type == "TextMessage" || e.Type == "PasteMessage"
}
