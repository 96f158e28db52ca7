package forwardauth

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp/reverseproxy"

	"github.com/seed-078801ba/sidestream/caddymodule/version"
	"github.com/seed-078801ba/sidestream/stream/access"
)

const (
	// maxAnswer bounds the body of a backend's answer, in bytes; maxList one
	// that lists all channels of a client.
	maxAnswer = 64 << 10
	maxList   = 1 << 20
	// CheckHeader marks our own questions. A stream request that has it came
	// back to us from a backend that is this very site.
	CheckHeader = "Sidestream-Check"
)

var (
	// errCutOff is the error of an answer that broke off.
	errCutOff = errors.New("the backend's answer was cut off")
	// errNoAddress is the error of a channel whose name no path can have.
	errNoAddress = errors.New("no address on the backend can be made for this channel")
	// errUnreachable is the error of a backend that gave no answer at all.
	errUnreachable = errors.New("the backend cannot be reached")
)

// Backend is the app, behind Caddy's own reverse proxy: its load balancing,
// health checks, TLS and unix sockets. Safe for concurrent use.
type Backend struct {
	proxy  *reverseproxy.Handler
	server *caddyhttp.Server
	host   string
}

// NewBackend takes over a provisioned proxy. host is what the backend is asked
// under: it is never the client's, which could choose another virtual host, or
// another tenant, with it.
func NewBackend(proxy *reverseproxy.Handler, server *caddyhttp.Server, host string) *Backend {
	proxy.Transport = &transport{proxy.Transport}
	return &Backend{proxy: proxy, server: server, host: host}
}

// reply is a backend's answer, as far as anybody needs it.
type reply struct {
	status int
	header http.Header
	body   []byte
}

// send sends a request. The error says why there is no usable answer; it holds
// no secrets.
func (b *Backend) send(ctx context.Context, q *request) (*reply, error) {
	started := time.Now()
	ctx, cancel := context.WithCancel(context.WithValue(ctx, requestKey{}, q))
	defer cancel()
	r, err := q.shown(b.host)
	if err != nil {
		return nil, err
	}
	w := &capture{header: http.Header{}, limit: q.limit, cancel: cancel}
	err = b.serve(w, caddyhttp.PrepareRequest(r.WithContext(ctx), caddy.NewReplacer(), w, b.server))
	switch {
	case w.overflow:
		return nil, fmt.Errorf("the backend's answer is larger than %d KiB", q.limit>>10)
	case errors.Is(ctx.Err(), context.DeadlineExceeded):
		return nil, fmt.Errorf("the backend did not answer within %s", time.Since(started).Round(100*time.Millisecond))
	case errors.Is(context.Cause(ctx), access.ErrGivenUp):
		return nil, fmt.Errorf("the question was given up: %w", access.ErrGivenUp)
	case err != nil && q.failure != nil:
		return nil, fmt.Errorf("%w: %w", errUnreachable, q.failure)
	case err != nil:
		return nil, err
	case w.status == 0:
		return nil, errCutOff
	}
	return &reply{status: w.status, header: w.header, body: w.body.Bytes()}, nil
}

// serve runs the proxy, which panics to abort an answer that breaks off.
func (b *Backend) serve(w *capture, r *http.Request) (err error) {
	defer func() {
		if p := recover(); p != nil {
			if p != http.ErrAbortHandler {
				panic(p)
			}
			err = errCutOff
		}
	}()
	err = b.proxy.ServeHTTP(w, r, caddyhttp.HandlerFunc(func(http.ResponseWriter, *http.Request) error { return nil }))
	var failed caddyhttp.HandlerError
	if errors.As(err, &failed) && failed.StatusCode != 0 {
		return fmt.Errorf("%w (%d)", errUnreachable, failed.StatusCode)
	}
	if err != nil {
		return errUnreachable
	}
	return nil
}

// shown is the request without its secrets, for the proxy.
func (q *request) shown(host string) (*http.Request, error) {
	target, err := url.ParseRequestURI(q.uri)
	if err != nil {
		return nil, errNoAddress
	}
	c := q.client
	r := &http.Request{
		Method: q.method, URL: target, RequestURI: q.uri, Host: host, RemoteAddr: c.remote, TLS: c.tlsState(),
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: http.Header{
			"Accept": {"application/json"},
			// Ours and not the client's: once-campfire lets old browsers through before it
			// looks at the membership.
			"User-Agent":         {version.UserAgent()},
			"X-Forwarded-Method": {http.MethodGet},
			"X-Forwarded-Uri":    {c.uri},
			CheckHeader:          {"1"},
		},
	}
	if q.forward { // not about another request: it is the client's own
		delete(r.Header, "X-Forwarded-Method")
		delete(r.Header, "X-Forwarded-Uri")
	}
	if q.delivery {
		r.RemoteAddr = "127.0.0.1:0"
		for _, name := range []string{"X-Forwarded-Method", "X-Forwarded-Uri", CheckHeader} {
			r.Header.Del(name)
		}
	}
	for name, values := range c.forwarded {
		r.Header[name] = values
	}
	return r, nil
}

type requestKey struct{}

// transport stands between a proxy and its own transport. It adds the secrets
// to a question on its way out.
type transport struct{ http.RoundTripper }

func (t *transport) RoundTrip(r *http.Request) (*http.Response, error) {
	q, _ := r.Context().Value(requestKey{}).(*request)
	if q == nil { // an active health check
		return t.RoundTripper.RoundTrip(r)
	}
	q.sent = r
	resp, err := t.RoundTripper.RoundTrip(q.secret.added(r))
	q.failure = err
	return resp, err
}

// added is a copy of the request with the secrets.
func (s *secrets) added(r *http.Request) *http.Request {
	r = r.Clone(r.Context())
	for name, values := range s.header {
		if strings.EqualFold(name, "Host") {
			r.Host = values[0]
			continue
		}
		r.Header[name] = values
	}
	if s.uri != nil {
		r.URL.Path, r.URL.RawPath, r.URL.RawQuery = s.uri.Path, s.uri.RawPath, s.uri.RawQuery
	}
	if s.body != "" {
		r.Body, r.ContentLength = io.NopCloser(strings.NewReader(s.body)), int64(len(s.body))
		r.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader(s.body)), nil }
	}
	return r
}

// ProxyProtocolEnabled answers for the transport within, as the proxy asks.
func (t *transport) ProxyProtocolEnabled() bool {
	inner, ok := t.RoundTripper.(reverseproxy.ProxyProtocolTransport)
	return ok && inner.ProxyProtocolEnabled()
}

// RequiresContentLength answers for the transport within, as the proxy asks.
func (t *transport) RequiresContentLength() bool {
	inner, ok := t.RoundTripper.(reverseproxy.ContentLengthRequiredTransport)
	return ok && inner.RequiresContentLength()
}

// capture keeps an answer in memory, up to a limit.
type capture struct {
	limit    int
	header   http.Header
	status   int
	body     bytes.Buffer
	overflow bool
	cancel   context.CancelFunc
}

func (c *capture) Header() http.Header { return c.header }

func (c *capture) WriteHeader(status int) {
	if c.status == 0 && status >= 200 {
		c.status = status
	}
}

func (c *capture) Write(b []byte) (int, error) {
	c.WriteHeader(http.StatusOK)
	if c.body.Len()+len(b) > c.limit {
		c.overflow = true
		c.cancel() // do not read the rest
		return 0, errCutOff
	}
	return c.body.Write(b)
}
