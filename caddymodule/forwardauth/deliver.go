package forwardauth

import (
	"context"
	"net/http"
)

// Deliver posts something of our own to the app, in nobody's name, and gives the
// status of the answer. The error says why there was none; it holds no secrets.
func (b *Backend) Deliver(ctx context.Context, uri string, header http.Header, body []byte) (status int, err error) {
	header.Set("Content-Type", "application/json")
	answer, err := b.send(ctx, &request{
		client: &Client{uri: uri}, method: http.MethodPost, uri: uri, limit: maxAnswer, delivery: true,
		secret: secrets{header: header, body: string(body)},
	})
	if err != nil {
		return 0, err
	}
	return answer.status, nil
}
