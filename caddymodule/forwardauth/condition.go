package forwardauth

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/valyala/fastjson"

	"github.com/seed-078801ba/sidestream/caddymodule/suggest"
)

// Condition is a test on the JSON that the backend answered with.
type Condition struct {
	// Path leads to the value: names and numbers with dots between them, as in
	// `room.users.0.id`, or a JSON Pointer that begins with a slash. `*` stands
	// for every element of an array or object.
	Path string `json:"path"`
	// Op is `==`, `!=`, `exists` or `contains`.
	Op string `json:"op"`
	// Value is what to compare with; `{channel}`, `{org}`, `{flow}` and
	// `{token}` stand for what is being asked about. Numbers are compared as
	// they are written. Empty for `exists`.
	Value string `json:"value,omitempty"`

	path  []string
	value *template
}

// conditionOps are the operations of a Condition.
var conditionOps = []string{"==", "!=", "exists", "contains"}

func (c *Condition) provision() error {
	var err error
	if c.path, err = parsePath(c.Path); err != nil {
		return err
	}
	switch c.Op {
	case "exists":
		if c.Value != "" {
			return fmt.Errorf("%q takes no value", "exists")
		}
	case "==", "!=", "contains":
		if c.Value == "" {
			return fmt.Errorf("%q needs a value behind it", c.Op)
		}
	default:
		return fmt.Errorf("unknown operation %q%s", c.Op, suggest.Among(c.Op, conditionOps))
	}
	c.value, err = parseTemplate(c.Value, questionVariables)
	return err
}

// holds tells whether the condition is true. A path that leads nowhere makes
// every condition false, `!=` too: what is not there proves nothing.
func (c *Condition) holds(v *fastjson.Value, known variables) bool {
	found := lookUp(v, c.path, nil)
	if len(found) == 0 {
		return false
	}
	want := c.value.expand(known, nil)
	switch c.Op {
	case "exists":
		return true
	case "!=":
		for _, f := range found {
			if text, ok := scalarText(f); !ok || text == want {
				return false
			}
		}
		return true
	case "contains":
		for _, f := range found {
			if contains(f, want) {
				return true
			}
		}
	case "==":
		for _, f := range found {
			if text, ok := scalarText(f); ok && text == want {
				return true
			}
		}
	}
	return false
}

// contains tells whether an array has an element, an object a key, or the
// value itself is the one wanted.
func contains(v *fastjson.Value, want string) bool {
	switch v.Type() {
	case fastjson.TypeArray:
		elements, _ := v.Array()
		for _, element := range elements {
			if text, ok := scalarText(element); ok && text == want {
				return true
			}
		}
		return false
	case fastjson.TypeObject:
		return v.Exists(want)
	}
	text, ok := scalarText(v)
	return ok && text == want
}

// scalarText is a string's text or the literal of a number or boolean.
func scalarText(v *fastjson.Value) (string, bool) {
	switch v.Type() {
	case fastjson.TypeString:
		b, err := v.StringBytes()
		return string(b), err == nil
	case fastjson.TypeNumber, fastjson.TypeTrue, fastjson.TypeFalse:
		return string(v.MarshalTo(nil)), true
	}
	return "", false
}

// lookUp appends the values that a path leads to; null is nothing.
func lookUp(v *fastjson.Value, path []string, found []*fastjson.Value) []*fastjson.Value {
	if v == nil || v.Type() == fastjson.TypeNull {
		return found
	}
	if len(path) == 0 {
		return append(found, v)
	}
	if path[0] != "*" {
		return lookUp(v.Get(path[0]), path[1:], found)
	}
	switch v.Type() {
	case fastjson.TypeArray:
		elements, _ := v.Array()
		for _, element := range elements {
			found = lookUp(element, path[1:], found)
		}
	case fastjson.TypeObject:
		v.GetObject().Visit(func(_ []byte, element *fastjson.Value) {
			found = lookUp(element, path[1:], found)
		})
	}
	return found
}

// parsePath reads a dotted path or a JSON Pointer.
func parsePath(s string) ([]string, error) {
	if s == "" {
		return nil, fmt.Errorf("the JSON path is empty; write for example user.id")
	}
	separator := "."
	if s[0] == '/' {
		separator, s = "/", s[1:]
	}
	path := strings.Split(s, separator)
	for i, key := range path {
		if key == "" {
			return nil, fmt.Errorf("the JSON path %s has an empty part", strconv.Quote(s))
		}
		if separator == "/" {
			path[i] = strings.NewReplacer("~1", "/", "~0", "~").Replace(key)
		}
	}
	return path, nil
}

// shown is the condition as the configuration has it, with its variables
// filled in.
func (c *Condition) shown(known variables) string {
	if c.Value == "" {
		return c.Path + " " + c.Op
	}
	hidden := known.credential.hidden()
	return c.Path + " " + c.Op + " " + c.value.expand(variables{known.channel, &hidden}, nil)
}

// found says what a path leads to.
func found(json *fastjson.Value, path []string) string {
	if json == nil {
		return "no JSON"
	}
	values := lookUp(json, path, nil)
	if len(values) == 0 {
		return "nothing"
	}
	text := string(values[0].MarshalTo(nil))
	if len(text) > 100 {
		text = text[:100] + "..."
	}
	if len(values) > 1 {
		text += fmt.Sprintf(" and %d more", len(values)-1)
	}
	return text
}
