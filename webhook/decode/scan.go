package decode

import (
	"bytes"
	"net/url"

	"github.com/valyala/fastjson"
)

// Before a delivery is verified, its JSON is not parsed into a tree: there, a value
// of two bytes takes a hundred. The functions here find a single value in the bytes.

// span is where a value stands in a document.
type span struct{ start, end int }

// locate finds what a path leads to in a document that was checked. An object on
// the way that has the key twice is an error.
func (p Path) locate(b []byte) (at span, found bool, err error) {
	at, _, found, err = p.locateIn(b, firstByte(b))
	return at, found, err
}

// locateIn finds what a path leads to from the value that begins at i, and where
// that value ends.
func (p Path) locateIn(b []byte, i int) (at span, end int, found bool, err error) {
	if len(p) == 0 || b[i] != '{' && b[i] != '[' {
		end = valueEnd(b, i)
		return span{i, end}, end, len(p) == 0, nil
	}
	object := b[i] == '{'
	matched := false
	end = eachMember(b, i, func(key span, index, value int) int {
		if object && !sameKey(b[key.start:key.end], p[0].key) || !object && index != p[0].index {
			return valueEnd(b, value)
		}
		if matched && err == nil {
			err = errDuplicateKey
		}
		matched = true
		inner, end, ok, innerErr := p[1:].locateIn(b, value)
		if err == nil {
			at, found, err = inner, ok, innerErr
		}
		return end
	})
	return at, end, found, err
}

// eachMember calls f for each member of the object or array at i, with its key
// (quotes included), its number, and where its value begins; f tells where that
// ends. It returns where the object or array ends.
func eachMember(b []byte, i int, f func(key span, index, value int) int) int {
	object := b[i] == '{'
	i++
	for index := 0; ; index++ {
		i = skipSpace(b, i)
		if b[i] == ',' {
			i = skipSpace(b, i+1)
		}
		if b[i] == '}' || b[i] == ']' {
			return i + 1
		}
		var key span
		if object {
			key = span{i, valueEnd(b, i)}
			i = skipSpace(b, key.end)
			i = skipSpace(b, i+1) // the colon
		}
		i = f(key, index, i)
	}
}

func skipSpace(b []byte, i int) int {
	for b[i] == ' ' || b[i] == '\n' || b[i] == '\r' || b[i] == '\t' {
		i++
	}
	return i
}

// valueEnd is where the value that begins at i ends, in a document that was
// checked.
func valueEnd(b []byte, i int) int {
	depth := 0
	for {
		switch b[i] {
		case '"':
			for i++; b[i] != '"'; i++ {
				if b[i] == '\\' {
					i++
				}
			}
			i++
		case '{', '[':
			depth++
			i++
		case '}', ']':
			depth--
			i++
		case ' ', '\n', '\r', '\t', ',', ':':
			i++
			continue
		default: // a number or a word
			for i < len(b) && bytes.IndexByte([]byte(" \n\r\t,:]}"), b[i]) < 0 {
				i++
			}
		}
		if depth == 0 {
			return i
		}
	}
}

// sameKey tells whether a key, with its quotes, is the one that is wanted.
func sameKey(quoted []byte, want string) bool {
	raw := quoted[1 : len(quoted)-1]
	if bytes.IndexByte(raw, '\\') < 0 {
		return string(raw) == want
	}
	if len(raw) > 6*len(want) {
		return false // an escape makes at most six bytes of one
	}
	v, err := fastjson.ParseBytes(quoted)
	if err != nil {
		return false
	}
	key, err := v.StringBytes()
	return err == nil && string(key) == want
}

// scanJSON is the value that a path leads to, without what is an array or object.
func scanJSON(doc []byte, path Path) (Value, error) {
	at, found, err := path.locate(doc)
	if err != nil || !found {
		return Value{}, err
	}
	raw := doc[at.start:at.end]
	if raw[0] == '{' || raw[0] == '[' {
		return Value{}, nil
	}
	if raw[0] == '"' && bytes.IndexByte(raw, '\\') < 0 {
		return TextValue(string(raw[1 : len(raw)-1])), nil
	}
	v, err := fastjson.ParseBytes(raw)
	if err != nil {
		return Value{}, errSyntax // cannot be: it was checked
	}
	return fromJSON(v), nil
}

// scanForm is the value of a field of a form.
func scanForm(body []byte, name string) (text string, ok bool, err error) {
	for pair := range bytes.SplitSeq(body, []byte{'&'}) {
		key, value, _ := bytes.Cut(pair, []byte{'='})
		if len(key) > 3*len(name) {
			continue
		}
		if string(key) != name || bytes.ContainsAny(key, "%+") {
			unescaped, err := url.QueryUnescape(string(key))
			if err != nil || unescaped != name {
				continue
			}
		}
		if ok {
			return "", false, errDuplicateForm
		}
		if text, err = url.QueryUnescape(string(value)); err != nil {
			return "", false, errForm
		}
		ok = true
	}
	return text, ok, nil
}

// unread is a Payload whose values are found by scanning.
type unread Payload

// JSON implements Source.
func (u *unread) JSON(document string, path Path) (Value, error) {
	if document != "json" || u.doc == nil {
		return Value{}, nil
	}
	return scanJSON(u.doc, path)
}

// Text implements Source.
func (u *unread) Text(group, name string) (string, bool, error) {
	switch {
	case group != "form":
		return (*Payload)(u).Text(group, name)
	case u.read:
		return "", false, nil // it is no form
	}
	return scanForm(u.In.Body, name)
}

// Peek is the value of a proof, see ParseProof. It is found in the body by a scan,
// so that a body that nobody vouches for costs little more than its own size.
// What cannot be read is an *Error.
func (d *Decoder) Peek(s *Payload, t *Template) (Value, error) {
	format, _, err := d.formatFor(s)
	if err != nil {
		return Value{}, err
	}
	if format != Form {
		if err := d.Read(s); err != nil {
			return Value{}, err
		}
	}
	return t.eval((*unread)(s), true)
}
