package decode

import (
	"fmt"
	"net/url"
	"slices"
	"strings"
)

// A Template is text with holes: "{item.user.id ?? item.user_id|trim}". It is
// the whole language but for conditions: names of a vocabulary, paths into
// documents, alternatives, filters. There are no loops and no arithmetic. It is
// safe for concurrent use.
type Template struct {
	text  string // as it was written
	parts []part
}

// part is either fixed text or a hole.
type part struct {
	text  string
	hole  *hole
	query bool // behind the first question mark of the template
}

// hole is a value: the first of its refs that has one, filtered.
type hole struct {
	refs    []ref
	filters []filter
}

// Template reads text with holes. Errors say what would be right.
func (v *Vocabulary) Template(s string) (*Template, error) {
	t := &Template{text: s}
	query := false
	rest := s
	for {
		open := strings.IndexByte(rest, '{')
		if open < 0 {
			break
		}
		size := holeLength(rest[open:])
		if size < 0 {
			return nil, fmt.Errorf("%q: a { without its }", s)
		}
		if open > 0 {
			query = query || strings.Contains(rest[:open], "?")
			t.parts = append(t.parts, part{text: rest[:open]})
		}
		h, err := v.hole(rest[open+1 : open+size-1])
		if err != nil {
			return nil, fmt.Errorf("%q: %w", s, err)
		}
		t.parts = append(t.parts, part{hole: h, query: query})
		rest = rest[open+size:]
	}
	if rest != "" {
		t.parts = append(t.parts, part{text: rest})
	}
	return t, nil
}

// ParseTemplate reads text with holes for what comes in a delivery.
func ParseTemplate(s string) (*Template, error) { return deliveries.Template(s) }

// ParseAnswerTemplate reads text with holes for what an app answers, see
// NewAnswerDecoder.
func ParseAnswerTemplate(s string) (*Template, error) { return answers.Template(s) }

// ParseAnswerCondition reads a condition on what an app answers.
func ParseAnswerCondition(s string) (*Condition, error) { return answers.Condition(s) }

// String is the template as it was written.
func (t *Template) String() string { return t.text }

// Constant is the text of a template without holes.
func (t *Template) Constant() (string, bool) {
	switch {
	case len(t.parts) == 0:
		return "", true
	case len(t.parts) == 1 && t.parts[0].hole == nil:
		return t.parts[0].text, true
	}
	return "", false
}

// IsHole tells whether the template is one hole and nothing else.
func (t *Template) IsHole() bool { return t.single() != nil }

// single is the hole of a template that is nothing else.
func (t *Template) single() *hole {
	if len(t.parts) == 1 {
		return t.parts[0].hole
	}
	return nil
}

// object tells whether the text begins with an object, and so is the name of one of
// its channels. An object anywhere else is a mistake.
func (t *Template) object() (bool, error) {
	found := false
	for i, p := range t.parts {
		if p.hole == nil {
			continue
		}
		for j, f := range p.hole.filters {
			if f.name != objectFilter {
				continue
			}
			if i > 0 || j < len(p.hole.filters)-1 {
				return false, fmt.Errorf("%q: an object stands first, and object is its last filter, as in {json.id|object:live}/all_json", t.text)
			}
			found = true
		}
	}
	if found && len(t.parts) == 1 {
		return false, fmt.Errorf("%q: a name behind the object is missing, as in {json.id|object:live}/all_json", t.text)
	}
	return found, nil
}

// Uses tells whether a hole of the template reads one of these documents, groups
// or variables.
func (t *Template) Uses(names ...string) bool {
	for _, p := range t.parts {
		if p.hole == nil {
			continue
		}
		for i := range p.hole.refs {
			if slices.Contains(names, p.hole.refs[i].source()) {
				return true
			}
		}
	}
	return false
}

// Tells tells whether the text is a different one for each value of a variable,
// whatever else is known: a hole reads it before all alternatives, and no filter
// makes one text of two. (Two that differ in case or in spaces around them count as
// one, where the template says lower or trim.)
func (t *Template) Tells(name string) bool {
	return slices.ContainsFunc(t.parts, func(p part) bool {
		return p.hole != nil && p.hole.refs[0].source() == name && !slices.ContainsFunc(p.hole.filters, func(f filter) bool { return f.loses() })
	})
}

// Has tells whether each hole that reads one of these documents, groups or variables
// has a text that is not empty.
func (t *Template) Has(src Source, names ...string) bool {
	for _, p := range t.parts {
		if p.hole == nil || !slices.ContainsFunc(p.hole.refs, func(r ref) bool { return slices.Contains(names, r.source()) }) {
			continue
		}
		v, err := p.hole.eval(src)
		if text, ok := v.Text(); err != nil || !ok || text == "" {
			return false
		}
	}
	return true
}

// Names are the names that the template's holes read of a group.
func (t *Template) Names(group string) []string {
	var names []string
	for _, p := range t.parts {
		if p.hole == nil {
			continue
		}
		for i := range p.hole.refs {
			if r := &p.hole.refs[i]; r.group == group && group != "" {
				names = append(names, r.name)
			}
		}
	}
	return names
}

// Keys are the first keys of the places that the template's holes read in a document.
func (t *Template) Keys(document string) []string {
	var keys []string
	for _, p := range t.parts {
		if p.hole == nil {
			continue
		}
		for i := range p.hole.refs {
			if r := &p.hole.refs[i]; r.document == document && len(r.path) > 0 {
				keys = append(keys, r.path[0].key)
			}
		}
	}
	return keys
}

// IsPlain tells whether no hole has alternatives or filters.
func (t *Template) IsPlain() bool {
	return !slices.ContainsFunc(t.parts, func(p part) bool {
		return p.hole != nil && (len(p.hole.refs) != 1 || len(p.hole.filters) != 0)
	})
}

// Value is the value of the template: of a single hole as it is, otherwise
// text. It is missing where one of its parts is. What has no text, such as an
// object, makes a text that has it as a part the wrong type: that value itself.
func (t *Template) Value(src Source) (Value, error) { return t.eval(src, true) }

// Text is the text of the template. ok is false if a part of it is missing or
// no text.
func (t *Template) Text(src Source) (text string, ok bool, err error) {
	v, err := t.eval(src, true)
	text, ok = v.Text()
	return text, ok, err
}

// Fill is the text of the template, where what is missing is empty.
func (t *Template) Fill(src Source) (string, error) {
	return t.fill(src, func(text string, _ bool) string { return text })
}

// FillURI is the text of the template as a URI: each value is escaped so that it
// is one segment of the path or, behind the first question mark, one value of
// the query. What is missing is empty.
func (t *Template) FillURI(src Source) (string, error) { return t.fill(src, EscapeURI) }

// EscapeURI makes a text one segment of a path, or one value of a query.
func EscapeURI(text string, query bool) string {
	if query {
		return url.QueryEscape(text)
	}
	return url.PathEscape(text)
}

func (t *Template) fill(src Source, escape func(text string, query bool) string) (string, error) {
	var b strings.Builder
	for _, p := range t.parts {
		if p.hole == nil {
			b.WriteString(p.text)
			continue
		}
		v, err := p.hole.eval(src)
		if err != nil {
			return "", err
		}
		if text, ok := v.Text(); ok {
			b.WriteString(escape(text, p.query))
		}
	}
	return b.String(), nil
}

// eval is the value of the template. Where a part of a text is missing, strict
// makes the whole missing; without it the part is empty.
func (t *Template) eval(src Source, strict bool) (Value, error) {
	if h := t.single(); h != nil {
		return h.eval(src)
	}
	if fixed, ok := t.Constant(); ok {
		return TextValue(fixed), nil
	}
	var b strings.Builder
	for _, p := range t.parts {
		if p.hole == nil {
			b.WriteString(p.text)
			continue
		}
		v, err := p.hole.eval(src)
		switch {
		case err != nil:
			return Value{}, err
		case v.scalar():
			b.WriteString(v.text)
		case v.kind != missing:
			return v, nil
		case strict:
			return Value{}, nil
		}
	}
	return TextValue(b.String()), nil
}

// eval is the value of the hole.
func (h *hole) eval(src Source) (Value, error) {
	_, v, err := h.find(src)
	if err != nil {
		return Value{}, err
	}
	return h.filtered(v)
}

// find is the first ref that has a value, and that.
func (h *hole) find(src Source) (*ref, Value, error) {
	for i := range h.refs {
		v, err := h.refs[i].of(src)
		if err != nil || v.kind != missing {
			return &h.refs[i], v, err
		}
	}
	return nil, Value{}, nil
}

func (h *hole) filtered(v Value) (Value, error) {
	for i := range h.filters {
		filtered, err := h.filters[i].apply(v)
		if err != nil {
			return Value{}, err
		}
		v = filtered
	}
	return v, nil
}

// hole reads the inside of a hole.
func (v *Vocabulary) hole(s string) (*hole, error) {
	pieces := splitFilters(s)
	h := new(hole)
	for text := range strings.SplitSeq(pieces[0], "??") {
		r, err := v.ref(strings.TrimSpace(text))
		if err != nil {
			return nil, err
		}
		h.refs = append(h.refs, r)
	}
	for _, text := range pieces[1:] {
		f, err := parseFilter(strings.TrimSpace(text))
		if err != nil {
			return nil, err
		}
		h.filters = append(h.filters, f)
	}
	return h, nil
}

// holeLength is the length of the hole at the beginning of s, braces included,
// -1 if it does not end. Braces inside it, in a pattern, must be in pairs.
func holeLength(s string) int {
	depth := 0
	for i := range len(s) {
		switch s[i] {
		case '{':
			depth++
		case '}':
			if depth--; depth == 0 {
				return i + 1
			}
		}
	}
	return -1
}

// splitFilters cuts at each | that is not inside brackets of a pattern and has
// no backslash before it.
func splitFilters(s string) []string {
	var pieces []string
	depth, start := 0, 0
	for i := 0; i < len(s); i++ {
		switch s[i] {
		case '\\':
			i++
		case '(', '[':
			depth++
		case ')', ']':
			depth--
		case '|':
			if depth <= 0 {
				pieces = append(pieces, s[start:i])
				start = i + 1
			}
		}
	}
	return append(pieces, s[start:])
}
