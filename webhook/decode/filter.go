package decode

import (
	"encoding/base64"
	"fmt"
	"regexp"
	"regexp/syntax"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/valyala/fastjson"

	"github.com/seed-078801ba/sidestream/stream/event"
)

// filter changes a value on its way out of a hole. The list is closed.
type filter struct {
	name string
	arg  string
	path Path           // of json
	re   *regexp.Regexp // of re
}

var filterNames = []string{"json", "base64url", "last:", "re:", "split:", "html_text", "lower", "trim", "number", "prefix:", "object:"}

// objectFilter makes of an id what the names of its object's channels begin with.
const objectFilter = "object"

// validKind tells whether text can be a kind of objects.
func validKind(text string) bool {
	return text != "" && len(text) <= 32 && !strings.ContainsFunc(text, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && r != '-' && r != '_'
	})
}

func parseFilter(s string) (filter, error) {
	name, arg, hasArg := strings.Cut(s, ":")
	f := filter{name: name, arg: arg}
	takesArg := slices.Contains(filterNames, name+":")
	switch {
	case name == "json":
		if !hasArg {
			return f, nil
		}
		path, err := ParsePath(arg)
		if err != nil {
			return f, fmt.Errorf("filter %q: %w", s, err)
		}
		f.path = path
	case !takesArg && !slices.Contains(filterNames, name):
		return f, fmt.Errorf("unknown filter %q; the filters are %s", s, strings.Join(filterNames, ", "))
	case takesArg && arg == "":
		return f, fmt.Errorf("filter %q: what stands behind the colon? For example last:/ or re:^room-(.*)$", s)
	case !takesArg && hasArg:
		return f, fmt.Errorf("filter %q: %s takes nothing behind a colon", s, name)
	case name == objectFilter && !validKind(arg):
		return f, fmt.Errorf("filter %q: the kind of an object is a word of up to 32 letters, digits, - and _, as in object:live", s)
	case name == "re":
		re, err := regexp.Compile(arg)
		if err != nil {
			return f, fmt.Errorf("filter %q: %w", s, err)
		}
		f.re = re
	}
	return f, nil
}

// loses tells whether a filter may make one text of two that are not the same name.
func (f *filter) loses() bool {
	switch f.name {
	case "lower", "trim", "number", "prefix", objectFilter:
		return false
	case "re":
		return !isWrapped(f.arg)
	}
	return true
}

// wholeNumber is what the filter number takes: an id as JSON writes numbers.
var wholeNumber = regexp.MustCompile(`^(?:0|[1-9][0-9]*)$`)

// isWrapped tells whether a regular expression is one group between fixed texts, from
// the beginning of the text to its end, as in ^room-([0-9]+)$: then what the group
// finds tells the whole text.
func isWrapped(pattern string) bool {
	re, err := syntax.Parse(pattern, syntax.Perl)
	if err != nil || re.Op != syntax.OpConcat || len(re.Sub) < 3 {
		return false
	}
	groups, last := 0, len(re.Sub)-1
	for _, part := range re.Sub[1:last] {
		switch {
		case part.Op == syntax.OpCapture:
			groups++
		case part.Op != syntax.OpLiteral || part.Flags&syntax.FoldCase != 0:
			return false
		}
	}
	return groups == 1 && re.Sub[0].Op == syntax.OpBeginText && re.Sub[last].Op == syntax.OpEndText
}

// apply filters a value. What a filter cannot take becomes missing.
func (f *filter) apply(v Value) (Value, error) {
	switch v.kind {
	case composite:
		if f.name != "json" {
			return Value{}, nil
		}
		// Some apps send as an object what others send as text.
		return f.path.Find(v.node)
	case missing:
		return Value{}, nil
	case list:
		out := make([]Value, 0, len(v.list))
		for _, element := range v.list {
			filtered, err := f.apply(element)
			if err != nil {
				return Value{}, err
			}
			out = append(out, filtered)
		}
		return Value{kind: list, list: out}, nil
	}
	s := v.text
	switch f.name {
	case "json":
		return f.parse(s)
	case "base64url":
		decoded, err := base64.RawURLEncoding.DecodeString(strings.TrimRight(s, "="))
		if err != nil || !utf8.Valid(decoded) {
			return Value{}, nil
		}
		s = string(decoded)
	case "last":
		s = s[strings.LastIndex(s, f.arg)+max(len(f.arg), 1):]
		if !strings.Contains(v.text, f.arg) {
			s = v.text
		}
	case "re":
		m := f.re.FindStringSubmatch(s)
		switch len(m) {
		case 0:
			return Value{}, nil
		case 1:
			s = m[0]
		default:
			s = m[1]
		}
	case "split":
		out := Value{kind: list}
		for element := range strings.SplitSeq(s, f.arg) {
			out.list = append(out.list, Value{kind: text, text: element})
		}
		return out, nil
	case "html_text":
		s = htmlText(s)
	case "lower":
		s = strings.ToLower(s)
	case "trim":
		s = strings.TrimSpace(s)
	case "number":
		if len(s) > 18 || !wholeNumber.MatchString(s) {
			return Value{}, nil
		}
		return Value{kind: number, text: s}, nil
	case "prefix":
		s = f.arg + s
	case objectFilter:
		if !ValidName(s) {
			return Value{}, nil
		}
		s = event.ObjectOf(f.arg, s).String()
	}
	return Value{kind: text, text: s}, nil
}

// parse reads a string that holds JSON, with the same strictness as a body. Only
// what the path leads to is taken apart.
func (f *filter) parse(s string) (Value, error) {
	doc, _, err := readJSON([]byte(s))
	if err != nil {
		return Value{}, nil
	}
	if slices.ContainsFunc(f.path, func(s step) bool { return s.key == every }) {
		root, err := fastjson.ParseBytes(doc)
		if err != nil {
			return Value{}, nil
		}
		return f.path.Find(root)
	}
	at, found, err := f.path.locate(doc)
	if err != nil || !found {
		return Value{}, err
	}
	v, err := fastjson.ParseBytes(doc[at.start:at.end]) // the value lives on
	if err != nil {
		return Value{}, nil
	}
	return fromJSON(v), nil
}
