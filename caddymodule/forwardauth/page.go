package forwardauth

import (
	"context"
	"net/http"
	"net/url"
)

// Page is a page of the app that is read with a credential of our own.
type Page struct {
	// URI is the path and query. Shown is the same with its secrets masked, for logs.
	URI, Shown string
	// Header has secrets: no log may show it.
	Header http.Header
	// Limit bounds the answer's body, in bytes.
	Limit int
}

// Get reads a page. The error says why there is no usable answer; it holds no secrets.
func (b *Backend) Get(ctx context.Context, p Page) (status int, header http.Header, body []byte, err error) {
	q := &request{client: &Client{uri: p.Shown}, method: http.MethodGet, uri: p.Shown, limit: p.Limit}
	q.secret.header = p.Header
	if p.URI != p.Shown {
		if q.secret.uri, err = url.ParseRequestURI(p.URI); err != nil {
			return 0, nil, nil, errNoAddress
		}
	}
	answer, err := b.send(ctx, q)
	if err != nil {
		return 0, nil, nil, err
	}
	return answer.status, answer.header, answer.body, nil
}
