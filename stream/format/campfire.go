package format

import (
	"strings"

	"github.com/seed-078801ba/sidestream/stream/event"
)

// saysInCampfire tells whether Campfire had a word for the event. It had none
// for an edited or a deleted message: showing either as one more message would
// make bots answer it twice, so streams leave them out, except where the
// configuration chose itself what goes out. Neither had it one for Flowdock's
// activity, tags and the like: its own types all end in Message.
func saysInCampfire(e *event.Entry) bool {
	if e.Shape == event.Flowdock && e.Type != "" && !strings.HasSuffix(e.Type, "Message") {
		return false
	}
	return e.Op == event.Create || e.Op != event.Gap && passesRaw(e)
}

func passesRaw(e *event.Entry) bool {
	return e.Shape == event.Raw && len(e.Payload) > 0
}

// campfireType is the type of the message. Text that came without one gets
// what Campfire gave it: PasteMessage if it has line breaks.
func campfireType(e *event.Entry) string {
	switch {
	case e.Type != "":
		return e.Type
	case strings.ContainsAny(e.Body, "\r\n"):
		return "PasteMessage"
	default:
		return "TextMessage"
	}
}

// hasBody tells whether the body is text; EnterMessage and its like have null.
func hasBody(e *event.Entry) bool {
	return e.Body != "" || e.Type == "" || e.Type == "TextMessage" || e.Type == "PasteMessage"
}
