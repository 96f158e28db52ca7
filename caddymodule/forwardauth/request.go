package forwardauth

import (
	"net/http"
	"net/url"
	"strings"
)

// request puts one question to the backend. What logs may see of it stands
// apart from what is secret and is added on the very last step.
type request struct {
	auth    *Auth
	client  *Client
	channel string // empty: the question is who the client is
	list    bool   // the question is for all channels

	method string
	uri    string // path and query, secrets masked
	limit  int    // of the answer's body, in bytes
	secret secrets

	// sent is the request as the proxy made it, before the secrets were added;
	// nil if it got nowhere.
	sent *http.Request
	// failure is why the last try brought no answer.
	failure error
}

// secrets are what a question adds behind the proxy, where nothing logs any
// more: Caddy's debug log shows every header but two and the whole address.
type secrets struct {
	header http.Header
	uri    *url.URL // path and query, if they hold a secret
	body   string
}

// request makes the request about a channel, about all channels, or about who
// the client is.
func (a *Auth) request(channel string, list bool, c *Client) *request {
	r := &request{auth: a, client: c, channel: channel, list: list, method: a.config.Method, limit: maxAnswer}
	uri := a.uri
	switch {
	case list:
		r.limit = maxList
	case channel == "":
		uri, r.method = a.identity, http.MethodGet
	}
	hidden := c.Credential.hidden()
	r.uri = a.address(uri, channel, &hidden)
	if full := a.address(uri, channel, &c.Credential); full != r.uri {
		if parsed, err := url.ParseRequestURI(full); err == nil {
			r.secret.uri = parsed
		}
	}
	r.secret.header, r.secret.body = a.secrets(r.method, channel, &c.Credential)
	return r
}

// address makes the path and query of a request for a credential.
func (a *Auth) address(uri *template, channel string, c *Credential) string {
	text := uri.expand(variables{channel, c}, escapeURI)
	if a.translates || c.place.In != inQuery {
		return text
	}
	separator := "?"
	if strings.Contains(text, "?") {
		separator = "&"
	}
	return text + separator + url.QueryEscape(c.place.Name) + "=" + url.QueryEscape(c.token)
}

// secrets makes the header and the form of a request for a credential.
func (a *Auth) secrets(method, channel string, c *Credential) (header http.Header, form string) {
	header = http.Header{}
	switch {
	case a.translates:
	case c.authorization != "":
		header.Set("Authorization", c.authorization)
	case c.place.In == inHeader:
		header.Set(c.place.Name, c.token)
	}
	if c.cookie != "" {
		header.Set("Cookie", c.cookie)
	}
	known := variables{channel, c}
	for _, h := range a.headers {
		if c.token != "" || !h.value.uses(secretVariables...) {
			header[h.name] = []string{h.value.expand(known, nil)}
		}
	}
	if method == http.MethodPost {
		fields := make([]string, len(a.form))
		for i, f := range a.form {
			fields[i] = url.QueryEscape(f.name) + "=" + url.QueryEscape(f.value.expand(known, nil))
		}
		form = strings.Join(fields, "&")
		header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	return header, form
}
