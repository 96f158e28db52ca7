package decode

import (
	"errors"
	"fmt"
	"net/textproto"
	"slices"
	"strconv"
	"strings"
)

// A Template is text with holes: "{item.user.id ?? item.user_id|trim}". It is
// the whole mapping language but for conditions: sources, a path in them,
// alternatives, filters. There are no loops and no arithmetic.
type Template struct {
	parts []part
}

// part is either fixed text or a hole.
type part struct {
	text string
	hole *hole
}

type hole struct {
	refs    []ref
	filters []filter
}

// ref names one value of the delivery.
type ref struct {
	source source
	path   []step // of json and item
	name   string // of the flat sources
}

// step is one part of a path: a key, and the index that it is in an array.
type step struct {
	key   string
	index int // -1 if the key is no index
}

type source uint8

const (
	sourceJSON source = iota
	sourceItem
	sourceForm
	sourceQuery
	sourceHeader
	sourcePath
	sourceBody
	sourceMatch
	sourceRedis
)

var sourceNames = [...]string{
	sourceJSON: "json", sourceItem: "item", sourceForm: "form", sourceQuery: "query", sourceHeader: "header",
	sourcePath: "path", sourceBody: "body", sourceMatch: "match", sourceRedis: "redis",
}

// caddyNames are what a Caddyfile makes of the short names before anybody else
// sees them.
var caddyNames = []struct{ long, short string }{
	{"http.request.header.", "header."},
	{"http.request.uri.query.", "query."},
	{"http.request.uri.path.", "path."},
}

// ParseTemplate reads text with holes.
func ParseTemplate(s string) (*Template, error) {
	t := new(Template)
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
			t.parts = append(t.parts, part{text: rest[:open]})
		}
		h, err := parseHole(rest[open+1 : open+size-1])
		if err != nil {
			return nil, fmt.Errorf("%q: %w", s, err)
		}
		t.parts = append(t.parts, part{hole: h})
		rest = rest[open+size:]
	}
	if rest != "" {
		t.parts = append(t.parts, part{text: rest})
	}
	return t, nil
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

// constant is the text of a template without holes.
func (t *Template) constant() (string, bool) {
	switch {
	case len(t.parts) == 0:
		return "", true
	case len(t.parts) == 1 && t.parts[0].hole == nil:
		return t.parts[0].text, true
	}
	return "", false
}

// single is the hole of a template that is nothing else.
func (t *Template) single() *hole {
	if len(t.parts) == 1 {
		return t.parts[0].hole
	}
	return nil
}

// IsHole tells whether the template is one hole and nothing else.
func (t *Template) IsHole() bool { return t.single() != nil }

// Uses tells whether a hole of the template reads one of the sources.
func (t *Template) Uses(sources ...string) bool {
	for _, name := range sources {
		if t.uses(source(slices.Index(sourceNames[:], name))) {
			return true
		}
	}
	return false
}

// IsPlain tells whether no hole has alternatives or filters, and all read one of
// the sources.
func (t *Template) IsPlain(sources ...string) bool {
	for _, p := range t.parts {
		if p.hole == nil {
			continue
		}
		if len(p.hole.refs) != 1 || len(p.hole.filters) != 0 || !slices.Contains(sources, sourceNames[p.hole.refs[0].source]) {
			return false
		}
	}
	return true
}

// Text is the text of the template; ok is false if a part of it is missing or
// no text.
func (t *Template) Text(s *Payload) (text string, ok bool, err error) {
	v, err := t.eval(s, true)
	return v.text, v.isText(), err
}

// Pieces are the texts that the template consists of, one after the other. The
// body is not copied. ok is false if one is missing.
func (t *Template) Pieces(s *Payload) (pieces [][]byte, ok bool) {
	pieces = make([][]byte, 0, 4)
	for _, p := range t.parts {
		switch {
		case p.hole == nil:
			pieces = append(pieces, []byte(p.text))
		case p.hole.refs[0].source == sourceBody:
			pieces = append(pieces, s.In.Body)
		default:
			v, err := p.hole.eval(s)
			if err != nil || v.kind == missing {
				return nil, false
			}
			pieces = append(pieces, []byte(v.text))
		}
	}
	return pieces, true
}

// uses tells whether a hole of the template reads one of the sources.
func (t *Template) uses(sources ...source) bool {
	for _, p := range t.parts {
		if p.hole == nil {
			continue
		}
		for _, r := range p.hole.refs {
			if slices.Contains(sources, r.source) {
				return true
			}
		}
	}
	return false
}

func parseHole(s string) (*hole, error) {
	pieces := splitFilters(s)
	h := new(hole)
	for text := range strings.SplitSeq(pieces[0], "??") {
		r, err := parseRef(strings.TrimSpace(text))
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

func parseRef(s string) (ref, error) {
	if s == "" {
		return ref{}, errors.New("an empty {}: name a value, as in {json.room.id}")
	}
	for _, n := range caddyNames {
		if rest, ok := strings.CutPrefix(s, n.long); ok {
			s = n.short + rest
		}
	}
	end := strings.IndexAny(s, ".:")
	name, rest := s, ""
	if end >= 0 {
		name, rest = s[:end], s[end:]
	}
	i := slices.Index(sourceNames[:], name)
	if i < 0 {
		return ref{}, fmt.Errorf("unknown source %q in {%s}; the sources are %s", name, s, strings.Join(sourceNames[:], ", "))
	}
	r := ref{source: source(i)}
	switch r.source {
	case sourceJSON, sourceItem:
		path, err := parsePath(rest)
		if err != nil {
			return ref{}, fmt.Errorf("{%s}: %w", s, err)
		}
		r.path = path
	case sourceBody:
		if rest != "" {
			return ref{}, fmt.Errorf("{%s}: the raw body has no parts; write {body}, or {json...} for what is in it", s)
		}
	default:
		if len(rest) < 2 || rest[0] != '.' {
			return ref{}, fmt.Errorf("{%s}: a name is missing, as in {%s.NAME}", s, name)
		}
		r.name = rest[1:]
		if r.source == sourceHeader {
			r.name = textproto.CanonicalMIMEHeaderKey(r.name)
		}
	}
	return r, nil
}

// parsePath reads ".a.0.b", or ":/a~1b/0" (RFC 6901) for keys with a dot in
// them. An empty path means the whole value.
func parsePath(s string) ([]step, error) {
	if s == "" {
		return nil, nil
	}
	if pointer, ok := strings.CutPrefix(s, ":"); ok {
		if !strings.HasPrefix(pointer, "/") {
			return nil, errors.New("a JSON Pointer begins with /, as in {json:/a~1b/x.y}")
		}
		var path []step
		for key := range strings.SplitSeq(pointer[1:], "/") {
			if strings.Contains(strings.NewReplacer("~0", "", "~1", "").Replace(key), "~") {
				return nil, errors.New("in a JSON Pointer, ~ is written ~0 and / is written ~1")
			}
			path = append(path, newStep(strings.NewReplacer("~0", "~", "~1", "/").Replace(key)))
		}
		return path, nil
	}
	return parseDots(s[1:])
}

// parseDots reads "a.0.b".
func parseDots(s string) ([]step, error) {
	var path []step
	for key := range strings.SplitSeq(s, ".") {
		if key == "" {
			return nil, errors.New("an empty key in the path; write the path of keys with a dot as a JSON Pointer: {json:/a.b/c}")
		}
		if strings.ContainsAny(key, " \t{}\"") {
			return nil, fmt.Errorf("%q is no key; write it as a JSON Pointer if it is one: {json:/%s}", key, key)
		}
		path = append(path, newStep(key))
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
