package decode

import (
	"errors"
	"fmt"
	"net/textproto"
	"slices"
	"strings"
)

// A Vocabulary says which values a text may name in its holes. Each place of a
// configuration that holds such texts has one. It must not be changed once it is
// in use.
type Vocabulary struct {
	// Documents are JSON documents: {json} is all of it, {json.a.0} a part.
	Documents []string
	// Groups hold texts by name: {header.X-Event}.
	Groups []string
	// Variables are texts: {channel}.
	Variables []string
	// Other, if set, is asked about every other name, and may refuse it. Its
	// values are read as variables.
	Other func(name string) error
}

// A Source has the values of a Vocabulary. It is used by one goroutine at a
// time. What it cannot give, because it holds a name twice for example, is an
// error.
type Source interface {
	// JSON is what a path leads to in a document; the zero Value if there is
	// no such document or nothing there. See Path.Find.
	JSON(document string, path Path) (Value, error)
	// Text is a text of a group, or a variable, whose group is empty. ok is
	// false if there is none.
	Text(group, name string) (text string, ok bool, err error)
}

// deliveries is the vocabulary of what comes to a way in.
var deliveries = &Vocabulary{
	Documents: []string{"json", "item"},
	Groups:    []string{"form", "query", "header", "path", "match", "redis"},
	Variables: []string{"body"},
}

// answers is the vocabulary of what an app has answered to a client: the answer's
// JSON and headers, and what the client had asked.
var answers = &Vocabulary{
	Documents: []string{"res", "item", "req"},
	Groups:    []string{"path", "header"},
	Variables: []string{"body"},
	Other: func(name string) error {
		if name == authUser {
			return nil
		}
		return fmt.Errorf("unknown name; the names are res, req, item, path, header, body and %s", authUser)
	},
}

// authUser is whose credential the client has, as the backend says.
const authUser = "auth.user"

// Answers are the names for what is read of an answer of the app: the document, and
// each of its items.
func Answers() *Vocabulary { return &Vocabulary{Documents: []string{"json", "item"}} }

// names are all names, for errors.
func (v *Vocabulary) names() string {
	return strings.Join(slices.Concat(v.Documents, v.Groups, v.Variables), ", ")
}

// ref names one value.
type ref struct {
	document string // of JSON
	path     Path
	group    string // of a text, empty for a variable
	name     string
}

// of reads the value from a source.
func (r *ref) of(src Source) (Value, error) {
	if r.document != "" {
		return src.JSON(r.document, r.path)
	}
	text, ok, err := src.Text(r.group, r.name)
	if err != nil || !ok {
		return Value{}, err
	}
	return TextValue(text), nil
}

// source is the name that stands first in the hole.
func (r *ref) source() string {
	switch {
	case r.document != "":
		return r.document
	case r.group != "":
		return r.group
	}
	return r.name
}

// caddyNames are what a Caddyfile makes of the short names before anybody else
// sees them.
var caddyNames = []struct{ long, short string }{
	{"http.request.header.", "header."},
	{"http.request.uri.query.", "query."},
	{"http.request.uri.path.", "path."},
}

// ref reads the name of a value.
func (v *Vocabulary) ref(s string) (ref, error) {
	if s == "" {
		return ref{}, fmt.Errorf("an empty {}: name a value, as in %s", v.example())
	}
	for _, n := range caddyNames {
		if rest, ok := strings.CutPrefix(s, n.long); ok && slices.Contains(v.Groups, strings.TrimSuffix(n.short, ".")) {
			s = n.short + rest
		}
	}
	name, rest := s, ""
	if end := strings.IndexAny(s, ".:"); end >= 0 {
		name, rest = s[:end], s[end:]
	}
	switch {
	case slices.Contains(v.Documents, name):
		path, err := parseHolePath(rest)
		if err != nil {
			return ref{}, fmt.Errorf("{%s}: %w", s, err)
		}
		return ref{document: name, path: path}, nil
	case slices.Contains(v.Groups, name):
		if len(rest) < 2 || rest[0] != '.' {
			return ref{}, fmt.Errorf("{%s}: a name is missing, as in {%s.NAME}", s, name)
		}
		r := ref{group: name, name: rest[1:]}
		if name == "header" {
			r.name = textproto.CanonicalMIMEHeaderKey(r.name)
		}
		return r, nil
	case slices.Contains(v.Variables, name):
		if rest != "" {
			return ref{}, fmt.Errorf("{%s}: {%s} has no parts", s, name)
		}
		return ref{name: name}, nil
	case v.Other != nil:
		if err := v.Other(s); err != nil {
			return ref{}, fmt.Errorf("{%s}: %w", s, err)
		}
		return ref{name: s}, nil
	}
	return ref{}, fmt.Errorf("unknown name %q in {%s}; the names are %s", name, s, v.names())
}

// example is a hole of the vocabulary.
func (v *Vocabulary) example() string {
	switch {
	case len(v.Documents) > 0:
		return "{" + v.Documents[0] + ".room.id}"
	case len(v.Variables) > 0:
		return "{" + v.Variables[0] + "}"
	case len(v.Groups) > 0:
		return "{" + v.Groups[0] + ".NAME}"
	}
	return "{name}"
}

// parseHolePath reads what stands behind the name of a document in a hole: a
// path behind a dot, or a JSON Pointer behind a colon.
func parseHolePath(s string) (Path, error) {
	switch {
	case s == "":
		return nil, nil
	case s[0] == ':' && !strings.HasPrefix(s, ":/"):
		return nil, errors.New("a JSON Pointer begins with /, as in {json:/a~1b/x.y}")
	case s[0] == ':':
		return ParsePath(s[1:])
	}
	for key := range strings.SplitSeq(s[1:], ".") {
		if strings.ContainsAny(key, " \t{}\"") {
			return nil, fmt.Errorf("%q is no key; write it as a JSON Pointer if it is one: {json:/%s}", key, key)
		}
	}
	return ParsePath(s[1:])
}
