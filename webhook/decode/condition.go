package decode

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/valyala/fastjson"
)

// A Condition compares values:
//
//	{header.X-Event} == message_deleted
//	{item.kind} in typing presence and {item.text} not exists
//	{item.text} matches ^/
//	{json.rooms} contains {channel}
//
// Values are compared as text. A missing value, and null, equals nothing. Of
// several values, as a path with * finds them, one that compares is enough. It is
// safe for concurrent use.
type Condition struct {
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

const conditionForms = "write {value} == TEXT, {value} != TEXT, {value} [not] in TEXT TEXT, {value} [not] contains TEXT, {value} [not] exists, or {value} [not] matches PATTERN"

// Condition reads one or more comparisons joined by "and". Errors say what would
// be right.
func (v *Vocabulary) Condition(s string) (*Condition, error) {
	words, err := splitWords(s)
	if err != nil {
		return nil, fmt.Errorf("condition %q: %w", s, err)
	}
	c := &Condition{text: s}
	for start := 0; start <= len(words); {
		end := start
		for end < len(words) && (words[end].quoted || words[end].text != "and") {
			end++
		}
		t, err := v.term(words[start:end])
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

func (v *Vocabulary) term(words []word) (term, error) {
	if len(words) < 2 {
		return term{}, errors.New(conditionForms)
	}
	var t term
	left, err := v.Template(words[0].text)
	if err != nil {
		return t, err
	}
	if left.single() == nil {
		if err := v.literally(words[0].text); err != nil {
			return t, err
		}
		return t, fmt.Errorf("it begins with %q, which is no value in braces; %s", words[0].text, conditionForms)
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
	case "in", "contains", "matches":
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
	if len(words) == 1 && !words[0].quoted {
		if err := v.literally(words[0].text); err != nil {
			return t, fmt.Errorf("%w, or %q in quotes for the text", err, words[0].text)
		}
	}
	if t.op != "in" {
		words = []word{{text: joinWords(words)}}
	}
	for _, w := range words {
		right, err := v.Template(w.text)
		if err != nil {
			return t, err
		}
		t.right = append(t.right, right)
	}
	return t, nil
}

// Compare makes the condition that what a path leads to in a document compares
// with a text, which may have holes. op is ==, !=, exists or contains.
func (v *Vocabulary) Compare(document, path, op, text string) (*Condition, error) {
	p, err := ParsePath(path)
	if err != nil {
		return nil, err
	}
	left := &Template{text: path, parts: []part{{hole: &hole{refs: []ref{{document: document, path: p}}}}}}
	t := term{left: left, op: op, negate: op == "!="}
	c := &Condition{text: strings.TrimSpace(path + " " + op + " " + text)}
	switch op {
	case "exists":
		if text != "" {
			return nil, errors.New("exists takes no value")
		}
	case "==", "!=", "contains":
		if text == "" {
			return nil, fmt.Errorf("%s needs a value behind it", op)
		}
		right, err := v.Template(text)
		if err != nil {
			return nil, err
		}
		t.right = []*Template{right}
	default:
		return nil, fmt.Errorf("unknown comparison %q; write ==, !=, exists or contains", op)
	}
	c.terms = []term{t}
	return c, nil
}

// Uses tells whether the condition reads one of these documents, groups or variables.
func (c *Condition) Uses(names ...string) bool {
	return slices.ContainsFunc(c.terms, func(t term) bool {
		return t.left.Uses(names...) || slices.ContainsFunc(t.right, func(r *Template) bool { return r.Uses(names...) })
	})
}

// Keys are the first keys of the places that the condition reads in a document.
func (c *Condition) Keys(document string) (keys []string) {
	for _, t := range c.terms {
		keys = append(keys, t.left.Keys(document)...)
		for _, r := range t.right {
			keys = append(keys, r.Keys(document)...)
		}
	}
	return keys
}

// Names are the names that the condition reads of a group.
func (c *Condition) Names(group string) (names []string) {
	for _, t := range c.terms {
		names = append(names, t.left.Names(group)...)
		for _, r := range t.right {
			names = append(names, r.Names(group)...)
		}
	}
	return names
}

// String is the condition as it was written.
func (c *Condition) String() string { return c.text }

// Tells tells whether a document proves which value a variable has, if the condition
// holds: it compares the two, and asks that they are equal or that one contains the
// other. What is only not equal, or only exists, proves nothing.
func (c *Condition) Tells(document, variable string) bool {
	return slices.ContainsFunc(c.terms, func(t term) bool {
		if t.negate || len(t.right) == 0 || t.op != "==" && t.op != "in" && t.op != "contains" {
			return false
		}
		all := func(is func(*Template) bool) bool {
			return !slices.ContainsFunc(t.right, func(r *Template) bool { return !is(r) })
		}
		tells := func(r *Template) bool { return r.Tells(variable) }
		reads := func(r *Template) bool { return r.Uses(document) }
		return reads(t.left) && all(tells) || tells(t.left) && all(reads)
	})
}

// Filled is the condition with the values of src in the places of what is compared
// with, for people: "room.id == 7".
func (c *Condition) Filled(src Source) string {
	var b strings.Builder
	for i := range c.terms {
		t := &c.terms[i]
		if i > 0 {
			b.WriteString(" and ")
		}
		b.WriteString(t.left.text)
		if t.negate && t.op != "!=" {
			b.WriteString(" not")
		}
		b.WriteString(" " + t.op)
		if t.re != nil {
			b.WriteString(" " + t.re.String())
		}
		for _, right := range t.right {
			text, err := right.Fill(src)
			if err != nil {
				text = right.text
			}
			b.WriteString(" " + text)
		}
	}
	return b.String()
}

// Holds tells whether the condition is true. What is missing, or has no text,
// equals nothing: != and not hold for it.
func (c *Condition) Holds(src Source) (bool, error) { return c.holds(src, false) }

// Proves tells whether the condition is true of values that are there: what is
// missing, or has no text, makes every comparison false, != and not too. That is
// for conditions that allow something.
func (c *Condition) Proves(src Source) (bool, error) { return c.holds(src, true) }

func (c *Condition) holds(src Source, proof bool) (bool, error) {
	for i := range c.terms {
		if ok, err := c.terms[i].holds(src, proof); !ok || err != nil {
			return false, err
		}
	}
	return true, nil
}

func (t *term) holds(src Source, proof bool) (bool, error) {
	left, err := t.left.eval(src, true)
	switch {
	case err != nil:
		return false, err
	case t.op == "exists":
		return left.Exists() != t.negate, nil
	case proof && !left.Exists():
		return false, nil
	}
	if left.kind != list {
		return t.compares(&left, src, proof)
	}
	// Of several values one must compare; not one of them, where it is negated.
	for i := range left.list {
		if ok, err := t.compares(&left.list[i], src, proof); ok != t.negate || err != nil {
			return ok, err
		}
	}
	return t.negate, nil
}

// compares tells whether the term is true of one value.
func (t *term) compares(v *Value, src Source, proof bool) (bool, error) {
	if t.op != "contains" && !v.scalar() {
		return t.negate && !proof, nil
	}
	if t.re != nil {
		return t.re.MatchString(v.text) != t.negate, nil
	}
	found := false
	for _, template := range t.right {
		text, ok := template.Constant()
		if !ok {
			right, err := template.eval(src, true)
			if err != nil {
				return false, err
			}
			if text, ok = right.Text(); !ok && proof {
				return false, nil
			}
		}
		if ok && (t.op == "contains" && v.contains(text) || t.op != "contains" && v.text == text) {
			found = true
		}
	}
	return found != t.negate, nil
}

// contains tells whether an array has an element, an object a key, or the value
// itself is that text.
func (v *Value) contains(wanted string) bool {
	if v.kind == composite && v.node.Type() == fastjson.TypeObject {
		return v.node.Exists(wanted)
	}
	found := false
	v.elements(func(element Value) bool {
		found = element.scalar() && element.text == wanted
		return !found
	})
	return found
}

// firstThatHolds is the first of the conditions that holds; nil if none does.
func firstThatHolds(conditions []*Condition, src Source) (*Condition, error) {
	for _, c := range conditions {
		if ok, err := c.Holds(src); err != nil {
			return nil, err
		} else if ok {
			return c, nil
		}
	}
	return nil, nil
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

// QuoteWords makes the text of a condition from words that were already cut,
// as a Caddyfile hands them over.
func QuoteWords(args []string) string {
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
