package caddymodule

import (
	"crypto/tls"
	"net/http"
	"net/url"
	"strings"

	"github.com/seed-078801ba/sidestream/stream/event"
)

// question is what the backend is asked: may this client listen to this
// channel? It needs no live request, so that it can be asked again while the
// stream runs.
type question struct {
	client *client
	// channel is what is asked about; empty when only the client's identity
	// is asked for.
	channel string
	// list asks for all channels at once.
	list bool
}

// client is who asks, and whence: all that the backend is told of a stream's
// request.
type client struct {
	credential credential
	host       string
	remote     string // address as net/http has it
	tls        bool
	uri        string // of the stream, secrets masked
	// forwarded are the X-Forwarded-* headers that came in; the proxy keeps
	// them only if they come from a trusted proxy.
	forwarded http.Header
}

// readClient takes from a request what the backend may learn.
func readClient(r *http.Request, c credential) *client {
	cl := &client{
		credential: c, host: r.Host, remote: r.RemoteAddr, tls: r.TLS != nil,
		uri: shownURI(r.URL),
	}
	for _, name := range []string{"X-Forwarded-For", "X-Forwarded-Proto", "X-Forwarded-Host"} {
		if values := r.Header[name]; len(values) > 0 {
			if cl.forwarded == nil {
				cl.forwarded = make(http.Header, 3)
			}
			cl.forwarded[name] = values
		}
	}
	return cl
}

// tlsState is what makes the proxy say X-Forwarded-Proto: https.
func (c *client) tlsState() *tls.ConnectionState {
	if !c.tls {
		return nil
	}
	return &tls.ConnectionState{HandshakeComplete: true}
}

// variable is the value of a template's variable.
func (q *question) variable(name string) string {
	switch name {
	case "channel":
		return q.channel
	case "token", "username":
		return q.client.credential.token
	case "password":
		return q.client.credential.password
	}
	org, flow, _ := strings.Cut(q.channel, "/")
	if name == "org" {
		return org
	}
	return flow
}

// isUserID tells whether a backend's name for a user can name that user's
// private channel.
func isUserID(text string) bool {
	return isName(text) && len(event.UserChannel(text)) <= maxName
}

// secretParameters are masked wherever an address is passed on or logged.
var secretParameters = []string{"access_token", "token", "secret", "api_key", "apikey", "password"}

// masked stands for what is not shown.
const masked = "REDACTED"

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
	return path + "?" + maskedQuery(u.RawQuery)
}

// maskedQuery replaces the values of secret parameters, however their names
// are escaped, and leaves everything else as it is.
func maskedQuery(raw string) string {
	pairs := strings.Split(raw, "&")
	for i, pair := range pairs {
		key, _, _ := strings.Cut(pair, "=")
		name, err := url.QueryUnescape(key)
		if err != nil {
			name = decodeLoosely(key)
		}
		for _, secret := range secretParameters {
			if strings.EqualFold(strings.TrimSpace(name), secret) {
				pairs[i] = key + "=" + masked
			}
		}
	}
	return strings.Join(pairs, "&")
}
