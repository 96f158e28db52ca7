package decode

import (
	"strings"
	"unicode/utf8"

	"github.com/valyala/fastjson"

	"github.com/seed-078801ba/sidestream/stream/event"
)

// value is what an expression yields.
type value struct {
	kind kind
	text string // of text; the literal of number and boolean
	list []value
	node *fastjson.Value // of composite
}

type kind uint8

const (
	missing   kind = iota // no such thing, or null
	text                  //
	number                // a JSON number, as its literal
	boolean               // true or false
	list                  // several values, from split
	composite             // a JSON array or object
)

func fromJSON(v *fastjson.Value) value {
	if v == nil {
		return value{}
	}
	switch v.Type() {
	case fastjson.TypeString:
		b, _ := v.StringBytes()
		return value{kind: text, text: string(b)}
	case fastjson.TypeNumber:
		var buf [32]byte
		return value{kind: number, text: string(v.MarshalTo(buf[:0]))}
	case fastjson.TypeTrue:
		return value{kind: boolean, text: "true"}
	case fastjson.TypeFalse:
		return value{kind: boolean, text: "false"}
	case fastjson.TypeNull:
		return value{}
	}
	return value{kind: composite, node: v}
}

func (v *value) isText() bool { return v.kind == text }

// scalar tells whether the value is one text.
func (v *value) scalar() bool { return v.kind == text || v.kind == number || v.kind == boolean }

// elements calls f for each value of a list or JSON array, or for the value
// itself, until f returns false.
func (v *value) elements(f func(value) bool) {
	switch {
	case v.kind == list:
		for _, element := range v.list {
			if !f(element) {
				return
			}
		}
	case v.kind == composite && v.node.Type() == fastjson.TypeArray:
		nodes, _ := v.node.Array()
		for _, node := range nodes {
			if !f(fromJSON(node)) {
				return
			}
		}
	case v.kind != missing:
		f(*v)
	}
}

// MaxName is the length of the longest name of a channel, id or user, in bytes.
const MaxName = 256

// identity makes the name of a channel, message or user. An empty text is as
// good as none: apps write "" for "not in a thread". ok is false for what
// cannot be a name.
func (v *value) identity() (id event.Scalar, ok bool) {
	switch {
	case v.kind == missing || (v.kind == text && v.text == ""):
		return event.Scalar{}, true
	case v.kind != text && v.kind != number, !ValidName(v.text):
		return event.Scalar{}, false
	}
	return event.Scalar{Text: v.text, Number: v.kind == number}, true
}

// ValidName tells whether s can name something: 1 to MaxName bytes of valid UTF-8
// without control characters. Line and paragraph separators count as such.
func ValidName(s string) bool {
	if s == "" || len(s) > MaxName || !utf8.ValidString(s) {
		return false
	}
	return !strings.ContainsFunc(s, func(r rune) bool {
		return r < 0x20 || (r >= 0x7f && r < 0xa0) || r == '\u2028' || r == '\u2029'
	})
}

// validChannel tells whether the backend may name a channel so: what begins
// like a user's private channel could reach private streams, and a dot segment
// could leave the path of the question that the backend is asked about it.
func validChannel(s string) bool {
	return !strings.HasPrefix(s, event.UserPrefix) && s != "." && s != ".."
}
