package forwardauth

import (
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/seed-078801ba/sidestream/webhook/decode"
)

// request puts one question to the backend. What logs may see of it stands
// apart from what is secret and is added on the very last step.
type request struct {
	auth    *Auth
	client  *Client
	channel string // empty: the question is who the client is
	list    bool   // the question is for all channels
	forward bool   // it is no question, but what the client says
	// delivery: it is no question.
	delivery bool

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
// the client is. missing is a placeholder that it needs and that has no value
// for this client.
func (a *Auth) request(channel string, list bool, c *Client) (r *request, missing string) {
	r = &request{auth: a, client: c, channel: channel, list: list, method: a.config.Method, limit: maxAnswer}
	uri := a.uri
	switch {
	case list:
		r.limit = maxList
	case channel == "":
		uri, r.method = a.identity, http.MethodGet
	}
	if missing = a.missing(r, uri); missing != "" {
		return nil, missing
	}
	r.uri = a.address(uri, channel, c.hidden())
	if full := a.address(uri, channel, c); full != r.uri {
		if parsed, err := url.ParseRequestURI(full); err == nil {
			r.secret.uri = parsed
		}
	}
	r.secret.header, r.secret.body = a.secrets(r.method, channel, c)
	return r, ""
}

// names tells whether the question about a channel names it. Where the channel has no
// {org} and {flow}, or a filter leaves nothing of it, a part of the question would be
// empty, and the question about another page of the app, such as its list of rooms.
func (a *Auth) names(channel string, c *Client) bool {
	known := &values{channel: channel, client: c}
	has := func(t *decode.Template) bool { return t.Has(known, channelNames...) }
	told := func(t *decode.Template) bool { return t.Tells("channel") && has(t) }
	questions := a.questions()
	return has(a.uri) && (slices.ContainsFunc(questions, told) ||
		!slices.ContainsFunc(questions, func(t *decode.Template) bool { return !has(t) }))
}

// missing names a placeholder of Caddy that has no value, if what is sent cannot
// do without it.
func (a *Auth) missing(r *request, uri *decode.Template) string {
	known := &values{channel: r.channel, client: r.client}
	texts := []*decode.Template{uri}
	for _, h := range a.headers {
		texts = append(texts, h.value)
	}
	if r.method == http.MethodPost {
		for _, f := range a.form {
			texts = append(texts, f.value)
		}
	}
	for _, name := range a.placeholders {
		if r.client.Credential.filled.value(name) != "" {
			continue
		}
		for _, t := range texts {
			if _, ok, _ := t.Text(known); !ok && t.Uses(name) {
				return name
			}
		}
	}
	return ""
}

// address makes the path and query of a request for a client.
func (a *Auth) address(uri *decode.Template, channel string, c *Client) string {
	text, _ := uri.FillURI(&values{channel: channel, client: c}) // has no error: it reads no JSON
	return withPlace(text, c, a.translates)
}

// withPlace adds the client's token to an address, if the client has it in a parameter
// of the query.
func withPlace(text string, c *Client, translates bool) string {
	place := c.Credential.place
	if translates || place.In != inQuery {
		return text
	}
	separator := "?"
	if strings.Contains(text, "?") {
		separator = "&"
	}
	return text + separator + url.QueryEscape(place.Name) + "=" + url.QueryEscape(c.Credential.token)
}

// secrets makes the header and the form of a request for a client.
func (a *Auth) secrets(method, channel string, c *Client) (header http.Header, form string) {
	header = http.Header{}
	switch own := &c.Credential; {
	case a.translates:
	case own.authorization != "":
		header.Set("Authorization", own.authorization)
	case own.place.In == inHeader:
		header.Set(own.place.Name, own.token)
	}
	if c.Credential.cookie != "" {
		header.Set("Cookie", c.Credential.cookie)
	}
	known := &values{channel: channel, client: c}
	for _, h := range a.headers {
		if c.Credential.token != "" || !h.value.Uses(secretNames...) {
			text, _ := h.value.Fill(known) // has no error, see above
			header[h.name] = []string{text}
		}
	}
	if method == http.MethodPost {
		fields := make([]string, len(a.form))
		for i, f := range a.form {
			text, _ := f.value.Fill(known)
			fields[i] = url.QueryEscape(f.name) + "=" + url.QueryEscape(text)
		}
		form = strings.Join(fields, "&")
		header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	return header, form
}
