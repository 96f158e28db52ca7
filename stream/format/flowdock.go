package format

import (
	"strconv"
	"strings"

	"github.com/seed-078801ba/sidestream/stream/event"
)

// Flowdock's message (flowdock api-docs messages.md, message-types.md), which
// the JSON stream and the Event-Stream share.

// appendFlowdock appends the event as one JSON object, or nothing if Flowdock's
// schema has no message for it.
func appendFlowdock(dst []byte, e *event.Entry, cursor event.Cursor) []byte {
	if e.Op == event.Gap {
		return dst
	}
	if (e.Shape == event.Raw || e.Shape == event.Flowdock) && len(e.Payload) > 0 {
		return appendPayload(dst, e.Payload)
	}
	if e.Op != event.Create {
		if e.ID.IsZero() {
			return dst
		}
		return appendChange(dst, e, cursor)
	}
	kind, ok := flowdockKind(e.Type)
	if !ok {
		return dst
	}
	dst = appendFlowdockHead(dst, kind.event, e, e.ID, cursor)
	switch {
	case kind.action == "":
		dst = appendText(dst, e.TextWithFiles())
	case kind.action == "block":
		dst = append(dst, `{"type":"block","description":{"user":`...)
		dst = appendScalar(dst, e.User)
		dst = append(dst, "}}"...)
	default:
		dst = append(dst, `{"type":`...)
		dst = appendText(dst, kind.action)
		dst = append(dst, `,"description":`...)
		dst = appendText(dst, e.TextWithFiles())
		dst = append(dst, '}')
	}
	return appendFlowdockTail(dst, e, cursor)
}

// appendChange appends an edit or a deletion. As in Flowdock, it is an event with an
// id of its own, and its content names the message. The id is the event's cursor.
func appendChange(dst []byte, e *event.Entry, cursor event.Cursor) []byte {
	name := "message-edit"
	if e.Op == event.Delete {
		name = "message-delete"
	}
	dst = appendFlowdockHead(dst, name, e, event.Scalar{}, cursor)
	dst = append(dst, `{"message":`...)
	dst = appendScalar(dst, e.ID)
	if e.Op == event.Edit {
		dst = append(dst, `,"updated_content":`...)
		dst = appendText(dst, e.TextWithFiles())
	}
	return appendFlowdockTail(append(dst, '}'), e, cursor)
}

// appendFlowdockHead appends the keys before the content. A private message
// has the user that it is for instead of a flow.
func appendFlowdockHead(dst []byte, name string, e *event.Entry, id event.Scalar, cursor event.Cursor) []byte {
	dst = append(dst, `{"event":`...)
	dst = appendText(dst, name)
	dst = append(dst, `,"tags":[],"uuid":null,"id":`...)
	dst = appendID(dst, id, cursor)
	if e.To.IsZero() {
		dst = append(dst, `,"flow":`...)
		dst = appendText(dst, e.Channel.Text)
	} else {
		dst = append(dst, `,"to":`...)
		dst = appendText(dst, e.To.Text)
	}
	return append(dst, `,"content":`...)
}

// appendFlowdockTail appends the keys behind the content.
func appendFlowdockTail(dst []byte, e *event.Entry, cursor event.Cursor) []byte {
	at := written(e)
	dst = append(dst, `,"sent":`...)
	dst = strconv.AppendInt(dst, at.UnixMilli(), 10)
	dst = append(dst, `,"created_at":"`...)
	dst = at.AppendFormat(dst, "2006-01-02T15:04:05.000Z")
	dst = append(dst, `","app":"chat","attachments":`...)
	if e.Shape == event.Mapped && len(e.Payload) > 0 {
		dst = appendPayload(dst, e.Payload)
	} else {
		dst = append(dst, "[]"...)
	}
	dst = appendAuthor(dst, e)
	dst = appendThread(dst, e, cursor)
	return append(dst, '}')
}

// appendAuthor appends the user, always as a string: "0" is nobody. The name, if
// there is one, has the only place that Flowdock's messages have for a name; a
// name without an id is an author from outside, who has no user key at all.
func appendAuthor(dst []byte, e *event.Entry) []byte {
	if e.UserName != "" {
		dst = append(dst, `,"external_user_name":`...)
		if dst = appendText(dst, e.UserName); e.User.IsZero() {
			return dst
		}
	}
	dst = append(dst, `,"user":`...)
	if e.User.IsZero() {
		return append(dst, `"0"`...)
	}
	return appendText(dst, e.User.Text)
}

// appendThread appends the thread of a message in a flow. lita-flowdock reads
// thread.initial_message of every message and answers there, without a look at
// whether there is a thread: so a message without a thread names itself. thread_id is
// only written if there is a thread, because hubot-flowdock answers there first.
func appendThread(dst []byte, e *event.Entry, cursor event.Cursor) []byte {
	if !e.Thread.IsZero() {
		dst = append(dst, `,"thread_id":`...)
		dst = appendScalar(dst, e.Thread)
	}
	if !e.To.IsZero() {
		return dst
	}
	dst = append(dst, `,"thread":{"initial_message":`...)
	if e.Thread.IsZero() {
		dst = appendID(dst, e.ID, cursor)
	} else {
		dst = appendScalar(dst, e.Thread)
	}
	return append(dst, '}')
}

// kind is how Flowdock writes a type of message: as an event whose content is the
// body, or as an event "action".
type kind struct{ event, action string }

// flowdockKind translates Campfire's types. What people say is a message, and what
// they do is an action. Flowdock has no TimestampMessage. An unknown type is a
// message.
func flowdockKind(campfire string) (k kind, ok bool) {
	switch campfire {
	case "TimestampMessage":
		return kind{}, false
	case "EnterMessage":
		return kind{"action", "join"}, true
	case "KickMessage":
		return kind{"action", "block"}, true
	case "LeaveMessage", "SoundMessage", "UploadMessage", "TopicChangeMessage", "LockMessage",
		"UnlockMessage", "AllowGuestsMessage", "DisallowGuestsMessage", "IdleMessage",
		"UnidleMessage", "ConferenceCreatedMessage", "ConferenceFinishedMessage":
		return kind{"action", actionName(campfire)}, true
	case "line", "status":
		return kind{event: campfire}, true
	default:
		return kind{event: "message"}, true
	}
}

// actionName spells a type of Campfire's as Flowdock spells actions:
// TopicChangeMessage is topic_change.
func actionName(campfire string) string {
	var b strings.Builder
	for i, r := range strings.TrimSuffix(campfire, "Message") {
		if 'A' <= r && r <= 'Z' {
			if i > 0 {
				b.WriteByte('_')
			}
			r += 'a' - 'A'
		}
		b.WriteRune(r)
	}
	return b.String()
}
