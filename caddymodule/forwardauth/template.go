package forwardauth

import (
	"fmt"
	"net/url"
	"slices"
	"strings"

	"github.com/seed-078801ba/sidestream/caddymodule/suggest"
)

// template is text with variables in braces, read once.
type template struct {
	parts []part
}

// part is literal text, or a variable if name is set.
type part struct {
	literal string
	name    string
	inQuery bool // behind the first question mark of the template
}

// questionVariables may stand in what is asked of the backend.
var questionVariables = []string{"channel", "org", "flow", "token", "username", "password"}

// secretVariables are those of the client's credentials. The user of Basic may
// be a token or a name; both words stand for it.
var secretVariables = []string{"token", "username", "password"}

// parseTemplate reads text with variables of the given names.
func parseTemplate(text string, names []string) (*template, error) {
	t := &template{}
	query := false
	for text != "" {
		literal, rest, found := strings.Cut(text, "{")
		if literal != "" {
			t.parts = append(t.parts, part{literal: literal})
			query = query || strings.Contains(literal, "?")
		}
		if !found {
			break
		}
		name, after, closed := strings.Cut(rest, "}")
		if !closed {
			return nil, fmt.Errorf("%q has a brace that is not closed", "{"+rest)
		}
		if !slices.Contains(names, name) {
			return nil, fmt.Errorf("unknown variable {%s}%s", name, suggest.Among(name, names))
		}
		t.parts = append(t.parts, part{name: name, inQuery: query})
		text = after
	}
	return t, nil
}

// uses tells whether the template has a variable.
func (t *template) uses(names ...string) bool {
	return t != nil && slices.ContainsFunc(t.parts, func(p part) bool { return slices.Contains(names, p.name) })
}

// expand fills in the variables. escape, if not nil, makes each value fit for
// its place.
func (t *template) expand(v variables, escape func(value string, inQuery bool) string) string {
	var b strings.Builder
	for _, p := range t.parts {
		if p.name == "" {
			b.WriteString(p.literal)
			continue
		}
		value := v.value(p.name)
		if escape != nil {
			value = escape(value, p.inQuery)
		}
		b.WriteString(value)
	}
	return b.String()
}

// escapeURI makes a value one segment of a path, or one value of a query.
func escapeURI(value string, inQuery bool) string {
	if inQuery {
		return url.QueryEscape(value)
	}
	return url.PathEscape(value)
}

// variables are what templates and conditions stand in for.
type variables struct {
	channel    string
	credential *Credential
}

func (v variables) value(name string) string {
	switch name {
	case "channel":
		return v.channel
	case "token", "username":
		return v.credential.token
	case "password":
		return v.credential.password
	}
	org, flow, _ := strings.Cut(v.channel, "/")
	if name == "org" {
		return org
	}
	return flow
}
