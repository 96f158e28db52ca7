package endpoint

import (
	"errors"
	"net/http"
	"net/url"
	"path"
	"strings"

	"github.com/seed-078801ba/sidestream/caddymodule/forwardauth"
	"github.com/seed-078801ba/sidestream/stream/event"
)

// errLine is the error of a request line that is not in its one canonical
// form. It says nothing of the line, which a stranger chose.
var errLine = errors.New("the request's address is not in canonical form")

// Line is a request's path and query, read once. Whatever is asked of
// the backend, counted and served is made from it and from nothing else, so
// that there is no second reading for an attacker to differ in.
type Line struct {
	// segments are the decoded parts of the path; a trailing slash is an
	// empty last one. A slash in a segment was escaped. Nil if the path is not
	// canonical.
	segments []string
	// loose are the other ways in which a careless reader could understand the
	// path. They only serve to tell whether a path that is not one of ours as
	// it stands was meant for us, and is refused. Nil if there are none.
	loose [][]string
}

// Under returns the decoded parts of the path behind a prefix; false if the path is
// not canonical, or has another beginning.
func (l Line) Under(p *Place) ([]string, bool) {
	if l.segments == nil {
		return nil, false
	}
	return under(l.segments, p.segments())
}

// LooselyUnder are the parts behind the prefix in each of the ways in which a
// careless reader could understand the path. Where one of them is an endpoint's and
// Under is not, the request is Crooked.
func (l Line) LooselyUnder(p *Place) [][]string {
	var all [][]string
	for _, reading := range l.loose {
		if rest, ok := under(reading, p.segments()); ok {
			all = append(all, rest)
		}
	}
	return all
}

// ReadLine reads a request's path. Routes that strip a prefix or rewrite have
// done so by then: r.URL is what counts, for the next handler as well.
func ReadLine(r *http.Request) Line {
	escaped := r.URL.EscapedPath()
	if !strings.HasPrefix(escaped, "/") {
		return Line{} // CONNECT, OPTIONS *: nobody's path
	}
	segments, plain := splitPath(escaped)
	if !sameAuthority(r) {
		segments = nil
	}
	if segments != nil && plain {
		return Line{segments: segments}
	}
	return Line{segments: segments, loose: Readings(escaped)}
}

// sameAuthority tells whether the request names one host only, and no user. A
// request line in absolute form takes the place of the Host header in
// net/http; a handler in front of us may have changed either.
func sameAuthority(r *http.Request) bool {
	return r.URL.User == nil && r.URL.Opaque == "" && (r.URL.Host == "" || strings.EqualFold(r.URL.Host, r.Host))
}

// splitPath decodes an escaped path into segments, nil if one of them is no
// text or leads elsewhere. One doubled slash is allowed, at the very beginning:
// clients of 2010 were shown such a path. The last segment may be empty. plain:
// there is no other way to read it.
func splitPath(escaped string) (segments []string, plain bool) {
	plain = true
	rest, _ := strings.CutPrefix(escaped[1:], "/")
	segments = strings.Split(rest, "/")
	for i, segment := range segments {
		decoded, err := url.PathUnescape(segment)
		if err != nil || strings.Contains(segment, ";") { // parameters, for some readers
			return nil, false
		}
		switch err := event.CheckChannel(decoded); err {
		case nil, event.ErrNameReserved: // whoever makes a channel of it looks again
		case event.ErrNameEmpty:
			if i < len(segments)-1 {
				return nil, false
			}
		default:
			return nil, false
		}
		plain = plain && !strings.ContainsAny(decoded, `/\%?#;`)
		segments[i] = decoded
	}
	return segments, plain
}

// Readings lists how a path might be read: decoded once, twice or thrice,
// with backslashes for slashes, and with dots and empty segments resolved.
func Readings(escaped string) [][]string {
	if len(escaped) > 4096 {
		escaped = escaped[:2048] + escaped[len(escaped)-2048:]
	}
	readings := make([][]string, 0, 8)
	for range 4 {
		for _, reading := range []string{escaped, strings.ReplaceAll(escaped, `\`, "/")} {
			readings = append(readings,
				strings.Split(strings.Trim(reading, "/"), "/"),
				strings.Split(strings.Trim(path.Clean("/"+reading), "/"), "/"))
		}
		escaped = forwardauth.DecodeLoosely(escaped)
	}
	return readings
}

// under returns what follows a prefix in segments.
func under(segments, prefix []string) ([]string, bool) {
	if len(segments) < len(prefix) {
		return nil, false
	}
	for i, p := range prefix {
		if segments[i] != p {
			return nil, false
		}
	}
	return segments[len(prefix):], true
}

// readQuery reads the parameters of a request, each of known at most once.
// Unknown ones are ignored, as both services did.
func readQuery(raw string, known ...string) (map[string]string, error) {
	values, err := url.ParseQuery(raw)
	if err != nil {
		return nil, errLine
	}
	read := make(map[string]string, len(known))
	for _, name := range known {
		switch v := values[name]; len(v) {
		case 0:
		case 1:
			read[name] = v[0]
		default:
			return nil, errLine
		}
	}
	return read, nil
}
