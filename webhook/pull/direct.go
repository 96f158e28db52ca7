package pull

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"
)

// Direct asks servers that are not the backend: those that a configuration names with
// https:// in front. It takes no proxy from the environment.
var Direct Asker = direct{&http.Client{
	Transport: &http.Transport{
		MaxIdleConnsPerHost: 8, IdleConnTimeout: time.Minute, TLSHandshakeTimeout: 10 * time.Second,
		ResponseHeaderTimeout: time.Minute, ForceAttemptHTTP2: true,
	},
	CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
}}

type direct struct{ client *http.Client }

var errTooLarge = errors.New("the answer is too large; raise max_body")

// Ask implements Asker.
func (d direct) Ask(ctx context.Context, r *Request) (*Answer, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, r.Server+r.URI, nil)
	if err != nil {
		return nil, errors.New("no address can be made for this channel")
	}
	req.Header = r.Header.Clone()
	req.Header.Set("Accept", "application/json")
	req.Header.Set("User-Agent", "Sidestream")
	resp, err := d.client.Do(req)
	if err != nil {
		var u *url.Error // its text has the whole address
		if errors.As(err, &u) {
			err = u.Err
		}
		return nil, fmt.Errorf("asking %s: %w", r.Server, err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, int64(r.Limit)+1))
	switch {
	case err != nil:
		return nil, fmt.Errorf("reading the answer of %s: %w", r.Server, err)
	case len(body) > r.Limit:
		return nil, errTooLarge
	}
	return &Answer{Status: resp.StatusCode, Header: resp.Header, Body: body}, nil
}
