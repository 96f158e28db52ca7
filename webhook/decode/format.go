package decode

import (
	"bytes"
	"mime"
	"net/url"
	"strings"
	"unicode/utf8"

	"github.com/valyala/fastjson"
)

// Format is how a payload is written.
type Format string

// The formats.
const (
	JSON        Format = "json"
	Form        Format = "form" // application/x-www-form-urlencoded
	CloudEvents Format = "cloudevents"
	Msgpack     Format = "msgpack"
	Text        Format = "text" // only {body} has a value
)

var formats = []Format{JSON, Form, CloudEvents, Msgpack, Text}

var (
	errEmptyBody     = malformed("an empty body")
	errForm          = malformed("a malformed form")
	errFields        = &Error{TooLarge, "too many fields in a form"}
	errDocument      = malformed("a form without the field that holds the JSON")
	errContentType   = unsupported("a Content-Type that this webhook does not read")
	errMultipart     = unsupported("a multipart body")
	errCharset       = unsupported("a charset other than UTF-8")
	errTopLevelArray = &Error{Unfit, "an array at the top: write each {json} for one message an element, or name its parts, as in {json.0.id}"}
	errBatchTooLarge = &Error{TooLarge, "too many items in a batch"}
)

// byteOrderMark is taken off a body once.
var byteOrderMark = []byte("\xef\xbb\xbf")

// formatFor is how the body of a payload is written, and its media type.
func (d *Decoder) formatFor(s *Payload) (Format, string, error) {
	mediaType, err := mediaType(s.In.Header)
	if err != nil {
		return "", "", err
	}
	format := d.format
	if format == "" {
		if format, err = d.formatOf(mediaType); err != nil {
			return "", "", err
		}
	}
	if format != CloudEvents && len(bytes.TrimSpace(s.In.Body)) == 0 {
		return "", "", errEmptyBody
	}
	return format, mediaType, nil
}

// Read reads the body of a payload. What cannot be read is an *Error. No tree of
// it is built before a rule asks for one.
func (d *Decoder) Read(s *Payload) error {
	if s.read {
		return nil
	}
	format, mediaType, err := d.formatFor(s)
	if err != nil {
		return err
	}
	body := bytes.TrimPrefix(s.In.Body, byteOrderMark)
	switch format {
	case JSON:
		err = s.setDocument(body)
	case Form:
		err = d.readForm(s, body)
	case CloudEvents:
		err = readCloudEvents(s, mediaType, body)
	case Msgpack:
		var doc []byte
		if doc, s.halves, err = appendMsgpack(nil, s.In.Body); err == nil {
			err = s.setDocument(doc)
		}
	case Text:
		if mended, halves, ok := mendText(string(body)); !ok {
			err = errUTF8
		} else if halves {
			s.text, s.halves = mended, true
		}
	}
	s.read = err == nil
	return err
}

// mediaType is the Content-Type in lower case without parameters, "" if there
// is none.
func mediaType(h map[string][]string) (string, error) {
	values := h["Content-Type"]
	switch {
	case len(values) == 0 || values[0] == "":
		return "", nil
	case len(values) > 1:
		return "", errContentType
	case values[0] == "application/json":
		return values[0], nil
	}
	mediaType, params, err := mime.ParseMediaType(values[0])
	if err != nil {
		return "", errContentType
	}
	if strings.HasPrefix(mediaType, "multipart/") {
		return "", errMultipart
	}
	switch charset := strings.ToLower(params["charset"]); charset {
	case "", "utf-8", "utf8", "us-ascii":
	default:
		return "", errCharset
	}
	return mediaType, nil
}

func isJSON(mediaType string) bool {
	return mediaType == "application/json" || mediaType == "text/json" || strings.HasSuffix(mediaType, "+json")
}

// formatOf chooses the format by the type of the body.
func (d *Decoder) formatOf(mediaType string) (Format, error) {
	switch {
	case mediaType == "":
		return d.usualFormat, nil
	case strings.HasPrefix(mediaType, "application/cloudevents"):
		return CloudEvents, nil
	case isJSON(mediaType):
		return JSON, nil
	case mediaType == "application/x-www-form-urlencoded":
		return Form, nil
	}
	return "", errContentType
}

// maxFields is how many fields a form may have.
const maxFields = 1000

// readForm reads an urlencoded form. A form that url.ParseQuery reads only in
// part is refused whole.
func (d *Decoder) readForm(s *Payload, body []byte) error {
	if bytes.Count(body, []byte{'&'}) >= maxFields {
		return errFields
	}
	form, err := url.ParseQuery(string(body))
	if err != nil {
		return errForm
	}
	for key, values := range form {
		if !utf8.ValidString(key) {
			return errUTF8
		}
		for i, v := range values {
			mended, halves, ok := mendText(v)
			if !ok {
				return errUTF8
			}
			values[i], s.halves = mended, s.halves || halves
		}
	}
	s.form = form
	if d.document == "" {
		return nil
	}
	document, ok, err := single(form[d.document], errDuplicateForm)
	switch {
	case err != nil:
		return err
	case !ok:
		return errDocument
	}
	return s.setDocument([]byte(document))
}

// split finds the items: the elements of each, or the document itself.
func (d *Decoder) split(s *Payload) error {
	if len(d.cuts) > 0 && s.doc != nil {
		s.cut(d.cuts)
	}
	for _, name := range d.cutFields {
		delete(s.form, name)
	}
	s.item = s.doc
	if d.each == nil {
		if s.doc != nil && !d.arrays && s.doc[firstByte(s.doc)] == '[' {
			return errTopLevelArray
		}
		s.bounds = nil
		return nil
	}
	s.items, s.bounds = s.items[:0], s.bounds[:0]
	each := d.each.single()
	var err error
	if s.whole, err = each.endsWithDocument(s); s.whole || err != nil {
		return err
	}
	v, err := s.exact(each)
	if err != nil {
		return err
	}
	if v.kind == list { // of a path with *
		s.list = true
		if len(v.list) > d.maxBatch {
			return errBatchTooLarge
		}
		for _, element := range v.list {
			if element.kind == composite {
				s.items = element.node.MarshalTo(s.items)
				s.bounds = append(s.bounds, len(s.items))
			}
		}
		return nil
	}
	if v.kind != composite {
		return nil // no items: the one that there should be is unmapped
	}
	if v.node.Type() == fastjson.TypeObject {
		s.items = v.node.MarshalTo(s.items)
		s.bounds = append(s.bounds, len(s.items))
		return nil
	}
	s.list = true
	elements, _ := v.node.Array()
	if len(elements) > d.maxBatch {
		return errBatchTooLarge
	}
	for _, element := range elements {
		s.items = element.MarshalTo(s.items)
		s.bounds = append(s.bounds, len(s.items))
	}
	return nil
}

// endsWithDocument tells whether only the last alternative of each has a value, and
// that is the whole document, an object. Then the document is the one item, and
// needs no copy.
func (h *hole) endsWithDocument(s *Payload) (bool, error) {
	last := &h.refs[len(h.refs)-1]
	if last.document != "json" && last.document != "res" || len(last.path) > 0 || len(h.filters) > 0 || !isObject(s.doc) {
		return false, nil
	}
	r, _, err := h.find(s)
	return r == last, err
}

// isObject tells whether a JSON value is an object.
func isObject(doc []byte) bool { return len(doc) > 0 && doc[firstByte(doc)] == '{' }

func firstByte(b []byte) int {
	for i, c := range b {
		if c != ' ' && c != '\n' && c != '\r' && c != '\t' {
			return i
		}
	}
	return 0
}
