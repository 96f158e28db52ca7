package bayeux

import (
	"encoding/json"
	"errors"
	"net/url"
	"strings"

	"github.com/valyala/fastjson"

	"github.com/seed-078801ba/sidestream/stream/format"
)

const (
	// maxBatch bounds the messages of one request, or of one frame.
	maxBatch = 256
	// maxBody bounds what a request brings, in bytes.
	maxBody = 512 << 10
	// maxID bounds the id of a message, as JSON.
	maxID = 128
)

var errBatch = errors.New("no messages")

// message is one message of a client. What is beside the keys that every message
// has is read where it is needed.
type message struct {
	*fastjson.Value
	channel  string
	clientID string
	id       []byte // as JSON, nil if there is none
}

// parseBatch reads the messages of a request: an array, or one alone. What is in an
// array and is no object has no channel.
func parseBatch(text string) ([]message, error) {
	v, err := fastjson.Parse(text)
	if err != nil {
		return nil, errBatch
	}
	var values []*fastjson.Value
	switch v.Type() {
	case fastjson.TypeObject:
		values = []*fastjson.Value{v}
	case fastjson.TypeArray:
		values = v.GetArray()
	default:
		return nil, errBatch
	}
	if len(values) > maxBatch {
		return nil, errBatch
	}
	messages := make([]message, len(values))
	for i, v := range values {
		messages[i] = readMessage(v)
	}
	return messages, nil
}

func readMessage(v *fastjson.Value) message {
	m := message{Value: v, channel: text(v.Get("channel")), clientID: text(v.Get("clientId"))}
	if id := v.Get("id"); id != nil && (id.Type() == fastjson.TypeString || id.Type() == fastjson.TypeNumber) {
		if m.id = appendValue(nil, id); len(m.id) > maxID || string(m.id) == "null" {
			m.id = nil
		}
	}
	return m
}

// text is a string; empty if v is none.
func text(v *fastjson.Value) string {
	if v == nil || v.Type() != fastjson.TypeString {
		return ""
	}
	return string(v.GetStringBytes())
}

// texts are the strings of an array, or the one that stands alone; false if there is
// something else.
func texts(v *fastjson.Value) ([]string, bool) {
	if v == nil {
		return nil, false
	}
	if v.Type() != fastjson.TypeArray {
		return []string{text(v)}, v.Type() == fastjson.TypeString
	}
	values := v.GetArray()
	if len(values) > maxBatch {
		return nil, false
	}
	all := make([]string, len(values))
	for i, v := range values {
		if v.Type() != fastjson.TypeString {
			return nil, false
		}
		all[i] = text(v)
	}
	return all, true
}

// batchOf finds the messages in what a client has posted. JSON is read whatever type
// it has; a form has them in its field message, which may be repeated (Faye's
// cross-origin transport sends a form that is typed text/plain).
func batchOf(body string) ([]message, error) {
	if trimmed := strings.TrimLeft(body, " \t\r\n"); trimmed != "" && (trimmed[0] == '[' || trimmed[0] == '{') {
		return parseBatch(trimmed)
	}
	values, err := url.ParseQuery(body)
	if err != nil {
		return nil, errBatch
	}
	return batchIn(values["message"])
}

// batchIn reads the values of a form's field.
func batchIn(fields []string) ([]message, error) {
	var all []message
	for _, field := range fields {
		messages, err := parseBatch(field)
		if err != nil {
			return nil, err
		}
		if all = append(all, messages...); len(all) > maxBatch {
			return nil, errBatch
		}
	}
	if len(fields) == 0 {
		return nil, errBatch
	}
	return all, nil
}

// appendValue appends JSON with nothing in it but printable ASCII. fastjson's own
// writer escapes as Go does, which JSON cannot read.
func appendValue(dst []byte, v *fastjson.Value) []byte {
	switch v.Type() {
	case fastjson.TypeObject:
		dst = append(dst, '{')
		first := true
		v.GetObject().Visit(func(key []byte, v *fastjson.Value) {
			if !first {
				dst = append(dst, ',')
			}
			first = false
			dst = format.AppendText(dst, string(key))
			dst = appendValue(append(dst, ':'), v)
		})
		return append(dst, '}')
	case fastjson.TypeArray:
		dst = append(dst, '[')
		for i, v := range v.GetArray() {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = appendValue(dst, v)
		}
		return append(dst, ']')
	case fastjson.TypeString:
		return format.AppendText(dst, string(v.GetStringBytes()))
	}
	before := len(dst)
	if dst = v.MarshalTo(dst); !json.Valid(dst[before:]) { // fastjson takes nan and 007 for numbers
		return append(dst[:before], "null"...)
	}
	return dst // a number keeps its digits
}
