package forwardauth

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"time"

	"github.com/seed-078801ba/sidestream/webhook/decode"
)

// Forward hands on what a client says to the app, as a request of the client's own:
// the app's answer decides what becomes of it.
type Forward struct{ uri *decode.Template }

// forwardTime bounds how long the app has for such a request.
const forwardTime = 10 * time.Second

// NewForward reads the path and query of such requests, as those of questions.
func NewForward(text string) (*Forward, error) {
	uri, err := readURI(new(vocabulary).questions(), text)
	if err != nil {
		return nil, err
	}
	return &Forward{uri}, nil
}

// ErrNotForwarded is the error of what never reached the app.
var ErrNotForwarded = errors.New("the app did not get it, or has not answered")

// Forward posts a body to the app, with what the client presents and in the way in
// which questions are put, and returns the status of the answer.
func (a *Auth) Forward(ctx context.Context, f *Forward, channel string, c *Client, contentType, body string) (status int, err error) {
	known := &values{channel: channel, client: c}
	if a.backend == nil || !f.uri.Has(known, channelNames...) {
		return 0, ErrNotForwarded
	}
	ctx, cancel := context.WithTimeout(ctx, forwardTime)
	defer cancel()
	r := &request{auth: a, client: c, channel: channel, method: http.MethodPost, limit: maxAnswer, forward: true}
	r.uri = a.address(f.uri, channel, c.hidden())
	if full := a.address(f.uri, channel, c); full != r.uri {
		if r.secret.uri, err = url.ParseRequestURI(full); err != nil {
			return 0, ErrNotForwarded
		}
	}
	r.secret.header, _ = a.secrets(http.MethodGet, channel, c)
	r.secret.header.Set("Content-Type", contentType)
	r.secret.body = body
	answer, err := a.backend.send(ctx, r)
	if err != nil {
		if !errors.Is(err, context.Canceled) {
			a.reports.failed(err)
		}
		return 0, ErrNotForwarded
	}
	return answer.status, nil
}
