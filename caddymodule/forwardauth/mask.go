package forwardauth

import (
	"net/url"
	"strings"
)

// secretParameters are masked wherever an address is passed on or logged.
var secretParameters = []string{"access_token", "token", "secret", "api_key", "apikey", "password"}

// Masked stands for what is not shown.
const Masked = "REDACTED"

// maxShownURI bounds the address that is kept of a stream's request, in bytes:
// a filter of hundreds of flows tells the backend nothing.
const maxShownURI = 1 << 10

// shownURI is a request's address as the backend may see it: without the
// secrets in its query, and without a query that is very long.
func shownURI(u *url.URL) string {
	path := u.EscapedPath()
	if u.RawQuery == "" || len(path)+len(u.RawQuery) > maxShownURI {
		return path
	}
	return path + "?" + MaskedQuery(u.RawQuery)
}

// MaskedQuery replaces the values of secret parameters, however their names
// are escaped, and leaves everything else as it is.
func MaskedQuery(raw string) string {
	pairs := strings.Split(raw, "&")
	for i, pair := range pairs {
		key, _, _ := strings.Cut(pair, "=")
		name, err := url.QueryUnescape(key)
		if err != nil {
			continue // no reader makes one of the names of it
		}
		for _, secret := range secretParameters {
			if strings.EqualFold(strings.TrimSpace(name), secret) {
				pairs[i] = key + "=" + Masked
			}
		}
	}
	return strings.Join(pairs, "&")
}
