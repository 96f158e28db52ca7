package format

import "github.com/seed-078801ba/sidestream/stream/event"

// CampfireJSON is /room/<id>/live.json: JSON objects, each followed by one
// carriage return, and single spaces as heartbeat (captures of the service:
// firering spec/fixtures/json/get_room_ID_live.json, jinder streaming.json).
//
// Messages have the keys of the captures and no nested objects. Payloads in
// Campfire's schema, and those that the configuration says, are passed on as they
// came. Edits and deletions are left out: see saysInCampfire.
type CampfireJSON struct{}

// Name is "campfire-json".
func (CampfireJSON) Name() string { return "campfire-json" }

// ContentType names no charset, as the service did not.
func (CampfireJSON) ContentType() string { return "application/json" }

// Event appends the message and a carriage return.
func (CampfireJSON) Event(dst []byte, e *event.Entry, cursor event.Cursor) []byte {
	if !saysInCampfire(e) {
		return dst
	}
	if passesRaw(e) || (e.Shape == event.Campfire && len(e.Payload) > 0) {
		before := len(dst)
		if dst = appendPayload(dst, e.Payload); len(dst) == before {
			return dst // an empty line ends jinder for good
		}
		return append(dst, '\r')
	}
	dst = append(dst, `{"room_id":`...)
	dst = appendCampfireID(dst, e.Channel)
	dst = append(dst, `,"created_at":"`...)
	dst = written(e).AppendFormat(dst, "2006/01/02 15:04:05 +0000")
	dst = append(dst, `","body":`...)
	if hasBody(e) {
		dst = appendText(dst, e.TextWithFiles())
	} else {
		dst = append(dst, "null"...)
	}
	dst = append(dst, `,"id":`...)
	if e.ID.IsZero() {
		dst = appendCursor(dst, cursor)
	} else {
		dst = appendCampfireID(dst, e.ID)
	}
	dst = append(dst, `,"user_id":`...)
	dst = appendCampfireID(dst, e.User)
	dst = append(dst, `,"type":`...)
	dst = appendText(dst, campfireType(e))
	return append(dst, `,"starred":false}`+"\r"...)
}

// Gap appends an object of type StreamGap, unknown to Campfire.
func (CampfireJSON) Gap(dst []byte, gap event.Missing) []byte {
	return append(appendStreamGap(dst, gap), '\r')
}

// Heartbeat appends one space: clients compare a read with exactly that.
func (CampfireJSON) Heartbeat(dst []byte, _ event.Cursor) []byte { return append(dst, ' ') }

// Farewell appends nothing.
func (CampfireJSON) Farewell(dst []byte, _ Farewell) []byte { return dst }

// Resumable is false.
func (CampfireJSON) Resumable() bool { return false }
