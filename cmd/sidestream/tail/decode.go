// Package tail reads a chat stream and keeps reading it: Campfire's JSON and XML,
// Flowdock's JSON, and Server-Sent Events. The Content-Type says which. When a
// connection ends, it connects again and continues where it was. It says where
// messages may be missing. It reads any server of these protocols, not only
// Sidestream.
package tail

import (
	"bytes"
	"encoding/xml"
	"errors"
	"mime"
	"strings"
	"time"

	"github.com/valyala/fastjson"
)

// Item is one part of a stream: a message, a gap signal, or a moved cursor.
type Item struct {
	// Payload is the message as it came, without its delimiters: a JSON
	// object, an XML element, or the data of a server-sent event.
	Payload []byte
	// Cursor is the client's position after this item, if the format has
	// cursors (SSE).
	Cursor string
	// ID is the backend's id of the message, "" if it has none.
	ID string
	// Gap: this is no message, but the sign that messages may be missing.
	Gap bool
}

// ErrTooLarge is the error of a message that does not end within MaxItem.
var ErrTooLarge = errors.New("a message of the stream is too large")

// ErrNotMessages is the error of bytes that are no messages of the format.
var ErrNotMessages = errors.New("the stream sends something that is no message")

// MaxItem bounds one message, in bytes.
const MaxItem = 16 << 20

// Decoder cuts a stream into items. Feed it the bytes as they come, cut
// anywhere. It is not safe for concurrent use.
type Decoder interface {
	// Feed takes the next bytes and calls emit for each item that they
	// complete, in order. The item's Payload is valid only during the call.
	// After an error, the rest of the stream cannot be read.
	Feed(b []byte, emit func(Item)) error
	// Retry is how long the server wants its clients to wait before they come
	// back; ok is false if it did not say.
	Retry() (wait time.Duration, ok bool)
}

// NewDecoder makes the decoder for a Content-Type. It is nil for one that no stream
// has.
func NewDecoder(contentType string) Decoder {
	mediaType, _, err := mime.ParseMediaType(contentType)
	if err != nil {
		return nil
	}
	switch mediaType {
	case "text/event-stream":
		return &sseDecoder{}
	case "application/json":
		return &jsonDecoder{}
	case "application/xml", "text/xml":
		return &xmlDecoder{}
	}
	return nil
}

// jsonDecoder finds objects by their braces and needs no delimiter: Campfire's is CR,
// Flowdock's is CR LF, and heartbeats are white space.
type jsonDecoder struct {
	held   []byte
	depth  int
	text   bool // within a string
	escape bool // behind a backslash
	parser fastjson.Parser
}

func (*jsonDecoder) Retry() (time.Duration, bool) { return 0, false }

func (d *jsonDecoder) Feed(b []byte, emit func(Item)) error {
	start := 0 // of the part of b that belongs to the open object
	for i, c := range b {
		switch {
		case d.escape:
			d.escape = false
		case d.text:
			d.escape = c == '\\'
			d.text = c != '"'
		case c == '{' || c == '[':
			if d.depth == 0 {
				start = i
			}
			d.depth++
		case d.depth == 0:
			if c != ' ' && c != '\r' && c != '\n' && c != '\t' {
				return ErrNotMessages
			}
		case c == '"':
			d.text = true
		case c == '}' || c == ']':
			if d.depth--; d.depth > 0 {
				continue
			}
			whole := b[start : i+1]
			if len(d.held) > 0 {
				d.held = append(d.held, whole...)
				whole = d.held
			}
			item, err := d.item(whole)
			if err != nil {
				return err
			}
			emit(item)
			d.held = d.held[:0]
		}
	}
	if d.depth > 0 {
		d.held = append(d.held, b[start:]...)
	}
	if len(d.held) > MaxItem {
		return ErrTooLarge
	}
	return nil
}

func (d *jsonDecoder) item(payload []byte) (Item, error) {
	v, err := d.parser.ParseBytes(payload)
	if err != nil || v.Type() != fastjson.TypeObject {
		return Item{}, ErrNotMessages
	}
	return Item{Payload: payload, ID: scalar(v.Get("id")), Gap: string(v.GetStringBytes("type")) == "StreamGap"}, nil
}

// scalar is a number or string as text, "" for anything else. Numbers stay as
// they are written.
func scalar(v *fastjson.Value) string {
	if v == nil {
		return ""
	}
	switch v.Type() {
	case fastjson.TypeNumber:
		return v.String()
	case fastjson.TypeString:
		return string(v.GetStringBytes())
	}
	return ""
}

// xmlDecoder cuts at CR: between two of them is one element.
type xmlDecoder struct{ held []byte }

func (*xmlDecoder) Retry() (time.Duration, bool) { return 0, false }

// xmlMessage is what tail shows of Campfire's <message>.
type xmlMessage struct {
	ID     string `xml:"id"`
	Room   string `xml:"room-id"`
	User   string `xml:"user-id"`
	Type   string `xml:"type"`
	Body   string `xml:"body"`
	Time   string `xml:"created-at"`
	Reason string `xml:"reason"`
}

func (d *xmlDecoder) Feed(b []byte, emit func(Item)) error {
	for {
		line, rest, ended := bytes.Cut(b, []byte{'\r'})
		d.held = append(d.held, line...)
		if len(d.held) > MaxItem {
			return ErrTooLarge
		}
		if !ended {
			// Heartbeats alone must not use up memory.
			if len(bytes.TrimSpace(d.held)) == 0 {
				d.held = d.held[:0]
			}
			return nil
		}
		if payload := bytes.TrimSpace(d.held); len(payload) > 0 {
			var m xmlMessage
			if err := xml.Unmarshal(payload, &m); err != nil {
				return ErrNotMessages
			}
			emit(Item{Payload: payload, ID: m.ID, Gap: m.Type == "StreamGap"})
		}
		d.held, b = d.held[:0], rest
	}
}

// sseDecoder follows the HTML standard, section 9.2.6: lines end in LF, CR or
// CR LF, an empty one ends an event.
type sseDecoder struct {
	line     []byte
	afterCR  bool // the last line ended in CR: an LF next is part of its end
	begun    bool // the byte order mark was looked for
	data     []byte
	hasData  bool
	event    string
	cursor   string // what the next event will have
	told     string // what the last event had
	retry    time.Duration
	hasRetry bool
	parser   fastjson.Parser
}

func (d *sseDecoder) Retry() (time.Duration, bool) { return d.retry, d.hasRetry }

func (d *sseDecoder) Feed(b []byte, emit func(Item)) error {
	for len(b) > 0 {
		if d.afterCR {
			d.afterCR = false
			if b[0] == '\n' {
				b = b[1:]
				continue
			}
		}
		i := bytes.IndexAny(b, "\r\n")
		if i < 0 {
			d.line = append(d.line, b...)
			if len(d.line)+len(d.data) > MaxItem {
				return ErrTooLarge
			}
			return nil
		}
		d.line = append(d.line, b[:i]...)
		d.afterCR = b[i] == '\r'
		b = b[i+1:]
		if len(d.line)+len(d.data) > MaxItem {
			return ErrTooLarge
		}
		if !d.begun {
			d.begun = true
			d.line = bytes.TrimPrefix(d.line, []byte("\ufeff"))
		}
		d.take(emit)
		d.line = d.line[:0]
	}
	return nil
}

// take handles the line that has ended.
func (d *sseDecoder) take(emit func(Item)) {
	if len(d.line) == 0 {
		d.end(emit)
		return
	}
	field, value, _ := bytes.Cut(d.line, []byte{':'})
	value = bytes.TrimPrefix(value, []byte{' '})
	switch string(field) {
	case "data":
		d.data = append(append(d.data, value...), '\n')
		d.hasData = true
	case "event":
		d.event = string(value)
	case "id":
		if bytes.IndexByte(value, 0) < 0 {
			d.cursor = string(value)
		}
	case "retry":
		if ms, ok := milliseconds(string(value)); ok {
			d.retry, d.hasRetry = ms, true
		}
	}
}

func milliseconds(s string) (time.Duration, bool) {
	if s == "" || len(s) > 9 || strings.Trim(s, "0123456789") != "" {
		return 0, false
	}
	var ms time.Duration
	for i := range len(s) {
		ms = 10*ms + time.Duration(s[i]-'0')
	}
	return ms * time.Millisecond, true
}

// end ends an event. Without data there is no event, but the cursor may have moved:
// then there is an item without payload.
func (d *sseDecoder) end(emit func(Item)) {
	item := Item{Cursor: d.cursor, Gap: d.event == "gap"}
	moved := d.cursor != d.told
	d.told = d.cursor
	if d.hasData {
		item.Payload = bytes.TrimSuffix(d.data, []byte{'\n'})
		if v, err := d.parser.ParseBytes(item.Payload); err == nil && !item.Gap {
			item.ID = scalar(v.Get("id"))
		}
	}
	if d.hasData || moved {
		emit(item)
	}
	d.data, d.hasData, d.event = d.data[:0], false, ""
}
