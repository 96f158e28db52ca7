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
// escaped, and leaves everything else as it is.
func (m *Mask) Query(raw string) string {
	pairs := strings.Split(raw, "&")
	for i, pair := range pairs {
		if key := parameter(pair); isOne(key, secretParameters) || isOne(key, m.query) {
			name, _, _ := strings.Cut(pair, "=")
			pairs[i] = name + "=" + Masked
		}
	}
	return strings.Join(pairs, "&")
}

// Concerns tells whether a request has something in a place of clients' tokens, or
// in one that was added.
func (m *Mask) Concerns(r *http.Request) bool {
	if slices.ContainsFunc(m.headers, func(name string) bool { return len(r.Header[name]) > 0 }) {
		return true
	}
	for pair := range strings.SplitSeq(r.URL.RawQuery, "&") {
		if key := parameter(pair); isOne(key, secretParameters[:1]) || isOne(key, m.query) {
			return true
		}
	}
	return false
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
	path := u.EscapedPath()
	if u.RawQuery == "" || len(path)+len(u.RawQuery) > maxShownURI {
		return path
	}
	return path + "?" + m.Query(u.RawQuery)
}
