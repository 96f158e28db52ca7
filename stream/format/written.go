package format

import (
	"time"

	"github.com/seed-078801ba/sidestream/stream/event"
)

// written is when the message was written: what the backend said, or else when the
// log took it. A year that the date forms of the formats cannot write counts as not
// said.
func written(e *event.Entry) time.Time {
	if t := e.Time.UTC(); !e.Time.IsZero() && t.Year() >= 0 && t.Year() <= 9999 {
		return t
	}
	return time.UnixMilli(e.At).UTC()
}

// appendID appends the id of the message. Without an id of the backend's, it is the
// cursor, which is unique, is never used for another message, and does not look
// like an id of the backend's.
func appendID(dst []byte, id event.Scalar, cursor event.Cursor) []byte {
	if !id.IsZero() {
		return appendScalar(dst, id)
	}
	return appendCursor(dst, cursor)
}

// appendCursor appends the cursor as a JSON string.
func appendCursor(dst []byte, cursor event.Cursor) []byte {
	return append(cursor.Append(append(dst, '"')), '"')
}

// appendMissing appends the members of a gap signal: channel, from, to,
// reason. A gap in all channels of the stream has the channel null; from is
// null if the client presented no cursor of ours.
func appendMissing(dst []byte, gap event.Missing) []byte {
	dst = append(dst, `"channel":`...)
	if gap.Channel == "" {
		dst = append(dst, "null"...)
	} else {
		dst = appendText(dst, gap.Channel)
	}
	dst = append(dst, `,"from":`...)
	if gap.From == (event.Cursor{}) {
		dst = append(dst, "null"...)
	} else {
		dst = appendCursor(dst, gap.From)
	}
	dst = append(dst, `,"to":`...)
	dst = appendCursor(dst, gap.To)
	dst = append(dst, `,"reason":`...)
	return appendText(dst, string(gap.Reason))
}

// appendStreamGap appends the gap signal of the JSON streams. No message of the
// services had its type.
func appendStreamGap(dst []byte, gap event.Missing) []byte {
	dst = append(dst, `{"type":"StreamGap",`...)
	return append(appendMissing(dst, gap), '}')
}
