package forwardauth

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// Masked stands for what is not shown.
const Masked = "REDACTED"

// Mask hides what has secrets in it, wherever something is logged or passed on.
// The zero value hides what is a secret everywhere.
type Mask struct {
	query   []string // names of parameters, beside the secret ones
	headers []string // canonical names
}

// secretParameters are masked in every query.
var secretParameters = []string{"access_token", "token", "secret", "api_key", "apikey", "password"}

// AddQuery hides a parameter of the query as well.
func (m *Mask) AddQuery(name string) { m.query = append(m.query, name) }

// AddHeader hides a header as well.
func (m *Mask) AddHeader(name string) {
	m.headers = append(m.headers, http.CanonicalHeaderKey(name))
}

// Mask is what the configuration of auth says of secrets.
func (a *Auth) Mask() Mask {
	var m Mask
	for _, place := range a.config.Credentials {
		if place.In == inQuery {
			m.AddQuery(place.Name)
		} else {
			m.AddHeader(place.Name)
		}
	}
	return m
}

// Query replaces the values of secret parameters, however their names are
// escaped, and leaves everything else as it is. Where a name stands in another place,
// as behind a semicolon or in another address, the whole pair is replaced.
func (m *Mask) Query(raw string) string {
	pairs := strings.Split(raw, "&")
	for i, pair := range pairs {
		if key := parameter(pair); isOne(key, secretParameters) || isOne(key, m.query) {
			name, _, _ := strings.Cut(pair, "=")
			pairs[i] = name + "=" + Masked
		} else if mentions(pair, secretParameters) || mentions(pair, m.query) {
			pairs[i] = Masked
		}
	}
	return strings.Join(pairs, "&")
}

// Path hides a path that has a secret parameter in it: its question mark was escaped.
func (m *Mask) Path(path string) string {
	if mentions(path, secretParameters) || mentions(path, m.query) {
		return "/" + Masked
	}
	return path
}

// Concerns tells whether a request has something in a place of clients' tokens, or
// in one that was added.
func (m *Mask) Concerns(r *http.Request) bool {
	return slices.ContainsFunc(m.headers, func(name string) bool { return len(r.Header[name]) > 0 }) ||
		m.concerns(r.URL.EscapedPath()) || m.concernsQuery(r.URL.RawQuery) ||
		slices.ContainsFunc(r.Header["Referer"], func(referer string) bool {
			page, query, _ := strings.Cut(referer, "?")
			return m.concerns(page) || m.concernsQuery(query)
		})
}

func (m *Mask) concernsQuery(raw string) bool {
	for pair := range strings.SplitSeq(raw, "&") {
		if key := parameter(pair); isOne(key, secretParameters[:1]) || isOne(key, m.query) || m.concerns(pair) {
			return true
		}
	}
	return false
}

func (m *Mask) concerns(text string) bool {
	return mentions(text, secretParameters[:1]) || mentions(text, m.query)
}

// mentions tells whether a text gives one of the parameters a value, as some reader
// may understand it.
func mentions(text string, names []string) bool {
	for range 3 {
		lower := strings.ToLower(text)
		for _, name := range names {
			if gives(lower, strings.ToLower(name)) {
				return true
			}
		}
		decoded := DecodeLoosely(text)
		if decoded == text {
			return false
		}
		text = decoded
	}
	return false
}

// gives tells whether a name stands in a text by itself, with a value behind it.
func gives(text, name string) bool {
	for from := 0; ; {
		at := strings.Index(text[from:], name)
		if at < 0 {
			return false
		}
		at += from
		from = at + len(name)
		if at > 0 && partOfName(text[at-1]) {
			continue
		}
		behind := strings.TrimLeft(text[from:], " +")
		if strings.HasPrefix(behind, "[") {
			_, behind, _ = strings.Cut(behind, "]")
		}
		if strings.HasPrefix(behind, "=") || strings.HasPrefix(behind, ":") {
			return true
		}
	}
}

func partOfName(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || c == '_' || c == '-'
}

// parameter is the name in a pair of a query; empty for what no reader makes one of.
func parameter(pair string) string {
	key, _, _ := strings.Cut(pair, "=")
	name, err := url.QueryUnescape(key)
	if err != nil {
		return ""
	}
	return strings.TrimSpace(name)
}

// isOne tells whether a parameter has one of the names. PHP and Rails read name[] as
// values of name.
func isOne(parameter string, names []string) bool {
	parameter, _, _ = strings.Cut(parameter, "[")
	return slices.ContainsFunc(names, func(name string) bool { return strings.EqualFold(name, parameter) })
}

// Headers are the names of the headers that are hidden.
func (m *Mask) Headers() []string { return m.headers }

// maxShownURI bounds the address that is kept of a stream's request, in bytes:
// a filter of hundreds of flows tells the backend nothing.
const maxShownURI = 1 << 10

// uri is a request's address as the backend may see it: without the secrets in
// its query, and without a query that is very long.
func (m *Mask) uri(u *url.URL) string {
	path := m.Path(u.EscapedPath())
	if u.RawQuery == "" || len(path)+len(u.RawQuery) > maxShownURI {
		return path
	}
	return path + "?" + m.Query(u.RawQuery)
}

// DecodeLoosely decodes what is a percent escape and leaves what is none.
func DecodeLoosely(s string) string {
	if !strings.Contains(s, "%") {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '%' && i+2 < len(s) {
			if c, err := url.PathUnescape(s[i : i+3]); err == nil {
				b.WriteString(c)
				i += 2
				continue
			}
		}
		b.WriteByte(s[i])
	}
	return b.String()
}
