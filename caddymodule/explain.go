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
	"slices"
	"strconv"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp/rewrite"

	"github.com/seed-078801ba/sidestream/webhook"
	"github.com/seed-078801ba/sidestream/webhook/decode"
)

// Explainer tells what a configuration would do with a request, and why. It
// provisions only what that needs: no listener, no hub, no history. Close it.
type Explainer struct {
	http   httpConfig
	ctx    caddy.Context
	cancel context.CancelFunc
}

// httpConfig is what an Explainer reads of the configuration of the http app.
type httpConfig struct {
	HTTPPort  int `json:"http_port"`
	HTTPSPort int `json:"https_port"`
	Servers   map[string]struct {
		Listen []string            `json:"listen"`
		Routes caddyhttp.RouteList `json:"routes"`
	} `json:"servers"`
}

// ErrNotOurs is the error of a request that does not come to a sidestream
// handler, or that the handler passes on.
var ErrNotOurs = errors.New("it is not for Sidestream")

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
	x.ctx, x.cancel = caddy.NewContext(root)
	for _, server := range x.http.Servers {
		if err := server.Routes.ProvisionMatchers(x.ctx); err != nil {
			x.cancel()
			return nil, fmt.Errorf("loading matchers: %w", err)
		}
	}
	return x, nil
}

// Close lets go of what was provisioned.
func (x *Explainer) Close() { x.cancel() }

// Sites lists where the configuration has sidestream handlers, as beginnings of
// URLs.
func (x *Explainer) Sites() []string {
	found := map[string]bool{}
	for _, server := range x.http.Servers {
		var hosts []string
		if !sitesOf(server.Routes, nil, &hosts) {
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

// sitesOf appends the hosts of routes that lead to a sidestream handler.
func sitesOf(routes caddyhttp.RouteList, outer []string, hosts *[]string) (any bool) {
	for _, route := range routes {
		names := outer
		for _, set := range route.MatcherSets {
			for _, m := range set {
				if host, ok := m.(*caddyhttp.MatchHost); ok {
					names = *host
				}
			}
		}
		for _, raw := range route.HandlersRaw {
			switch name, inner := handlerOf(raw); name {
			case "sidestream":
				any = true
				if len(names) == 0 {
					names = []string{""}
				}
				*hosts = append(*hosts, names...)
			case "subroute":
				any = sitesOf(inner, names, hosts) || any
			}
		}
	}
	return any
}

// handlerOf is the name of a handler, and its routes if it is a subroute.
func handlerOf(raw json.RawMessage) (string, caddyhttp.RouteList) {
	var h struct {
		Handler string              `json:"handler"`
		Routes  caddyhttp.RouteList `json:"routes"`
	}
	if json.Unmarshal(raw, &h) != nil {
		return "", nil // no configuration has such a handler: it was adapted or is refused by Caddy
	}
	return h.Handler, h.Routes
}

// answering are the handlers of Caddy that answer by themselves: what stands
// behind them is not reached.
var answering = []string{"reverse_proxy", "static_response", "file_server", "error", "metrics", "acme_server"}

// find follows a request to the first sidestream handler that takes it, as the
// routes lead. takes is asked with the request as the handler gets it.
func (x *Explainer) find(r *http.Request, takes func(*Sidestream, *http.Request) bool) error {
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
	w := walk{x: x, takes: takes}
	for _, name := range names {
		repl := caddy.NewReplacer()
		prepared := caddyhttp.PrepareRequest(r, repl, &writer{header: http.Header{}}, new(caddyhttp.Server))
		if done, err := w.routes(x.http.Servers[name].Routes, prepared, repl); done || err != nil {
			return err
		}
	}
	if w.answered != "" {
		return fmt.Errorf("%w: it goes to %s", ErrNotOurs, w.answered)
	}
	return fmt.Errorf("%w: it is at none of the addresses of its endpoints; there is Sidestream at %s", ErrNotOurs, strings.Join(x.Sites(), ", "))
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

// walk is one request's way through the routes.
type walk struct {
	x        *Explainer
	takes    func(*Sidestream, *http.Request) bool
	hosts    []string // of the site that the routes stand in
	answered string   // the handler that answered before any of ours
}

// routes follows the routes that match; done: one of ours took the request, or
// nobody behind can get it.
func (w *walk) routes(routes caddyhttp.RouteList, r *http.Request, repl *caddy.Replacer) (done bool, err error) {
	groups := map[string]bool{}
	for _, route := range routes {
		matches, err := route.MatcherSets.AnyMatchWithError(r)
		if err != nil {
			return false, fmt.Errorf("matching the request: %w", err)
		}
		if !matches || groups[route.Group] {
			continue
		}
		if route.Group != "" {
			groups[route.Group] = true
		}
		outer := w.hosts
		if own := matchedHosts(route); len(own) > 0 {
			w.hosts = own
		}
		for _, raw := range route.HandlersRaw {
			if done, err := w.handler(raw, r, repl); done || err != nil {
				return done, err
			}
		}
		w.hosts = outer
		if w.answered != "" || route.Terminal {
			return false, nil
		}
	}
	return false, nil
}

func (w *walk) handler(raw json.RawMessage, r *http.Request, repl *caddy.Replacer) (done bool, err error) {
	name, inner := handlerOf(raw)
	switch {
	case w.answered != "":
		return false, nil
	case name == "subroute":
		if err := inner.ProvisionMatchers(w.x.ctx); err != nil {
			return false, fmt.Errorf("loading matchers: %w", err)
		}
		return w.routes(inner, r, repl)
	case name == "rewrite":
		module, err := w.x.ctx.LoadModuleByID("http.handlers.rewrite", withoutHandler(raw))
		if err != nil {
			return false, fmt.Errorf("loading rewrite: %w", err)
		}
		if rewriter, ok := module.(*rewrite.Rewrite); ok {
			rewriter.Rewrite(r, repl)
		}
		return false, nil
	case name == "sidestream":
		s := new(Sidestream)
		if err := json.Unmarshal(withoutHandler(raw), s); err != nil {
			return false, fmt.Errorf("reading the sidestream handler: %w", err)
		}
		s.siteHosts = append([]string{}, w.hosts...)
		if err := s.provisionForExplaining(w.x.ctx); err != nil {
			return false, err
		}
		return w.takes(s, r), nil
	case slices.Contains(answering, name):
		w.answered = name
	}
	return false, nil
}

// withoutHandler is a handler's configuration without its name.
func withoutHandler(raw json.RawMessage) json.RawMessage {
	var fields map[string]json.RawMessage
	if json.Unmarshal(raw, &fields) != nil {
		return raw
	}
	delete(fields, "handler")
	rest, err := json.Marshal(fields)
	if err != nil {
		return raw
	}
	return rest
}

// provisionForExplaining sets up what decides on requests, and nothing that
// runs.
func (s *Sidestream) provisionForExplaining(ctx caddy.Context) error {
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
	repl := caddy.NewReplacer()
	for _, provision := range []func() error{
		s.Limits.provision,
		func() error { return s.provisionAuth(ctx, repl) },
		s.provisionEndpoints,
		func() error { return s.provisionWebhooks(repl) },
	} {
		if err := provision(); err != nil {
			return err
		}
	}
	names, _ := s.Endpoints.channelNames()
	s.names = &names
	return nil
}

// Webhook explains what becomes of a request to a webhook. The body is read
// whole; the request's method does not matter.
func (x *Explainer) Webhook(r *http.Request) (path string, e webhook.Explanation, err error) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return "", e, fmt.Errorf("reading the payload: %w", err)
	}
	err = x.find(r, func(s *Sidestream, r *http.Request) bool {
		for _, h := range s.Webhooks {
			vars, ok := h.match(r.URL.EscapedPath())
			if ok {
				path = h.shownPath()
				e = h.hook.Explain(decode.Input{Body: body, Header: r.Header, Query: r.URL.RawQuery, Path: vars})
				return true
			}
		}
		return false
	})
	return path, e, err
}

// writer keeps what a client would get.
type writer struct {
	header http.Header
	status int
	body   bytes.Buffer
}

func (w *writer) Header() http.Header { return w.header }

func (w *writer) WriteHeader(status int) { w.status = status }

func (w *writer) Write(b []byte) (int, error) { return w.body.Write(b) }
