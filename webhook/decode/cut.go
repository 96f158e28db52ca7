package decode

import (
	"fmt"
	"net/textproto"
	"slices"
)

// ParseProof reads the place in a payload where the token stands that proves
// where a delivery comes from: one hole, whose value can be found without taking
// the payload apart.
func ParseProof(s string) (*Template, error) {
	t, err := ParseTemplate(s)
	if err != nil {
		return nil, err
	}
	h := t.single()
	if h == nil || t.Uses("item") {
		return nil, fmt.Errorf("%q is no place in the payload; write for example {json.token}", s)
	}
	for i := range h.refs {
		if slices.ContainsFunc(h.refs[i].path, func(s step) bool { return s.key == every }) {
			return nil, fmt.Errorf("%q: a * stands for several values; write the place of one", s)
		}
	}
	for i := range h.filters {
		if h.filters[i].name == "json" && len(h.filters[i].path) == 0 {
			return nil, fmt.Errorf("%q: write where the token is in this JSON, as in {form.payload|json:token}", s)
		}
	}
	return t, nil
}

// Cut removes the proof of a delivery from every payload before it is mapped, so
// that it is neither stored nor streamed. Call it before the first payload. It
// returns an error if the decoder's rules would pass the proof on all the same.
func (d *Decoder) Cut(proof *Template) error {
	h := proof.single()
	for i := range h.refs {
		r := &h.refs[i]
		switch {
		case r.document != "" && len(r.path) == 0:
			return fmt.Errorf("%s is the whole payload; write for example {json.token}", proof)
		case r.group != "" && r.group != "form":
			if err := d.Hide(r.group, r.name); err != nil {
				return err
			}
		case len(h.filters) > 0 && d.passesOn():
			return fmt.Errorf("%s is inside a text, and cannot be cut out of what is passed on whole; map the fields that clients need, or verify in another way", proof)
		case len(h.filters) > 0 && d.readsAround(r, h.filters):
			return fmt.Errorf("%s is inside a text, and a rule of map would pass that text on; map the places in it that clients need, as in {form.payload|json:text}", proof)
		case r.document != "":
			d.cuts = append(d.cuts, r.path)
		case r.group == "form":
			d.cutFields = append(d.cutFields, r.name)
		}
	}
	if d.reads("", "body") {
		return fmt.Errorf("the payload holds the token at %s, and {body} would pass it on; map the fields that clients need, or verify in another way", proof)
	}
	return nil
}

// Hide returns an error if a rule reads a text that must not be passed on, such as
// {header.Authorization}.
func (d *Decoder) Hide(group, name string) error {
	if group == "header" {
		name = textproto.CanonicalMIMEHeaderKey(name)
	}
	if d.reads(group, name) {
		return fmt.Errorf("{%s.%s} holds the secret, and a rule of map would pass it on", group, name)
	}
	return nil
}

// passesOn tells whether JSON of the payload reaches clients as it is.
func (d *Decoder) passesOn() bool { return d.whole != 0 || len(d.rules[fieldData]) > 0 }

// readsAround tells whether a rule of map reads the text that holds a proof, and not
// only another place in it.
func (d *Decoder) readsAround(proof *ref, filters []filter) bool {
	place := filters[0].path // nil: the filter finds the proof in another way
	for _, rules := range d.rules {
		for i := range rules {
			for _, p := range rules[i].value.parts {
				if p.hole == nil || !slices.ContainsFunc(p.hole.refs, proof.isIn) {
					continue
				}
				var read Path
				if len(p.hole.filters) > 0 {
					read = p.hole.filters[0].path
				}
				if len(place) == 0 || read.holds(place) {
					return true
				}
			}
		}
	}
	return false
}

// isIn tells whether another place is this one, or has it in it. An item may be
// anywhere in the payload.
func (r *ref) isIn(other ref) bool {
	if other.document == "item" && r.document == "json" {
		for i := range r.path {
			if other.path.holds(r.path[i:]) {
				return true
			}
		}
	}
	return r.document == other.document && r.group == other.group && r.name == other.name && other.path.holds(r.path)
}

// holds tells whether what one path leads to has in it what the other leads to.
func (p Path) holds(other Path) bool {
	if len(p) > len(other) {
		return false
	}
	for i := range p {
		if p[i].key != other[i].key && p[i].key != every {
			return false
		}
	}
	return true
}

// reads tells whether a rule of map reads a text: of a group, or a variable.
func (d *Decoder) reads(group, name string) bool {
	for _, rules := range d.rules {
		for i := range rules {
			for _, p := range rules[i].value.parts {
				if p.hole != nil && slices.ContainsFunc(p.hole.refs, func(r ref) bool {
					return r.document == "" && r.group == group && r.name == name
				}) {
					return true
				}
			}
		}
	}
	return false
}

// gap is what is cut out of a document, and what stands there afterwards.
type gap struct {
	span
	with string
}

// cut takes what the paths lead to out of the document. A number in a path stands
// for every element there: what proves one of several messages is cut out of all.
func (s *Payload) cut(paths []Path) {
	doc := s.doc
	s.gaps = s.gaps[:0]
	for _, p := range paths {
		s.gaps = p.gaps(doc, firstByte(doc), s.gaps)
	}
	if len(s.gaps) == 0 {
		return
	}
	slices.SortFunc(s.gaps, func(a, b gap) int { return a.start - b.start })
	out := s.without[:0]
	from := 0
	for _, g := range s.gaps {
		if g.start >= from { // not in one that is cut already
			out = append(append(out, doc[from:g.start]...), g.with...)
		}
		from = max(from, g.end)
	}
	s.without = append(out, doc[from:]...)
	s.doc, s.root = s.without, nil
}

// gaps appends the places of the members that the path leads to from the value at
// i. A member is removed with its key and one comma. An element of an array becomes
// null, so that the other elements keep their numbers.
func (p Path) gaps(b []byte, i int, found []gap) []gap {
	if b[i] != '{' && b[i] != '[' {
		return found
	}
	object, first := b[i] == '{', true // first: none was kept so far
	begin := i + 1                     // where the one before ends
	eachMember(b, i, func(key span, _, value int) int {
		end := valueEnd(b, value)
		matches := object && sameKey(b[key.start:key.end], p[0].key) || !object && p[0].index >= 0
		switch {
		case matches && len(p) > 1:
			found = p[1:].gaps(b, value, found)
		case matches && !object:
			found = append(found, gap{span{value, end}, "null"})
		case matches:
			g := gap{span: span{begin, end}} // with the comma before it
			if first {
				if next := skipSpace(b, end); b[next] == ',' {
					g.end = next + 1 // or the one behind it
				}
				begin = g.end
			} else {
				begin = end
			}
			found = append(found, g)
			return end
		}
		first, begin = false, end
		return end
	})
	return found
}
