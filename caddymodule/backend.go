package caddymodule

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp/reverseproxy"
)

const (
	// maxAnswer bounds the body of a backend's answer, in bytes; maxList one
	// that lists all channels of a client.
	maxAnswer = 64 << 10
	maxList   = 1 << 20
	// checkHeader marks our own questions. A stream request that has it came
	// back to us from a backend that is this very site.
	checkHeader = "Sidestream-Check"
	// userAgent is ours and not the client's: once-campfire lets old browsers
	// through before it looks at the membership.
	userAgent = "Sidestream"
)

// errAnswer is the error of a backend's answer that cannot be read to its end
// within bounds.
var errAnswer = errors.New("the backend's answer is too large or was cut off")

// backend asks the app, through Caddy's own reverse proxy: its load balancing,
// health checks, TLS and unix sockets. Safe for concurrent use.
type backend struct {
	proxy  *reverseproxy.Handler
	server *caddyhttp.Server
}

// newBackend takes over a provisioned proxy.
func newBackend(proxy *reverseproxy.Handler, server *caddyhttp.Server) *backend {
	proxy.Transport = &secretTransport{transport{proxy.Transport}}
	return &backend{proxy: proxy, server: server}
}

// secrets are what a question adds behind the proxy, where nothing logs any
// more: Caddy's debug log shows every header but two and the whole address.
type secrets struct {
	header http.Header
	uri    *url.URL // path and query, if they hold a secret
	body   string
}

type secretsKey struct{}

// secretTransport adds the secrets to a question on its way out.
type secretTransport struct{ transport }

func (t *secretTransport) RoundTrip(r *http.Request) (*http.Response, error) {
	s, _ := r.Context().Value(secretsKey{}).(*secrets)
	if s == nil { // an active health check
		return t.RoundTripper.RoundTrip(r)
	}
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
	return t.RoundTripper.RoundTrip(r)
}

// transport stands around the one of a proxy, and answers what the proxy asks of
// it beside requests.
type transport struct{ http.RoundTripper }

func (t transport) ProxyProtocolEnabled() bool {
	inner, ok := t.RoundTripper.(reverseproxy.ProxyProtocolTransport)
	return ok && inner.ProxyProtocolEnabled()
}

func (t transport) RequiresContentLength() bool {
	inner, ok := t.RoundTripper.(reverseproxy.ContentLengthRequiredTransport)
	return ok && inner.RequiresContentLength()
}

// reply is a backend's answer, as far as anybody needs it.
type reply struct {
	status int
	header http.Header
	body   []byte
}

// ask sends one question. uri is what logs may show of the address. The error
// says that there is no usable answer; it holds no secrets.
func (b *backend) ask(ctx context.Context, method, uri string, c *client, s *secrets, limit int) (reply, error) {
	ctx, cancel := context.WithCancel(context.WithValue(ctx, secretsKey{}, s))
	defer cancel()
	target, err := url.ParseRequestURI(uri)
	if err != nil {
		return reply{}, errors.New("the backend's address cannot be made for this channel")
	}
	r := (&http.Request{
		Method: method, URL: target, RequestURI: uri, Host: c.host, RemoteAddr: c.remote, TLS: c.tlsState(),
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: http.Header{
			"Accept":             {"application/json"},
			"User-Agent":         {userAgent},
			"X-Forwarded-Method": {http.MethodGet},
			"X-Forwarded-Uri":    {c.uri},
			checkHeader:          {"1"},
		},
	}).WithContext(ctx)
	for name, values := range c.forwarded {
		r.Header[name] = values
	}
	w := &capture{header: http.Header{}, limit: limit, cancel: cancel}
	r = caddyhttp.PrepareRequest(r, caddy.NewReplacer(), w, b.server)
	if err := b.serve(w, r); err != nil {
		return reply{}, err
	}
	if w.overflow || w.status == 0 {
		return reply{}, errAnswer
	}
	return reply{status: w.status, header: w.header, body: w.body.Bytes()}, nil
}

// serve runs the proxy, which panics to abort an answer that breaks off.
func (b *backend) serve(w *capture, r *http.Request) (err error) {
	defer func() {
		if p := recover(); p != nil {
			if p != http.ErrAbortHandler {
				panic(p)
			}
			err = errAnswer
		}
	}()
	err = b.proxy.ServeHTTP(w, r, caddyhttp.HandlerFunc(func(http.ResponseWriter, *http.Request) error { return nil }))
	if err == nil {
		return nil
	}
	var failed caddyhttp.HandlerError
	if errors.As(err, &failed) && failed.StatusCode != 0 {
		return fmt.Errorf("the backend does not answer (%d)", failed.StatusCode)
	}
	return errors.New("the backend does not answer")
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
		return 0, errAnswer
	}
	return c.body.Write(b)
}
