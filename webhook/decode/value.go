package decode

import (
	"strconv"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/valyala/fastjson"

	"github.com/seed-078801ba/sidestream/stream/event"
)

// A Value is what a hole or a path yields: nothing, a text, a number, a boolean,
// several values, or a part of a JSON document. The zero Value is nothing.
type Value struct {
	kind kind
	text string // of text; the literal of number and boolean
	list []Value
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

// TextValue is a text as a Value. What is not UTF-8 is nothing: whoever reads
// text from HTTP or Redis cannot know its encoding.
func TextValue(s string) Value {
	if !utf8.ValidString(s) {
		return Value{}
	}
	return Value{kind: text, text: s}
}

// Exists tells whether there is a value. null is none.
func (v Value) Exists() bool { return v.kind != missing }

// Text is the text of a text, or the literal of a number or boolean; ok is false
// for everything else.
func (v Value) Text() (text string, ok bool) { return v.text, v.scalar() }

// IsString tells whether the value is a text, and not a number or boolean.
func (v Value) IsString() bool { return v.kind == text }

// String is the text as Text has it, empty if there is none.
func (v Value) String() string { return v.text }

// Texts are the texts of a list or JSON array, or of the value itself. What has
// no text is left out.
func (v Value) Texts() []string {
	var texts []string
	v.elements(func(element Value) bool {
		if element.scalar() {
			texts = append(texts, element.text)
		}
		return true
	})
	return texts
}

// literals are used to write out numbers.
var literals = sync.Pool{New: func() any { return new([]byte) }}

// fromJSON is a JSON value, nil and null are nothing.
func fromJSON(v *fastjson.Value) Value {
	if v == nil {
		return Value{}
	}
	switch v.Type() {
	case fastjson.TypeString:
		b, _ := v.StringBytes()
		return Value{kind: text, text: string(b)}
	case fastjson.TypeNumber:
		literal := literals.Get().(*[]byte)
		*literal = v.MarshalTo((*literal)[:0])
		text := string(*literal)
		literals.Put(literal)
		return Value{kind: number, text: text}
	case fastjson.TypeTrue:
		return Value{kind: boolean, text: "true"}
	case fastjson.TypeFalse:
		return Value{kind: boolean, text: "false"}
	case fastjson.TypeNull:
		return Value{}
	}
	return Value{kind: composite, node: v}
}

// scalar tells whether the value is one text.
func (v *Value) scalar() bool { return v.kind == text || v.kind == number || v.kind == boolean }

// elements calls f for each value of a list or JSON array, or for the value
// itself, until f returns false.
func (v *Value) elements(f func(Value) bool) {
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
const MaxName = event.MaxName

// identity makes the name of a channel, message or user. An empty text is as
// good as none: apps write "" for "not in a thread". ok is false for what
// cannot be a name.
func (v *Value) identity() (id event.Scalar, ok bool) {
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

// Name is the value as the name of a channel, message or user. ok is false if it is
// missing, or cannot be one.
func (v Value) Name() (name event.Scalar, ok bool) {
	name, ok = v.identity()
	return name, ok && !name.IsZero()
}

// Show is the value as JSON, for people; an object is not shown whole.
func (v Value) Show() string {
	switch v.kind {
	case text:
		return string(AppendJSONString(nil, v.text))
	case number, boolean:
		return v.text
	case list:
		elements := make([]string, len(v.list))
		for i := range v.list {
			elements[i] = v.list[i].Show()
		}
		return "[" + strings.Join(elements, ",") + "]"
	case composite:
		if v.node.Type() == fastjson.TypeArray {
			return string(v.node.MarshalTo(nil))
		}
		return "an object of " + strconv.Itoa(v.node.GetObject().Len()) + " fields"
	}
	return ""
}

// Time reads the value as a time, in any of the forms that apps write. ok is false if
// it is none.
func (v Value) Time() (t time.Time, ok bool) { return v.time() }
