package decode

import (
	"net/url"
	"sync"

	"github.com/valyala/fastjson"

	"github.com/seed-078801ba/sidestream/stream/event"
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
	// Request is what the client had asked, as JSON, of an answer: {req}; nil if
	// that is not known.
	Request []byte
	// User is whose credential the client had, of an answer: {auth.user}; empty if
	// that is not known.
	User string
	// Delivery is the id of the delivery, if it has one. The sender uses the same
	// id when it sends the delivery again.
	Delivery string
}

// Payload is a delivery while it is decoded, and the Source of the rules' values:
// of headers and parameters from the beginning, of the body once it was read, and
// of the message that is being mapped. It is used by one goroutine, and used again
// for another delivery after Release.
type Payload struct {
	// In is what came with it, and the raw body once there is one.
	In    *Input
	input Input

	read  bool   // the body was read
	doc   []byte // the body as JSON, checked; nil if it is something else
	text  string // the body as text, if it is not what came
	form  url.Values
	query url.Values
	item  []byte // the item as JSON; the document itself without each

	rootParser, itemParser, requestParser, freshParser fastjson.Parser
	root, itemValue, requestValue                      *fastjson.Value // parsed on first use

	items  []byte // the elements of each, one after the other
	bounds []int  // where each of them ends
	list   bool   // the delivery is a batch by its form
	whole  bool   // the document is the one item

	cloudEvent bool // every item must be a CloudEvent

	values int  // how many values doc has
	halves bool // texts were mended: a name must not be one of them

	queryErr error

	event   event.Event // the message that is being mapped
	gaps    []gap       // of what is cut out
	without []byte      // the document without them
	trace   *trace      // of the message, for whoever wants to know how it is mapped; usually nil
}

var payloads = sync.Pool{New: func() any { return new(Payload) }}

// The size of the largest body, and the number of values, for which a Payload is
// worth keeping: its parsers never shrink.
const (
	maxPooled       = 64 << 10
	maxPooledValues = 4 << 10
)

// treeNode is about what a value takes in a tree, while that grows, in bytes.
const treeNode = 200

// TreeCost is about how much memory the parsed payload takes, in bytes.
func (s *Payload) TreeCost() int64 { return treeNode * int64(s.values) }

// NewPayload begins a delivery. Release it when nothing of it is needed.
func NewPayload(in Input) *Payload {
	s := payloads.Get().(*Payload)
	s.input = in
	s.In = &s.input
	return s
}

// noteDropped leaves in the trace which condition took the message.
func (s *Payload) noteDropped(c *Condition) {
	if s.trace != nil {
		s.trace.dropped = c
	}
}

// Release gives the payload back for reuse. No Value that was read from it may be
// used afterwards.
func (s *Payload) Release() {
	if len(s.doc) > maxPooled || s.values > maxPooledValues {
		return
	}
	s.input, s.event = Input{}, event.Event{}
	s.In, s.doc, s.form, s.query, s.item, s.root, s.itemValue, s.requestValue = nil, nil, nil, nil, nil, nil, nil, nil
	s.read, s.text, s.values, s.halves = false, "", 0, false
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

// JSON implements Source: "json" and "res" are the body, "item" the current message,
// "req" what was asked.
func (s *Payload) JSON(document string, path Path) (Value, error) {
	root, err := s.tree(document, false)
	if root == nil || err != nil {
		return Value{}, err
	}
	return path.Find(root)
}

// fresh is a Payload whose JSON is parsed anew for each value, so that a value
// can be written out exactly as it came in: fastjson unescapes the keys and
// strings that it was asked about in place. A value lives until the next one.
type fresh Payload

// JSON implements Source.
func (s *fresh) JSON(document string, path Path) (Value, error) {
	root, err := (*Payload)(s).tree(document, true)
	if root == nil || err != nil {
		return Value{}, err
	}
	return path.Find(root)
}

// Text implements Source.
func (s *fresh) Text(group, name string) (string, bool, error) {
	return (*Payload)(s).Text(group, name)
}

// exact is the value of a hole; an array or object can be written out as it came
// in.
func (s *Payload) exact(h *hole) (v Value, err error) {
	r := &h.refs[0]
	if len(h.refs) > 1 { // find out which one, before JSON is parsed anew
		if r, v, err = h.find(s); err != nil || v.kind != composite {
			r = nil
		}
	}
	if r != nil {
		v, err = r.of((*fresh)(s))
	}
	if err != nil {
		return Value{}, err
	}
	return h.filtered(v)
}

// Text implements Source.
func (s *Payload) Text(group, name string) (text string, ok bool, err error) {
	switch group {
	case "":
		if name == authUser {
			return s.In.User, s.In.User != "", nil
		}
		if s.text != "" {
			return s.text, true, nil
		}
		return string(s.In.Body), true, nil
	case "form":
		return single(s.form[name], errDuplicateForm)
	case "query":
		if s.query == nil && s.In.Query != "" {
			if s.query, s.queryErr = url.ParseQuery(s.In.Query); s.queryErr != nil {
				return "", false, errQuery
			}
		}
		return single(s.query[name], errDuplicateQuery)
	case "header":
		return single(s.In.Header[name], errDuplicateHeader)
	case "path":
		text, ok = s.In.Path[name]
	case "match":
		text, ok = s.In.Match[name]
	case "redis":
		text, ok = s.In.Redis[name]
	}
	return text, ok, nil
}

// tree is the parsed document or item, nil if the body is no JSON.
func (s *Payload) tree(document string, fresh bool) (*fastjson.Value, error) {
	b, parser, parsed := s.doc, &s.rootParser, &s.root
	switch document {
	case "item":
		b = s.item
		if len(s.bounds) > 0 {
			parser, parsed = &s.itemParser, &s.itemValue
		}
	case "req":
		b, parser, parsed = s.In.Request, &s.requestParser, &s.requestValue
	}
	if b == nil {
		return nil, nil
	}
	if fresh {
		parser, parsed = &s.freshParser, new(*fastjson.Value)
	}
	if *parsed == nil {
		v, err := parser.ParseBytes(b) // it was checked
		if err != nil {
			return nil, errSyntax
		}
		*parsed = v
	}
	return *parsed, nil
}

// single is the text of a name that can be there more than once. Then different
// readers could take different ones.
func single(values []string, duplicate error) (string, bool, error) {
	switch len(values) {
	case 0:
		return "", false, nil
	case 1:
		return values[0], true, nil
	}
	return "", false, duplicate
}
