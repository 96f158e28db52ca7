package decode

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// A condition compares values of a delivery:
//
//	{header.X-Event} == message_deleted
//	{item.kind} in typing presence and {item.text} not exists
//	{item.text} matches ^/
//
// Values are compared as text; a missing value, and null, equals nothing.
type condition struct {
	terms []term // all of them must hold
	text  string // as it was written
}

type term struct {
	left   *Template
	op     string
	negate bool
	right  []*Template
	re     *regexp.Regexp
}

const conditionForms = "write {value} == TEXT, {value} != TEXT, {value} [not] in TEXT TEXT, {value} [not] exists, or {value} [not] matches PATTERN"

// parseCondition reads one or more comparisons joined by "and".
func parseCondition(s string) (*condition, error) {
	words, err := splitWords(s)
	if err != nil {
		return nil, fmt.Errorf("condition %q: %w", s, err)
	}
	c := &condition{text: s}
	for start := 0; start <= len(words); {
		end := start
		for end < len(words) && (words[end].quoted || words[end].text != "and") {
			end++
		}
		t, err := parseTerm(words[start:end])
		if err != nil {
			return nil, fmt.Errorf("condition %q: %w", s, err)
		}
		c.terms = append(c.terms, t)
		start = end + 1
		if end == len(words) {
			break
		}
	}
	return c, nil
}

func parseTerm(words []word) (term, error) {
	if len(words) < 2 {
		return term{}, errors.New(conditionForms)
	}
	var t term
	left, err := ParseTemplate(words[0].text)
	if err != nil {
		return t, err
	}
	if left.single() == nil {
		return t, fmt.Errorf("it begins with %q, which is no value of the delivery; %s", words[0].text, conditionForms)
	}
	t.left, words = left, words[1:]
	if words[0].text == "not" && len(words) > 1 {
		t.negate, words = true, words[1:]
	}
	t.op, words = words[0].text, words[1:]
	switch t.op {
	case "exists":
		if len(words) > 0 {
			return t, fmt.Errorf("nothing may stand behind exists, but %q does", words[0].text)
		}
		return t, nil
	case "==", "!=":
		if t.negate {
			return t, fmt.Errorf("write == or != instead of not %s", t.op)
		}
		t.negate = t.op == "!="
	case "in", "matches":
	default:
		return t, fmt.Errorf("unknown comparison %q; %s", t.op, conditionForms)
	}
	if len(words) == 0 {
		return t, fmt.Errorf("nothing stands behind %s; %s", t.op, conditionForms)
	}
	if t.op == "matches" {
		t.re, err = regexp.Compile(joinWords(words))
		return t, err
	}
	if t.op != "in" {
		words = []word{{text: joinWords(words)}}
	}
	for _, w := range words {
		right, err := ParseTemplate(w.text)
		if err != nil {
			return t, err
		}
		t.right = append(t.right, right)
	}
	return t, nil
}

func (c *condition) holds(s *Payload) (bool, error) {
	for i := range c.terms {
		if ok, err := c.terms[i].holds(s); !ok || err != nil {
			return false, err
		}
	}
	return true, nil
}

func (t *term) holds(s *Payload) (bool, error) {
	left, err := t.left.eval(s, true)
	if err != nil {
		return false, err
	}
	if t.op == "exists" {
		return (left.kind != missing) != t.negate, nil
	}
	if !left.scalar() {
		return t.negate, nil
	}
	if t.re != nil {
		return t.re.MatchString(left.text) != t.negate, nil
	}
	for _, template := range t.right {
		right, err := template.eval(s, true)
		if err != nil {
			return false, err
		}
		if right.scalar() && right.text == left.text {
			return !t.negate, nil
		}
	}
	return t.negate, nil
}

// anyHolds tells whether one of the conditions holds.
func anyHolds(conditions []*condition, s *Payload) (bool, error) {
	for _, c := range conditions {
		if ok, err := c.holds(s); ok || err != nil {
			return ok, err
		}
	}
	return false, nil
}

// word is a word of a condition. In quotes it may have spaces in it, and is
// never a word of the language.
type word struct {
	text   string
	quoted bool
}

// splitWords cuts at spaces outside of quotes and braces.
func splitWords(s string) ([]word, error) {
	var words []word
	for s = strings.TrimSpace(s); s != ""; s = strings.TrimLeft(s, " \t\n") {
		if s[0] == '"' {
			text, rest, ok := cutQuoted(s)
			if !ok {
				return nil, errors.New(`a " without its end`)
			}
			words, s = append(words, word{text, true}), rest
			continue
		}
		end := 0
		for end < len(s) && !strings.ContainsRune(" \t\n", rune(s[end])) {
			size := 1
			if s[end] == '{' {
				if n := holeLength(s[end:]); n > 0 {
					size = n
				}
			}
			end += size
		}
		words, s = append(words, word{text: s[:end]}), s[end:]
	}
	return words, nil
}

// cutQuoted takes a quoted text off the beginning of s. Only the quote itself
// is escaped by a backslash in it, so that patterns stay readable.
func cutQuoted(s string) (text, rest string, ok bool) {
	var b strings.Builder
	for i := 1; i < len(s); i++ {
		switch {
		case s[i] == '\\' && i+1 < len(s) && s[i+1] == '"':
			i++
			b.WriteByte('"')
		case s[i] == '"':
			return b.String(), s[i+1:], true
		default:
			b.WriteByte(s[i])
		}
	}
	return "", "", false
}

func joinWords(words []word) string {
	texts := make([]string, len(words))
	for i, w := range words {
		texts[i] = w.text
	}
	return strings.Join(texts, " ")
}

// quoteWords makes the text of a condition from words that were already cut,
// as a Caddyfile hands them over.
func quoteWords(args []string) string {
	if len(args) == 1 {
		return args[0]
	}
	quoted := slices.Clone(args)
	for i, a := range quoted {
		if a == "" || (strings.ContainsAny(a, " \t\n\"") && a[0] != '{') {
			quoted[i] = `"` + strings.ReplaceAll(a, `"`, `\"`) + `"`
		}
	}
	return strings.Join(quoted, " ")
}
