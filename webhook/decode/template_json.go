package decode

import (
	"errors"
	"fmt"
	"strings"

	"github.com/valyala/fastjson"
)

// A JSONTemplate is a JSON document with holes. A hole within a string becomes a part
// of its text: {"text":"{user} is here"}. A hole that stands where a value does
// becomes the value as it is, a number, an object, or a string: {"count":{data.count}}.
// A brace that no letter follows is JSON's own. It is safe for concurrent use.
type JSONTemplate struct {
	parts []jsonPart
}

type jsonPart struct {
	text   string
	hole   *Template
	quoted bool // within a string
}

// JSONTemplate reads a JSON document with holes. Errors say what would be right.
func (v *Vocabulary) JSONTemplate(s string) (*JSONTemplate, error) {
	t := new(JSONTemplate)
	var fixed, example strings.Builder
	quoted := false
	for i := 0; i < len(s); i++ {
		c := s[i]
		switch {
		case c == '"':
			quoted = !quoted
		case c == '\\' && quoted && i+1 < len(s):
			fixed.WriteByte(c)
			example.WriteByte(c)
			i++
			c = s[i]
		case c == '{' && i+1 < len(s) && isLetter(s[i+1]):
			size := holeLength(s[i:])
			if size < 0 {
				return nil, fmt.Errorf("%q: a { without its }", s[i:])
			}
			hole, err := v.Template(s[i : i+size])
			if err != nil {
				return nil, err
			}
			t.parts = append(t.parts, jsonPart{text: fixed.String()}, jsonPart{hole: hole, quoted: quoted})
			fixed.Reset()
			if !quoted {
				example.WriteString("null")
			}
			i += size - 1
			continue
		}
		fixed.WriteByte(c)
		example.WriteByte(c)
	}
	t.parts = append(t.parts, jsonPart{text: fixed.String()})
	if _, err := ParseJSON(new(fastjson.Parser), []byte(example.String())); err != nil {
		return nil, errors.New(`it is no JSON; write for example {"room":"{channel}","users":{data.users}}`)
	}
	return t, nil
}

func isLetter(c byte) bool { return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' }

// Fill is the document. What is missing is null, or nothing within a string.
func (t *JSONTemplate) Fill(src Source) ([]byte, error) {
	var dst []byte
	for i := range t.parts {
		p := &t.parts[i]
		if p.hole == nil {
			dst = append(dst, p.text...)
			continue
		}
		value, err := p.hole.Value(src)
		switch {
		case err != nil:
			return nil, err
		case !p.quoted:
			dst = value.appendJSON(dst)
		case value.scalar():
			text := AppendJSONString(nil, value.text)
			dst = append(dst, text[1:len(text)-1]...)
		}
	}
	return dst, nil
}

// appendJSON appends the value as it stands in a document.
func (v *Value) appendJSON(dst []byte) []byte {
	switch v.kind {
	case text:
		return AppendJSONString(dst, v.text)
	case number, boolean:
		return append(dst, v.text...)
	case composite:
		return v.node.MarshalTo(dst)
	case list:
		dst = append(dst, '[')
		for i := range v.list {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = v.list[i].appendJSON(dst)
		}
		return append(dst, ']')
	}
	return append(dst, "null"...)
}
