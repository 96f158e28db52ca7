package forwardauth

import (
	"context"
	"net/http"
	"net/url"
)

// Get reads a page of the app for a client, with the client's own credential, as the
// questions about it have it. uri makes the path and query with the client's token in
// it, or with what logs may show in its place. limit bounds the answer's body, in bytes.
// Errors hold no secrets.
func (a *Auth) Get(ctx context.Context, c *Client, channel string, uri func(token string) (string, error), limit int) (status int, header http.Header, body []byte, err error) {
	q := &request{auth: a, client: c, channel: channel, method: http.MethodGet, limit: limit}
	if q.uri, err = uri(Masked); err != nil {
		return 0, nil, nil, err
	}
	full, err := uri(c.Credential.token)
	if err != nil {
		return 0, nil, nil, err
	}
	full = withPlace(full, c, a.translates)
	if full != q.uri {
		if q.secret.uri, err = url.ParseRequestURI(full); err != nil {
			return 0, nil, nil, errNoAddress
		}
	}
	q.secret.header, _ = a.secrets(http.MethodGet, channel, c)
	answer, err := a.backend.send(ctx, q)
	if err != nil {
		return 0, nil, nil, err
	}
	return answer.status, answer.header, answer.body, nil
}
