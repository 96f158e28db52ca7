package decode

import (
	"net/url"
	"strings"
	"sync"
	"unicode/utf8"

	"github.com/valyala/fastjson"
)

// Input is one delivery: an HTTP request's parts, or a payload from Redis.
// Nothing of it is changed or kept.
type Input struct {
	// Body is the payload.
	Body []byte
	// Header are the request's headers, by their canonical names; nil for
	// Redis.
	Header map[string][]string
	// Query is the raw query of the URL.
	Query string
	// Path are the route parameters, unescaped: {path.NAME}.
	Path map[string]string
	// Match are the named captures of the Redis channel: {match.NAME}.
	Match map[string]string
	// Redis says where a payload comes from, {redis.NAME}: "channel" for
	// publish/subscribe, "id" and "field.NAME" for an entry of a stream.
	Redis map[string]string
	// Delivery is an id of the delivery that a repetition of it has too, if
	// there is one. Serve fills it from the headers.
	Delivery string
}

// Payload is a delivery on its way to events, and what expressions see: what
// came with it, then its body, then the item being mapped. It keeps its parsers
// between deliveries and is used by one goroutine.
type Payload struct {
	// In is what came with it, and the raw body once there is one.
	In *Input

	doc   []byte // the body as JSON, checked; nil if it is something else
	form  url.Values
	query url.Values
	item  []byte // the item as JSON; the document itself without each

	rootParser, itemParser, freshParser fastjson.Parser
	root, itemValue                     *fastjson.Value // parsed on first use

	items  []byte // the elements of each, one after the other
	bounds []int  // where each of them ends
	list   bool   // the delivery is a batch by its form
	whole  bool   // the document is the one item

	cloudEvent bool // every item must be a CloudEvent

	queryErr error
}

var payloads = sync.Pool{New: func() any { return new(Payload) }}

// maxPooled is the size of the largest body whose Payload is worth keeping.
const maxPooled = 64 << 10

// NewPayload begins a delivery. Release it when nothing of it is needed.
func NewPayload(in *Input) *Payload {
	s := payloads.Get().(*Payload)
	s.In = in
	return s
}

// Release lets go of the payload, and with it of every value that was read from
// it.
func (s *Payload) Release() {
	if len(s.doc) > maxPooled {
		return
	}
	s.In, s.doc, s.form, s.query, s.item, s.root, s.itemValue = nil, nil, nil, nil, nil, nil, nil
	s.items, s.bounds, s.list, s.whole, s.cloudEvent, s.queryErr = s.items[:0], s.bounds[:0], false, false, false, nil
	payloads.Put(s)
}

var (
	errDuplicateKey    = malformed("a key twice in a JSON object on a mapped path")
	errDuplicateForm   = malformed("a mapped form field more than once")
	errDuplicateQuery  = malformed("a mapped query parameter more than once")
	errDuplicateHeader = malformed("a mapped header more than once")
	errQuery           = malformed("a malformed query")
)

// resolve finds the value of a ref. With fresh, JSON is parsed anew, so that
// the value can be written out exactly as it came in: fastjson unescapes the
// keys and strings that it was asked about in place.
func (s *Payload) resolve(r *ref, fresh bool) (value, error) {
	switch r.source {
	case sourceJSON, sourceItem:
		root, err := s.tree(r.source, fresh)
		if err != nil {
			return value{}, err
		}
		node, err := lookup(root, r.path)
		if err != nil {
			return value{}, err
		}
		return fromJSON(node), nil
	case sourceForm:
		return flat(s.form[r.name], errDuplicateForm)
	case sourceQuery:
		if s.query == nil && s.In.Query != "" {
			if s.query, s.queryErr = url.ParseQuery(s.In.Query); s.queryErr != nil {
				return value{}, errQuery
			}
		}
		return flat(s.query[r.name], errDuplicateQuery)
	case sourceHeader:
		return flat(s.In.Header[r.name], errDuplicateHeader)
	case sourceBody:
		return fromText(string(s.In.Body), true), nil
	}
	named := s.In.Path
	switch r.source {
	case sourceMatch:
		named = s.In.Match
	case sourceRedis:
		named = s.In.Redis
	}
	v, ok := named[r.name]
	return fromText(v, ok), nil
}

// Query is a parameter of the URL's query, empty if there is none.
func (s *Payload) Query(name string) (string, error) {
	v, err := s.resolve(&ref{source: sourceQuery, name: name}, false)
	return v.text, err
}

// tree is the parsed document or item, nil if the body is no JSON.
func (s *Payload) tree(src source, fresh bool) (*fastjson.Value, error) {
	b, parser, parsed := s.doc, &s.rootParser, &s.root
	if src == sourceItem {
		b = s.item
		if len(s.bounds) > 0 {
			parser, parsed = &s.itemParser, &s.itemValue
		}
	}
	if b == nil {
		return nil, nil
	}
	if fresh {
		parser, parsed = &s.freshParser, new(*fastjson.Value)
	}
	if *parsed == nil {
		v, err := parser.ParseBytes(b)
		if err != nil {
			return nil, errSyntax // cannot be: it was checked
		}
		*parsed = v
	}
	return *parsed, nil
}

// flat is the value of a source that can hold a name more than once. Then
// different readers could take different ones.
func flat(values []string, duplicate error) (value, error) {
	switch len(values) {
	case 0:
		return value{}, nil
	case 1:
		return fromText(values[0], true), nil
	}
	return value{}, duplicate
}

// fromText is a text of HTTP or Redis, where nobody checked the encoding yet.
func fromText(s string, ok bool) value {
	if !ok || !utf8.ValidString(s) {
		return value{}
	}
	return value{kind: text, text: s}
}

// lookup walks a path. It is nil if there is no such value. Every object on the
// way must have the key once: readers differ in which of two they take.
func lookup(v *fastjson.Value, path []step) (*fastjson.Value, error) {
	for i := range path {
		if v == nil {
			return nil, nil
		}
		switch v.Type() {
		case fastjson.TypeObject:
			object, _ := v.Object()
			var found *fastjson.Value
			count := 0
			object.Visit(func(key []byte, child *fastjson.Value) {
				if string(key) == path[i].key {
					found = child
					count++
				}
			})
			if count > 1 {
				return nil, errDuplicateKey
			}
			v = found
		case fastjson.TypeArray:
			elements, _ := v.Array()
			if path[i].index < 0 || path[i].index >= len(elements) {
				return nil, nil
			}
			v = elements[path[i].index]
		default:
			return nil, nil
		}
	}
	return v, nil
}

// eval is the value of a hole.
func (h *hole) eval(s *Payload) (value, error) { return h.read(s, false) }

// evalFresh is the value of a hole; an array or object can be written out as it
// came in, see resolve. It is valid until the next evalFresh.
func (h *hole) evalFresh(s *Payload) (value, error) { return h.read(s, true) }

func (h *hole) read(s *Payload, fresh bool) (value, error) {
	// With one place to look at, there is nothing to be found out first.
	direct := fresh && len(h.refs) == 1
	r, v, err := h.find(s, direct)
	if err == nil && fresh && !direct && v.kind == composite {
		v, err = s.resolve(r, true)
	}
	if err != nil {
		return value{}, err
	}
	for i := range h.filters {
		filtered, err := h.filters[i].apply(v)
		if err != nil {
			return value{}, err
		}
		v = filtered
	}
	return v, nil
}

// find is the first ref that has a value, and that.
func (h *hole) find(s *Payload, fresh bool) (*ref, value, error) {
	for i := range h.refs {
		v, err := s.resolve(&h.refs[i], fresh)
		if err != nil || v.kind != missing {
			return &h.refs[i], v, err
		}
	}
	return nil, value{}, nil
}

// eval is the value of a template: of a single hole as it is, otherwise text.
// Where a part of a text is missing, strict makes the whole missing; without it
// the part is empty.
func (t *Template) eval(s *Payload, strict bool) (value, error) {
	if h := t.single(); h != nil {
		return h.eval(s)
	}
	if fixed, ok := t.constant(); ok {
		return value{kind: text, text: fixed}, nil
	}
	var b strings.Builder
	for _, p := range t.parts {
		if p.hole == nil {
			b.WriteString(p.text)
			continue
		}
		v, err := p.hole.eval(s)
		switch {
		case err != nil:
			return value{}, err
		case v.scalar():
			b.WriteString(v.text)
		case v.kind != missing:
			return v, nil // an object inside a text has no text: the wrong type
		case strict:
			return value{}, nil
		}
	}
	return value{kind: text, text: b.String()}, nil
}
