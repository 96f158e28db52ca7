package caddymodule

import (
	"log/slog"
	"maps"
	"net/http"
	"reflect"
	"strings"
	"sync/atomic"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp/fileserver"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp/headers"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp/reverseproxy"
)

// warnOfRoutes looks at the routes around the handlers of a configuration that is
// about to run, and tells of what can be seen there: a handler that no request
// comes to, a header that clients could set themselves, and a reverse_proxy that
// closes WebSockets with every reload.
func warnOfRoutes(ctx caddy.Context, logger *slog.Logger) {
	v, err := ctx.AppIfConfigured("http")
	if err != nil {
		return
	}
	app, ok := v.(*caddyhttp.App)
	if !ok {
		return
	}
	for _, server := range app.Servers {
		for i := range server.Routes { // each is a site, or a part of one
			var w routeWalk
			w.list(server.Routes[i:i+1], true)
			for _, s := range w.handlers {
				s.closesSockets.Store(w.closes)
			}
			if w.closes && len(w.handlers) > 0 && toldOfSockets.CompareAndSwap(false, true) {
				logger.Info("a reload closes the WebSockets of the app, if it has any, because its reverse_proxy has no stream_close_delay; " +
					"write for example: stream_close_delay 1h")
			}
		}
		var w routeWalk
		w.list(server.Routes, true)
		for _, s := range w.unreachable {
			logger.Warn("no request comes to this sidestream handler: what stands before it answers everything; "+
				"put sidestream before reverse_proxy, and into the same handle or route", "hub", s.Hub, "in_front", w.answering[s], "at", s.writtenAt(""))
		}
		for _, s := range w.handlers {
			for _, name := range s.server.Auth.IdentityHeaders() {
				if !w.settled[s][name] {
					logger.Warn("auth takes a header of the request for who the client is, and no handler before sidestream sets it: a client could set it itself; "+
						"put for example forward_auth with copy_headers there, or, if a proxy in front of Caddy sets it, let nobody else reach Caddy",
						"hub", s.Hub, "header", name)
				}
			}
		}
	}
}

// toldOfSockets: the log has the line about WebSockets. Once is enough for those who
// have none.
var toldOfSockets atomic.Bool

// routeWalk goes through routes without a request. It only knows what is so for
// every request.
type routeWalk struct {
	handlers    []*Sidestream
	unreachable []*Sidestream
	answering   map[*Sidestream]string // what stands before it
	closes      bool                   // a reverse_proxy closes WebSockets with a reload
	last        string                 // the last handler that answers everything
	sets        map[string]bool        // headers of the request that were set, or taken away
	foreign     bool                   // there was a handler that may have set any of them
	settled     map[*Sidestream]map[string]bool
}

// list goes through routes that are tried one after the other. reached: requests
// come to them. It returns whether none gets past them.
func (w *routeWalk) list(routes caddyhttp.RouteList, reached bool) (answered bool) {
	groups := map[string]bool{} // whether all members so far answer what they match
	for _, route := range routes {
		sets, foreign := maps.Clone(w.sets), w.foreign
		stops := w.handle(route.Handlers, reached && !answered) || route.Terminal
		always := len(route.MatcherSets) == 0
		if route.Group != "" {
			before, ok := groups[route.Group]
			always = always && (before || !ok)
			groups[route.Group] = (before || !ok) && stops
			w.sets, w.foreign = sets, foreign // the others of the group come instead of it
		}
		answered = answered || always && stops
	}
	return answered
}

// handle goes through the handlers of one route, and tells whether one of them
// answers whatever comes.
func (w *routeWalk) handle(handlers []caddyhttp.MiddlewareHandler, reached bool) (answered bool) {
	for _, h := range handlers {
		reached := reached && !answered
		answers := false
		switch h := h.(type) {
		case *Sidestream:
			w.handlers = append(w.handlers, h)
			w.settle(h)
			if !reached {
				if w.answering == nil {
					w.answering = map[*Sidestream]string{}
				}
				w.unreachable, w.answering[h] = append(w.unreachable, h), w.last
			}
		case *caddyhttp.Subroute:
			answers = w.list(h.Routes, reached)
		case *reverseproxy.Handler:
			answers = len(h.HandleResponse) == 0
			for _, response := range h.HandleResponse { // so does forward_auth set headers
				w.list(response.Routes, reached)
			}
			w.closes = w.closes || h.StreamCloseDelay == 0 && answers
		case *fileserver.FileServer:
			answers = !h.PassThru
		case *caddyhttp.StaticResponse, *caddyhttp.StaticError:
			answers = true
		case *headers.Handler:
			w.setHeaders(h.Request)
		default:
			w.foreign = w.foreign || !isCaddys(h)
		}
		if answers && !answered {
			if _, ok := h.(*caddyhttp.Subroute); !ok && reached {
				w.last = strings.TrimPrefix(string(h.(caddy.Module).CaddyModule().ID), "http.handlers.")
			}
			answered = true
		}
	}
	return answered
}

// isCaddys tells a handler of Caddy itself from somebody else's.
func isCaddys(h caddyhttp.MiddlewareHandler) bool {
	t := reflect.TypeOf(h)
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	return strings.HasPrefix(t.PkgPath(), "github.com/caddyserver/caddy/v2/")
}

// setHeaders takes note of the headers of the request that a handler sets, or takes
// away.
func (w *routeWalk) setHeaders(ops *headers.HeaderOps) {
	if ops == nil {
		return
	}
	if w.sets == nil {
		w.sets = map[string]bool{}
	}
	for name := range ops.Set {
		w.sets[http.CanonicalHeaderKey(name)] = true
	}
	for _, name := range ops.Delete {
		w.sets[http.CanonicalHeaderKey(name)] = true
	}
}

// settle takes note of what was set before a handler. Whatever somebody else's module
// may have set counts as set.
func (w *routeWalk) settle(s *Sidestream) {
	if w.settled == nil {
		w.settled = map[*Sidestream]map[string]bool{}
	}
	w.settled[s] = maps.Clone(w.sets)
	if w.foreign {
		w.settled[s] = map[string]bool{}
		for _, name := range s.server.Auth.IdentityHeaders() {
			w.settled[s][name] = true
		}
	}
}

// noteUpgrade warns once, when a WebSocket of the app passes by that a reload is
// going to close.
func (s *Sidestream) noteUpgrade(r *http.Request) {
	if s.closesSockets.Load() && strings.EqualFold(r.Header.Get("Upgrade"), "websocket") && warnedOfSockets.CompareAndSwap(false, true) {
		s.logger.Warn("the app has WebSockets, and a reload closes them, because its reverse_proxy has no stream_close_delay; " +
			"write for example: stream_close_delay 1h")
	}
}

var warnedOfSockets atomic.Bool
