package decode

import (
	"bytes"
	"unicode/utf8"

	"github.com/valyala/fastjson"
)

// maxDepth is how many arrays and objects may lie inside each other.
const maxDepth = 64

// maxValues is how many values one payload may hold. Parsed, each takes a
// hundred bytes, so a body of nothing but commas would take fifty times its
// size in memory, and a token in the payload is checked only after parsing.
const maxValues = 100_000

// The reasons why bytes are no JSON of ours. fastjson, which reads the values
// afterwards, is lenient: it takes NaN, 01, raw control characters, bad UTF-8,
// unknown escapes and 300 levels. Whatever two readers could read differently is
// refused before it is read at all. Only half a surrogate pair is not: apps cut
// texts inside an emoji. It becomes U+FFFD, see mendHalves.
var (
	errTruncated = malformed("the JSON ends early")
	errSyntax    = malformed("not JSON")
	errTrailing  = malformed("data after the JSON value")
	errDepth     = malformed("the JSON is nested too deeply")
	errControl   = malformed("a control character in a JSON string")
	errUTF8      = malformed("invalid UTF-8")
	errHalf      = malformed("half a surrogate pair in what names something")
	errValues    = &Error{TooLarge, "too many values in the JSON"}
)

// ParseJSON parses a document that can be read in one way only, or tells with an
// *Error why it cannot. The document lives in the parser, until its next use.
func ParseJSON(p *fastjson.Parser, b []byte) (*fastjson.Value, error) {
	b, _, err := readJSON(b)
	if err != nil {
		return nil, err
	}
	v, err := p.ParseBytes(b)
	if err != nil {
		return nil, errSyntax // cannot be: it was checked
	}
	return v, nil
}

// readJSON is b if it is JSON of ours, without halves of surrogate pairs.
func readJSON(b []byte) (doc []byte, f facts, err error) {
	if f, err = checkJSON(b); err != nil {
		return nil, f, err
	}
	if f.halves {
		b = mendHalves(b)
	}
	return b, f, nil
}

// Document is b as a document that can be read in one way only, nil if it is none.
func Document(b []byte) []byte {
	doc, _, err := readJSON(bytes.TrimPrefix(b, byteOrderMark))
	if err != nil {
		return nil
	}
	return doc
}

// setDocument makes b, if it is JSON of ours, the payload's document.
func (s *Payload) setDocument(b []byte) error {
	doc, f, err := readJSON(b)
	if err != nil {
		return err
	}
	s.doc, s.values, s.halves = doc, f.values, s.halves || f.halves
	return nil
}

// facts is what is known of JSON that was checked.
type facts struct {
	values int  // how many there are, names not counted
	halves bool // it has half of a surrogate pair in a string
}

// want is what checkJSON expects next.
type want uint8

const (
	wantValue want = iota
	wantFirstElement
	wantFirstKey
	wantKey
	wantColon
	wantComma
	wantEnd
)

// checkJSON tells whether b is exactly one JSON value (RFC 8259) of at most
// maxDepth levels and maxValues values, in UTF-8 that is valid but for halves of
// surrogate pairs. It allocates nothing and takes time linear in the length of b.
func checkJSON(b []byte) (f facts, err error) {
	var objects uint64 // bit d is set if level d is an object, clear if it is an array
	depth, next := 0, wantValue
	for i := 0; ; {
		for i < len(b) && (b[i] == ' ' || b[i] == '\n' || b[i] == '\r' || b[i] == '\t') {
			i++
		}
		if i == len(b) {
			if next == wantEnd {
				return f, nil
			}
			return f, errTruncated
		}
		c := b[i]
		closed := false
		switch next {
		case wantEnd:
			return f, errTrailing
		case wantColon:
			if c != ':' {
				return f, errSyntax
			}
			i, next = i+1, wantValue
			continue
		case wantComma:
			object := objects&(1<<(depth-1)) != 0
			switch {
			case c == ',' && object:
				i, next = i+1, wantKey
				continue
			case c == ',':
				i, next = i+1, wantValue
				continue
			case c == '}' && object, c == ']' && !object:
				closed = true
			default:
				return f, errSyntax
			}
		case wantFirstElement:
			closed = c == ']'
		case wantFirstKey:
			closed = c == '}'
		}
		if closed {
			i++
			depth--
			next = afterValue(depth)
			continue
		}
		if next == wantKey || next == wantFirstKey {
			if c != '"' {
				return f, errSyntax
			}
			end, err := checkString(b, i+1, &f)
			if err != nil {
				return f, err
			}
			i, next = end, wantColon
			continue
		}
		if f.values++; f.values > maxValues {
			return f, errValues
		}
		switch c {
		case '{', '[':
			if depth == maxDepth {
				return f, errDepth
			}
			if c == '{' {
				objects |= 1 << depth
				next = wantFirstKey
			} else {
				objects &^= 1 << depth
				next = wantFirstElement
			}
			depth++
			i++
			continue
		case '"':
			end, err := checkString(b, i+1, &f)
			if err != nil {
				return f, err
			}
			i = end
		case 't':
			i = literalEnd(b, i, "true")
		case 'f':
			i = literalEnd(b, i, "false")
		case 'n':
			i = literalEnd(b, i, "null")
		default:
			i = numberEnd(b, i)
		}
		if i < 0 {
			return f, errSyntax
		}
		next = afterValue(depth)
	}
}

func afterValue(depth int) want {
	if depth == 0 {
		return wantEnd
	}
	return wantComma
}

func literalEnd(b []byte, i int, word string) int {
	if len(b)-i < len(word) || string(b[i:i+len(word)]) != word {
		return -1
	}
	return i + len(word)
}

// numberEnd is the index behind the number at i, -1 if there is none. What
// follows a number is for the caller to judge.
func numberEnd(b []byte, i int) int {
	if i < len(b) && b[i] == '-' {
		i++
	}
	switch {
	case i == len(b):
		return -1
	case b[i] == '0':
		i++
	default:
		if i = digitsEnd(b, i); i < 0 {
			return -1
		}
	}
	if i < len(b) && b[i] == '.' {
		if i = digitsEnd(b, i+1); i < 0 {
			return -1
		}
	}
	if i < len(b) && (b[i] == 'e' || b[i] == 'E') {
		i++
		if i < len(b) && (b[i] == '+' || b[i] == '-') {
			i++
		}
		return digitsEnd(b, i)
	}
	return i
}

// digitsEnd is the index behind at least one digit at i, or -1.
func digitsEnd(b []byte, i int) int {
	start := i
	for i < len(b) && b[i]-'0' <= 9 {
		i++
	}
	if i == start {
		return -1
	}
	return i
}

// checkString checks a string whose opening quote is before i and returns the
// index behind its closing quote.
func checkString(b []byte, i int, f *facts) (int, error) {
	for i < len(b) {
		switch c := b[i]; {
		case c == '"':
			return i + 1, nil
		case c < ' ':
			return 0, errControl
		case c == '\\':
			end, half, err := checkEscape(b, i)
			if err != nil {
				return 0, err
			}
			f.halves = f.halves || half
			i = end
		case c < utf8.RuneSelf:
			i++
		default:
			r, size := utf8.DecodeRune(b[i:])
			if r == utf8.RuneError && size <= 1 {
				if !isHalf(b[i:]) {
					return 0, errUTF8
				}
				f.halves, size = true, 3
			}
			i += size
		}
	}
	return 0, errTruncated
}

// checkEscape checks the escape that begins with the backslash at i, both
// halves of a surrogate pair at once, and returns the index behind it. half tells
// that it is half a pair.
func checkEscape(b []byte, i int) (end int, half bool, err error) {
	if i+1 == len(b) {
		return 0, false, errTruncated
	}
	switch b[i+1] {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		return i + 2, false, nil
	case 'u':
	default:
		return 0, false, errSyntax
	}
	r, ok := hex4(b, i+2)
	switch {
	case !ok:
		return 0, false, errSyntax
	case r < 0xd800 || r > 0xdfff:
		return i + 6, false, nil
	case r >= 0xdc00 || len(b)-i < 12 || b[i+6] != '\\' || b[i+7] != 'u':
		return i + 6, true, nil
	}
	if low, ok := hex4(b, i+8); !ok || low < 0xdc00 || low > 0xdfff {
		return i + 6, true, nil
	}
	return i + 12, false, nil
}

func hex4(b []byte, i int) (r rune, ok bool) {
	if len(b)-i < 4 {
		return 0, false
	}
	for _, c := range b[i : i+4] {
		switch {
		case c-'0' <= 9:
			c -= '0'
		case c-'a' <= 5:
			c -= 'a' - 10
		case c-'A' <= 5:
			c -= 'A' - 10
		default:
			return 0, false
		}
		r = r<<4 | rune(c)
	}
	return r, true
}
