package format

import (
	"github.com/seed-078801ba/sidestream/stream/event"
	"github.com/valyala/fastjson"
)

// CampfireXML is /room/<id>/live.xml: one <message> element a line, each
// followed by one carriage return, and single spaces as heartbeat. The element
// is that of campfire-api sections/data_reference.md. How the service framed its
// XML stream is not known, so this follows its JSON stream: no prologue, and no
// element around the messages. Each line is a document.
//
// The message is built from the mapped fields. Of a payload in Campfire's schema
// it also has starred, url and description. A payload that the configuration says
// (data) is JSON and is not used here.
type CampfireXML struct{}

// Name is "campfire-xml".
func (CampfireXML) Name() string { return "campfire-xml" }

// ContentType names no charset: all that is written is ASCII.
func (CampfireXML) ContentType() string { return "application/xml" }

// Event appends the message and a carriage return.
func (CampfireXML) Event(dst []byte, e *event.Entry, cursor event.Cursor) []byte {
	if e.Op != event.Create || !saysInCampfire(e) {
		return dst
	}
	dst = append(dst, "<message>"...)
	if e.ID.IsZero() {
		dst = append(dst, "<id>"...)
		dst = cursor.Append(dst)
		dst = append(dst, "</id>"...)
	} else {
		dst = appendIDElement(dst, "id", e.ID)
	}
	dst = appendIDElement(dst, "room-id", e.Channel)
	dst = appendIDElement(dst, "user-id", e.User)
	if hasBody(e) {
		dst = appendElement(dst, "body", e.TextWithFiles())
	} else {
		dst = append(dst, `<body nil="true"></body>`...)
	}
	dst = append(dst, `<created-at type="datetime">`...)
	dst = written(e).AppendFormat(dst, "2006-01-02T15:04:05Z")
	dst = append(dst, "</created-at>"...)
	dst = appendElement(dst, "type", campfireType(e))
	dst = appendExtras(dst, e)
	return append(dst, "</message>\r"...)
}

// Gap appends a message of type StreamGap, unknown to Campfire.
func (CampfireXML) Gap(dst []byte, gap event.Missing) []byte {
	dst = append(dst, "<message><type>StreamGap</type>"...)
	dst = appendElement(dst, "channel", gap.Channel)
	dst = append(dst, "<from>"...)
	if gap.From != (event.Cursor{}) {
		dst = gap.From.Append(dst)
	}
	dst = append(dst, "</from><to>"...)
	dst = gap.To.Append(dst)
	dst = append(dst, "</to>"...)
	dst = appendElement(dst, "reason", string(gap.Reason))
	return append(dst, "</message>\r"...)
}

// Heartbeat appends one space.
func (CampfireXML) Heartbeat(dst []byte, _ event.Cursor) []byte { return append(dst, ' ') }

// Farewell appends nothing.
func (CampfireXML) Farewell(dst []byte, _ Farewell) []byte { return dst }

// Resumable is false.
func (CampfireXML) Resumable() bool { return false }

var payloads fastjson.ParserPool

// appendExtras appends the elements of Campfire's schema that are no fields of an
// event.
func appendExtras(dst []byte, e *event.Entry) []byte {
	starred := "false"
	if e.Shape != event.Campfire || len(e.Payload) == 0 {
		return appendElement(dst, "starred", starred)
	}
	parser := payloads.Get()
	defer payloads.Put(parser)
	payload, err := parser.ParseBytes(e.Payload)
	if err != nil {
		return appendElement(dst, "starred", starred)
	}
	if payload.GetBool("starred") || string(payload.GetStringBytes("starred")) == "true" {
		starred = "true"
	}
	dst = appendElement(dst, "starred", starred)
	for _, name := range [...]string{"url", "description"} {
		if text := payload.GetStringBytes(name); text != nil {
			dst = appendElement(dst, name, string(text))
		}
	}
	return dst
}

// appendIDElement appends an identifier. Clients look for the exact tag, its
// type included (ajorians/CampfireAPI), so plain integers have the type that they
// always had, also if they came as text; other ids have none.
func appendIDElement(dst []byte, name string, id event.Scalar) []byte {
	if !id.IsZero() && !isInteger(id.Text) {
		return appendElement(dst, name, id.Text)
	}
	dst = append(append(dst, '<'), name...)
	dst = append(dst, ` type="integer"`...)
	if id.IsZero() {
		dst = append(dst, ` nil="true"`...)
	}
	dst = append(append(dst, '>'), id.Text...)
	return appendEnd(dst, name)
}

// appendElement appends an element of text. The name is one of ours.
func appendElement(dst []byte, name, text string) []byte {
	dst = append(append(dst, '<'), name...)
	dst = appendXMLText(append(dst, '>'), text)
	return appendEnd(dst, name)
}

func appendEnd(dst []byte, name string) []byte {
	return append(append(append(dst, "</"...), name...), '>')
}
