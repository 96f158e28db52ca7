package tap

import (
	"errors"
	"fmt"
	"net/url"
	"strings"
	"unicode/utf8"
)

// pattern is a path whose segments may have a variable in them: /rooms/{room}.json.
type pattern []segment

// segment is literal text, or a variable between two texts if name is set.
type segment struct{ before, name, after string }

// parsePattern reads a path. It is compared with escaped paths, so its literal parts
// must be written as a client writes them.
func parsePattern(path string) (pattern, error) {
	switch {
	case path == "":
		return nil, errors.New("the path is missing, as in POST /rooms/{room}/messages 201")
	case path[0] != '/':
		return nil, fmt.Errorf("the path %q must begin with /", path)
	case strings.ContainsAny(path, "?#"):
		return nil, fmt.Errorf("%q: write the path alone, without ? and #", path)
	case strings.Contains(path, "*"):
		return nil, fmt.Errorf("%q: there are no wildcards; a segment that may be anything is a variable, as in /rooms/{room}/messages", path)
	case strings.Contains(path, "/:"):
		return nil, fmt.Errorf("%q: a variable stands in braces, as in /rooms/{room}/messages", path)
	}
	var p pattern
	names := map[string]bool{}
	for text := range strings.SplitSeq(path[1:], "/") {
		s, err := parseSegment(text)
		if err != nil {
			return nil, fmt.Errorf("%q: %w", path, err)
		}
		if s.name != "" && names[s.name] {
			return nil, fmt.Errorf("%q: the variable {%s} is there twice", path, s.name)
		}
		names[s.name] = true
		p = append(p, s)
	}
	return p, nil
}

func parseSegment(text string) (segment, error) {
	before, rest, ok := strings.Cut(text, "{")
	if !ok {
		if strings.Contains(text, "}") {
			return segment{}, errors.New("a } without its {")
		}
		if unescaped, err := url.PathUnescape(text); err != nil || !utf8.ValidString(unescaped) {
			return segment{}, fmt.Errorf("%q is no escaped text", text)
		}
		return segment{before: text}, nil
	}
	// What a Caddyfile makes of {path.NAME} is not meant here.
	name, after, ok := strings.Cut(rest, "}")
	switch {
	case !ok:
		return segment{}, errors.New("a { without its }")
	case name == "" || strings.ContainsAny(name, "{.:|? "):
		return segment{}, fmt.Errorf("{%s} is no variable; write for example {room}", name)
	case strings.ContainsAny(after, "{}"):
		return segment{}, errors.New("one variable a segment")
	}
	return segment{before, name, after}, nil
}

// match tells whether an escaped path is one of the pattern's. It looks at no value.
func (p pattern) match(escaped string) bool {
	if escaped == "" || escaped[0] != '/' {
		return false
	}
	rest := escaped[1:]
	for i := range p {
		text, behind, more := strings.Cut(rest, "/")
		if more != (i < len(p)-1) || !p[i].match(text) {
			return false
		}
		rest = behind
	}
	return true
}

func (s *segment) match(text string) bool {
	if s.name == "" {
		return text == s.before
	}
	return len(text) > len(s.before)+len(s.after) && strings.HasPrefix(text, s.before) && strings.HasSuffix(text, s.after)
}

// values are the variables of a path that matches. ok is false if one of them could
// be read as something else than one segment: what an app makes of an escaped slash,
// a backslash, a dot segment or a matrix parameter, nobody knows here.
func (p pattern) values(escaped string) (vars map[string]string, ok bool) {
	rest := escaped[1:]
	for i := range p {
		text, behind, _ := strings.Cut(rest, "/")
		rest = behind
		if p[i].name == "" {
			continue
		}
		value, err := url.PathUnescape(text[len(p[i].before) : len(text)-len(p[i].after)])
		if err != nil || !plain(value) {
			return nil, false
		}
		if vars == nil {
			vars = make(map[string]string, 2)
		}
		vars[p[i].name] = value
	}
	return vars, true
}

// plain tells whether every server reads a segment as the same one name.
func plain(value string) bool {
	if value == "." || value == ".." || !utf8.ValidString(value) {
		return false
	}
	return !strings.ContainsFunc(value, func(r rune) bool {
		return r < 0x20 || r == 0x7f || r == utf8.RuneError || strings.ContainsRune(`/\;?#%`, r)
	})
}
