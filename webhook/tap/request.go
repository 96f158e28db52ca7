package tap

import (
	"bytes"
	"io"
	"maps"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"unicode/utf8"

	"github.com/valyala/fastjson"

	"github.com/seed-078801ba/sidestream/webhook/decode"
)

// maxRequest is how much of a request is copied, in bytes.
const maxRequest = 256 << 10

// Request is what is known of the request whose answer is looked at.
type Request struct {
	misread bool // the app may read it in another way

	// What follows is used by whoever sends the request to the app, which may go on
	// after the answer has come.
	mu     sync.Mutex
	kind   string // the media type; empty if the body is not copied
	body   []byte
	read   int64
	length int64 // as it was announced, -1 if it was not
	ended  bool
	large  bool
	held   int64 // of the process's budget
}

// copies has the body copied as it is read, if it is of a kind that can be.
func (q *Request) copies(r *http.Request) {
	kind, parameters, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	charset := strings.ToLower(parameters["charset"])
	if err != nil || len(r.Header["Content-Encoding"]) > 0 || !(isJSON(kind) || kind == formType || kind == "text/plain") ||
		charset != "" && charset != "utf-8" && charset != "us-ascii" {
		return
	}
	q.kind, q.large = kind, q.length > maxRequest
}

// sent tells whether the app may have got the request whole.
func (q *Request) sent() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.length == 0 || q.ended || q.read == q.length
}

const formType = "application/x-www-form-urlencoded"

func isJSON(kind string) bool {
	return kind == "application/json" || kind == "text/json" || strings.HasSuffix(kind, "+json")
}

// readBody sees what is read of a request's body.
type readBody struct {
	io.ReadCloser
	of *Request
}

func (b *readBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	b.of.add(p[:n], err)
	return n, err
}

func (q *Request) add(p []byte, err error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.ended, q.read = q.ended || err == io.EOF, q.read+int64(len(p))
	if q.large || q.kind == "" || len(p) == 0 {
		return
	}
	n := int64(len(p))
	if len(q.body)+len(p) > maxRequest || !copies.take(n) {
		q.large = true
		q.release()
		return
	}
	q.held += n
	q.body = append(q.body, p...)
}

// release gives the memory of the copy back. Called with q.mu held.
func (q *Request) release() {
	copies.give(q.held)
	q.body, q.held = nil, 0
}

// drop gives the memory of the copy back, and lets none be taken any more.
func (q *Request) drop() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.large = true
	q.release()
}

// document is the request as JSON: what was posted as JSON, the fields of a form, or
// a text. nil if it is not known whole.
func (q *Request) document() []byte {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.large || !q.ended && (q.length < 0 || int64(len(q.body)) != q.length) {
		return nil
	}
	switch {
	case isJSON(q.kind):
		return unambiguous(decode.Document(q.body))
	case q.kind == formType:
		return unambiguous(formDocument(q.body))
	case q.kind == "text/plain" && utf8.Valid(q.body):
		return decode.AppendJSONString(nil, string(q.body))
	}
	return nil
}

// unambiguous is a document in which no object has two keys that differ in case alone: some
// apps take them for one, and the last for its value. nil if one has.
func unambiguous(doc []byte) []byte {
	v, err := fastjson.ParseBytes(doc)
	if err != nil || foldsKeys(v) {
		return nil
	}
	return doc
}

func foldsKeys(v *fastjson.Value) (folds bool) {
	switch v.Type() {
	case fastjson.TypeArray:
		elements, _ := v.Array()
		return slices.ContainsFunc(elements, foldsKeys)
	case fastjson.TypeObject:
		object, _ := v.Object()
		seen := make(map[string]string, object.Len())
		object.Visit(func(key []byte, child *fastjson.Value) {
			folded := strings.ToLower(string(key))
			other, known := seen[folded]
			folds = folds || known && other != string(key) || foldsKeys(child)
			seen[folded] = string(key)
		})
	}
	return folds
}

// maxFields is how many fields of a form are read.
const maxFields = 1000

// formDocument is a form as a JSON object. A field that is there twice is there twice,
// so that a rule that reads it fails.
func formDocument(body []byte) []byte {
	if bytes.Count(body, []byte{'&'}) >= maxFields {
		return nil
	}
	form, err := url.ParseQuery(string(body))
	if err != nil {
		return nil
	}
	doc := []byte{'{'}
	for _, name := range slices.Sorted(maps.Keys(form)) {
		for _, value := range form[name] {
			if !utf8.ValidString(name) || !utf8.ValidString(value) {
				return nil
			}
			if len(doc) > 1 {
				doc = append(doc, ',')
			}
			doc = append(decode.AppendJSONString(doc, name), ':')
			doc = decode.AppendJSONString(doc, value)
		}
	}
	return append(doc, '}')
}
