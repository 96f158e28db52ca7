package decode

import (
	"errors"
	"strconv"
	"strings"

	"github.com/valyala/fastjson"
)

// A Path leads to a part of a JSON document. The empty one is the document.
type Path []step

// step is one part of a path: a key, and the index that it is in an array.
type step struct {
	key   string
	index int // -1 if the key is no index
}

// every is the key that stands for all elements of an array or object.
const every = "*"

// ParsePath reads names and numbers with dots between them, as in
// "rooms.0.id", or a JSON Pointer (RFC 6901) for keys with a dot in them, as in
// "/a~1b/x.y". A * stands for every element of an array or object.
func ParsePath(s string) (Path, error) {
	if s == "" {
		return nil, errors.New("an empty key in the path; write for example user.id")
	}
	pointer, isPointer := strings.CutPrefix(s, "/")
	if !isPointer {
		var path Path
		for key := range strings.SplitSeq(s, ".") {
			if key == "" {
				return nil, errors.New("an empty key in the path; write the path of keys with a dot as a JSON Pointer: {json:/a.b/c}")
			}
			path = append(path, newStep(key))
		}
		return path, nil
	}
	var path Path
	for key := range strings.SplitSeq(pointer, "/") {
		if strings.Contains(strings.NewReplacer("~0", "", "~1", "").Replace(key), "~") {
			return nil, errors.New("in a JSON Pointer, ~ is written ~0 and / is written ~1")
		}
		path = append(path, newStep(strings.NewReplacer("~0", "~", "~1", "/").Replace(key)))
	}
	return path, nil
}

func newStep(key string) step {
	s := step{key: key, index: -1}
	if key == "0" || (len(key) < 7 && key != "" && key[0] != '0' && strings.Trim(key, "0123456789") == "") {
		s.index, _ = strconv.Atoi(key)
	}
	return s
}

// Find is what the path leads to, the zero Value if nothing is there. A path
// with * leads to a list of what there is. Every object on the way must have
// the key once, because readers differ in which of two they take: otherwise the
// error is an *Error. The value lives in the document.
func (p Path) Find(document *fastjson.Value) (Value, error) {
	v := document
	for i := range p {
		if v == nil {
			return Value{}, nil
		}
		if p[i].key == every {
			return p[i+1:].findEvery(v)
		}
		var err error
		if v, err = p[i].in(v); err != nil {
			return Value{}, err
		}
	}
	return fromJSON(v), nil
}

// findEvery is the list of what the path leads to from each element.
func (p Path) findEvery(v *fastjson.Value) (Value, error) {
	var elements []*fastjson.Value
	switch v.Type() {
	case fastjson.TypeArray:
		elements, _ = v.Array()
	case fastjson.TypeObject:
		object, _ := v.Object()
		seen := make(map[string]bool, object.Len())
		object.Visit(func(key []byte, child *fastjson.Value) {
			seen[string(key)] = true
			elements = append(elements, child)
		})
		if len(seen) < len(elements) {
			return Value{}, errDuplicateKey
		}
	}
	var found []Value
	for _, element := range elements {
		v, err := p.Find(element)
		switch {
		case err != nil:
			return Value{}, err
		case v.kind == list:
			found = append(found, v.list...)
		case v.kind != missing:
			found = append(found, v)
		}
	}
	if len(found) == 0 {
		return Value{}, nil
	}
	return Value{kind: list, list: found}, nil
}

// in is the child of a value that the step leads to, nil if there is none.
func (s *step) in(v *fastjson.Value) (*fastjson.Value, error) {
	switch v.Type() {
	case fastjson.TypeObject:
		object, _ := v.Object()
		var found *fastjson.Value
		count := 0
		object.Visit(func(key []byte, child *fastjson.Value) {
			if string(key) == s.key {
				found = child
				count++
			}
		})
		if count > 1 {
			return nil, errDuplicateKey
		}
		return found, nil
	case fastjson.TypeArray:
		elements, _ := v.Array()
		if s.index >= 0 && s.index < len(elements) {
			return elements[s.index], nil
		}
	}
	return nil, nil
}
