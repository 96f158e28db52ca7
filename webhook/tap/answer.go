package tap

import (
	"context"
	"mime"
	"net/http"
	"slices"
	"strconv"
	"strings"
)

// Client is who has asked the app.
type Client interface {
	// User is whose credential the client has, as far as the app says so; empty if
	// that is not known. The app may be asked, about this channel, until ctx ends.
	User(ctx context.Context, channel string) string
	// Recheck has the app asked again whether the client may listen to what it
	// listens to.
	Recheck()
}

// Answer is an answer of the app on its way to the client. The caller writes it to
// the client first, and says here what was written. It is used by one goroutine at a
// time. End it.
type Answer struct {
	tap     *Tap
	route   *Route
	request *Request
	client  Client

	rules  []*rule // those that are for its status
	status int
	header map[string][]string // what the rules read of it
	json   bool
	coding string
	length int64 // as announced, -1 if it was not
	seen   int64 // bytes of the body

	copied bool // the body is wanted
	body   []byte
	held   int64  // of the budget
	cause  *cause // why it cannot be read
}

// cause is why an answer brings nothing.
type cause struct {
	// text is constant, for logs and metrics.
	text string
	// tell: a message may be missing because of it.
	tell bool
}

var (
	causeLarge    = &cause{"the answer is larger than what is read", true}
	causeCoding   = &cause{"the coding of the answer is not known", true}
	causeBroken   = &cause{"the answer broke off", true}
	causeNone     = &cause{"the client hung up, and the app has not answered since", true}
	causeMemory   = &cause{"too many answers are waiting", true}
	causeUnpacked = &cause{"the answer cannot be unpacked", true}
	causeType     = &cause{"the answer is no JSON", false}
	causeMisread  = &cause{"the app may read the request in another way than it looks (a method override, or an escaped slash, .. or ; in the path)", false}
	causeDownload = &cause{"the answer is a download", false}
	causeCached   = &cause{"the answer was made for another request", false}
)

// Begin looks at the answer to a request.
func (t *Tap) Begin(rt *Route, q *Request, c Client) *Answer {
	return &Answer{tap: t, route: rt, request: q, client: c, length: -1}
}

// Head says how the answer begins. Informational statuses are no beginning.
func (a *Answer) Head(status int, h http.Header) {
	if a.status != 0 || status < 200 {
		return
	}
	a.status = status
	for _, r := range a.route.of.rules {
		if slices.Contains(r.statuses, status) {
			a.rules = append(a.rules, r)
		}
	}
	if len(a.rules) == 0 {
		return
	}
	a.keepHeader(h)
	kind, _, err := mime.ParseMediaType(h.Get("Content-Type"))
	a.json = err == nil && isJSON(kind) && len(h["Content-Type"]) == 1
	a.coding = strings.ToLower(strings.TrimSpace(strings.Join(h["Content-Encoding"], ",")))
	if n, err := strconv.ParseInt(h.Get("Content-Length"), 10, 64); err == nil && n >= 0 {
		a.length = n
	}
	disposition, _, _ := mime.ParseMediaType(h.Get("Content-Disposition"))
	a.copied = a.json && slices.ContainsFunc(a.rules, func(r *rule) bool { return r.readsBody })
	switch age, _ := strconv.Atoi(h.Get("Age")); {
	case age > 0:
		a.cause = causeCached
	case disposition == "attachment":
		a.cause = causeDownload
	case a.request.misread:
		a.cause = causeMisread
	case !a.copied:
	case !readable(a.coding):
		a.cause = causeCoding
	case a.length > maxCopy:
		a.cause = causeLarge
	}
	a.copied = a.copied && a.cause == nil
}

// keepHeader keeps the headers that rules read, and the type for the decoder.
func (a *Answer) keepHeader(h http.Header) {
	for _, r := range a.rules {
		for _, name := range r.headers {
			if values := h[name]; len(values) > 0 {
				if a.header == nil {
					a.header = map[string][]string{}
				}
				a.header[name] = slices.Clone(values)
			}
		}
	}
}

// Body says what was written of the body. The bytes are copied.
func (a *Answer) Body(p []byte) {
	a.seen += int64(len(p))
	if !a.copied || len(p) == 0 {
		return
	}
	grown := len(a.body) + len(p)
	if grown > maxCopy {
		a.giveUp(causeLarge)
		return
	}
	if grown > cap(a.body) {
		size := max(2*cap(a.body), grown, 1024)
		if a.length >= int64(grown) {
			size = int(a.length)
		}
		size = min(size, maxCopy)
		if !copies.take(int64(size - cap(a.body))) {
			a.giveUp(causeMemory)
			return
		}
		a.held += int64(size - cap(a.body))
		body := make([]byte, len(a.body), size)
		copy(body, a.body)
		a.body = body[:len(a.body):size]
	}
	a.body = append(a.body, p...)
}

func (a *Answer) giveUp(why *cause) {
	a.copied, a.cause = false, why
	a.release()
}

func (a *Answer) release() {
	copies.give(a.held)
	a.body, a.held = nil, 0
}

// Wanted tells whether the rest of the body is of interest.
func (a *Answer) Wanted() bool { return a.copied || a.status == 0 }

// End says that the answer has ended: clean tells whether whole, and gone whether
// nobody knows what became of the request: its client has hung up, and the app has not
// answered since.
func (a *Answer) End(clean, gone bool) {
	gone = gone && a.request.sent()
	switch {
	case a.status == 0 && !gone, a.status != 0 && len(a.rules) == 0 && !gone:
		a.drop()
		return
	case gone && len(a.rules) == 0:
		a.rules = slices.DeleteFunc(slices.Clone(a.route.of.rules), func(r *rule) bool { return r.revokes })
		a.cause = causeNone
	case a.cause == nil && (!clean || a.length > 0 && a.seen != a.length):
		a.cause = causeBroken
	}
	if len(a.rules) == 0 {
		a.drop()
		return
	}
	a.tap.take(a)
}

// drop lets go of everything.
func (a *Answer) drop() {
	a.release()
	a.request.drop()
}
