package caddymodule

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/seed-078801ba/sidestream/stream/bus"
	"github.com/seed-078801ba/sidestream/stream/presence"
	"github.com/seed-078801ba/sidestream/webhook"
	"github.com/seed-078801ba/sidestream/webhook/decode"
	"github.com/seed-078801ba/sidestream/webhook/tap"
)

// Explainer tells what a configuration would do with a request, and why. It puts
// the request through the routes of the configuration, in the code of Caddy and
// of the handler, so that it cannot say something else than the server does. It
// provisions only what that needs: no listener, no hub, no history. It is for one
// request at a time. Close it.
type Explainer struct {
	http   httpConfig
	ctx    caddy.Context
	cancel context.CancelFunc

	// takes is what a sidestream handler does with a request that comes to it;
	// false if it hands it on.
	takes func(*Sidestream, http.ResponseWriter, *http.Request) bool
}

// httpConfig is what an Explainer reads of the configuration of the http app.
type httpConfig struct {
	HTTPPort  int                     `json:"http_port"`
	HTTPSPort int                     `json:"https_port"`
	Servers   map[string]serverConfig `json:"servers"`
}

// ErrNotOurs is the error of a request that does not come to a sidestream
// handler, or that the handler passes on.
var ErrNotOurs = errors.New("it is not for Sidestream")

// explaining is the key under which a configuration's context has the Explainer
// that it is loaded for.
type explaining struct{}

// NewExplainer reads a configuration in Caddy's JSON.
func NewExplainer(config []byte) (*Explainer, error) {
	var whole struct {
		Apps struct {
			HTTP httpConfig `json:"http"`
		} `json:"apps"`
	}
	if err := json.Unmarshal(config, &whole); err != nil {
		return nil, fmt.Errorf("reading the configuration: %w", err)
	}
	x := &Explainer{http: whole.Apps.HTTP}
	if x.http.HTTPPort == 0 {
		x.http.HTTPPort = caddyhttp.DefaultHTTPPort
	}
	if x.http.HTTPSPort == 0 {
		x.http.HTTPSPort = caddyhttp.DefaultHTTPSPort
	}
	// What modules would log is told as a part of the explanation.
	root, err := caddy.ProvisionContext(&caddy.Config{Logging: &caddy.Logging{
		Logs: map[string]*caddy.CustomLog{caddy.DefaultLoggerName: {BaseLog: caddy.BaseLog{Level: "FATAL"}}},
	}})
	if err != nil {
		return nil, fmt.Errorf("preparing modules: %w", err)
	}
	root.Context = context.WithValue(root.Context, explaining{}, x)
	x.ctx, x.cancel = caddy.NewContext(root)
	return x, nil
}

// Close lets go of what was provisioned.
func (x *Explainer) Close() { x.cancel() }

// Sites lists where the configuration has sidestream handlers, as beginnings of
// URLs.
func (x *Explainer) Sites() []string {
	found := map[string]bool{}
	for _, server := range x.http.Servers {
		hosts, ok := sitesOf(server.Routes, nil)
		if !ok {
			continue
		}
		for _, listen := range server.Listen {
			address, err := caddy.ParseNetworkAddress(listen)
			if err != nil || address.IsUnixNetwork() {
				continue
			}
			scheme, port := "http", int(address.StartPort)
			if port == x.http.HTTPSPort {
				scheme = "https"
			}
			for _, host := range hosts {
				if host == "" {
					host = "localhost"
				}
				if port != map[string]int{"http": 80, "https": 443}[scheme] {
					host += ":" + strconv.Itoa(port)
				}
				found[scheme+"://"+host] = true
			}
		}
	}
	return slices.Sorted(maps.Keys(found))
}

// explainTime bounds how long an explanation takes: somebody who is asked may
// never end.
const explainTime = time.Minute

// find puts a request through the servers that may get it, until a sidestream
// handler takes it. What the client would get is in the answer.
func (x *Explainer) find(r *http.Request) (*route, *writer, error) {
	port := x.portOf(r)
	var names, here []string
	for _, name := range slices.Sorted(maps.Keys(x.http.Servers)) {
		names = append(names, name)
		for _, listen := range x.http.Servers[name].Listen {
			if a, err := caddy.ParseNetworkAddress(listen); err == nil && uint(port) >= a.StartPort && uint(port) <= a.EndPort {
				here = append(here, name)
				break
			}
		}
	}
	if here != nil { // else something in front of Caddy has the port
		names = here
	}
	var gone string
	for _, name := range names {
		server, err := x.http.Servers[name].provision(x.ctx, r.Method)
		if err != nil {
			return nil, nil, err
		}
		ctx, cancel := context.WithTimeout(r.Context(), explainTime)
		defer cancel()
		w := &writer{header: http.Header{}}
		way := server.serve(w, r.WithContext(ctx))
		if way.taken {
			return way, w, nil
		}
		if gone == "" {
			gone = way.end(w)
		}
	}
	if gone == "" {
		gone = "it is at none of the addresses of its endpoints; there is Sidestream at " + strings.Join(x.Sites(), ", ")
	}
	return nil, nil, fmt.Errorf("%w: %s", ErrNotOurs, gone)
}

func (x *Explainer) portOf(r *http.Request) int {
	if _, port, ok := strings.Cut(r.Host, ":"); ok {
		if n, err := strconv.Atoi(port); err == nil {
			return n
		}
	}
	if r.TLS != nil {
		return x.http.HTTPSPort
	}
	return x.http.HTTPPort
}

// provisionForExplaining sets up what decides on requests, and nothing that
// runs.
func (s *Sidestream) provisionForExplaining(ctx caddy.Context, x *Explainer) error {
	s.explainer = x
	s.logger = ctx.Slogger()
	if s.Hub == "" {
		s.Hub = defaultHub
	}
	if s.Realm == "" {
		s.Realm = "Sidestream"
	}
	if s.Limits == nil {
		s.Limits = new(Limits)
	}
	if s.Lag == nil {
		s.Lag = new(Lag)
	}
	repl := caddy.NewReplacer()
	for _, provision := range []func() error{
		s.Limits.provision,
		func() error { return s.provisionAuth(ctx, repl) },
		func() error { return s.provisionEndpoints(repl) },
		func() error { return s.provisionPresence(ctx, repl) },
		func() error { return s.provisionWebhooks(repl) },
		s.provisionPositions,
		s.provisionTaps,
	} {
		if err := provision(); err != nil {
			return err
		}
	}
	names, _ := s.Endpoints.channelNames()
	s.names = &names
	s.server.Roster = presence.New(bus.NewMemory(), presence.Config{}) // nobody is there
	return nil
}

// Webhook explains what becomes of a request to a webhook. The body is read
// whole.
func (x *Explainer) Webhook(r *http.Request) (path string, e webhook.Explanation, err error) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return "", e, fmt.Errorf("reading the payload: %w", err)
	}
	x.takes = func(s *Sidestream, _ http.ResponseWriter, r *http.Request) bool {
		for _, h := range s.Webhooks {
			vars, ok := h.match(r.URL.EscapedPath())
			if ok {
				path = h.shownPath()
				e = h.hook.Explain(decode.Input{Body: body, Header: r.Header, Query: r.URL.RawQuery, Path: vars})
				return true
			}
		}
		return false
	}
	_, _, err = x.find(r)
	return path, e, err
}

// Tap explains what becomes of the app's answer to a request: which rule of a tap is
// for it, and what it brings. The user is whose credential the client has.
func (x *Explainer) Tap(r *http.Request, status int, header http.Header, body []byte, user string) (e tap.Explanation, err error) {
	x.takes = func(s *Sidestream, _ http.ResponseWriter, r *http.Request) bool {
		if s.taps == nil {
			return false
		}
		route := s.taps.Find(r)
		if route == nil {
			return false
		}
		e = route.Explain(r, status, header, body, user)
		return true
	}
	_, _, err = x.find(r)
	return e, err
}

// Sign makes a request to a webhook one that the webhook takes, as the app would: it
// has the signature or the secret that the configuration says. The request is to be sent
// to the address that is returned.
func (x *Explainer) Sign(r *http.Request) (to *url.URL, body []byte, shown string, err error) {
	if body, err = io.ReadAll(r.Body); err != nil {
		return nil, nil, "", fmt.Errorf("reading the payload: %w", err)
	}
	var wrong error
	header := r.Header
	x.takes = func(s *Sidestream, _ http.ResponseWriter, r *http.Request) bool {
		for _, h := range s.Webhooks {
			vars, ok := h.match(r.URL.EscapedPath())
			if !ok {
				continue
			}
			d := webhook.Delivered{Header: header, Query: r.URL.Query(), Path: map[string]string{}, Body: body}
			maps.Copy(d.Path, vars)
			if wrong = h.hook.Sign(&d); wrong != nil {
				return true
			}
			body, shown = d.Body, h.shownPath()
			to = &url.URL{RawQuery: d.Query.Encode()}
			for _, segment := range h.route {
				part := segment.literal
				if segment.name != "" {
					part = url.PathEscape(d.Path[segment.name])
				}
				to.RawPath += "/" + part
			}
			to.Path, wrong = url.PathUnescape(to.RawPath)
			return true
		}
		return false
	}
	if _, _, err = x.find(r); err == nil {
		err = wrong
	}
	return to, body, shown, err
}

// maxExplained bounds what is kept of an answer, in bytes.
const maxExplained = 1 << 20

// writer keeps what a client would get.
type writer struct {
	header http.Header
	status int
	body   bytes.Buffer
}

func (w *writer) Header() http.Header { return w.header }

func (w *writer) WriteHeader(status int) {
	if w.status == 0 && status >= 200 {
		w.status = status
	}
}

func (w *writer) Write(b []byte) (int, error) {
	w.WriteHeader(http.StatusOK)
	if w.body.Len() > maxExplained {
		return 0, io.ErrShortWrite // enough was seen
	}
	return w.body.Write(b)
}
