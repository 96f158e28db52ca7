package caddymodule

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

// serverConfig is what an Explainer reads of a server's configuration. Routes
// are kept as text until they are loaded.
type serverConfig struct {
	Listen      []string                  `json:"listen"`
	Routes      []map[string]any          `json:"routes"`
	NamedRoutes map[string]map[string]any `json:"named_routes"`
	Errors      struct {
		Routes []map[string]any `json:"routes"`
	} `json:"errors"`
}

// explainedServer is a server's routes, ready to be put a request through.
type explainedServer struct {
	server *caddyhttp.Server
	routes caddyhttp.RouteList
	errors caddyhttp.RouteList
}

// followed are the handlers of Caddy that do the same here as in the server:
// they decide on a request, change it, or answer by themselves, and touch nothing
// else.
var followed = []string{
	"authentication", "copy_response", "copy_response_headers", "encode", "error", "file_server", "headers", "intercept", "invoke",
	"log_append", "map", "push", "request_body", "rewrite", "sidestream", "static_response", "subroute", "templates", "vars",
}

// Variables of a request that say how it went.
const (
	varAnswered = "sidestream.explain.answered" // by the handler of this name
	varUnknown  = "sidestream.explain.unknown." // plus the name of a handler that cannot be followed
	varPassed   = "sidestream.explain.passed."  // plus the name of one that was really asked
	varWay      = "sidestream.explain.way"      // the request's route
	varPosition = "sidestream.explain.position" // the answer has a position; the channel that it is for
)

// provision loads the routes, with something in the place of handlers that had
// better not run.
func (c serverConfig) provision(ctx caddy.Context, method string) (*explainedServer, error) {
	s := &explainedServer{server: new(caddyhttp.Server)}
	ctx.Context = context.WithValue(ctx.Context, caddyhttp.ServerCtxKey, s.server)
	var err error
	if s.server.Routes, err = readRoutes(method, c.Routes); err != nil {
		return nil, err
	}
	if err := s.server.Routes.Provision(ctx); err != nil {
		return nil, fmt.Errorf("loading the routes: %w", err)
	}
	s.routes = s.server.Routes
	if s.errors, err = loadRoutes(ctx, method, c.Errors.Routes); err != nil {
		return nil, err
	}
	for name, route := range c.NamedRoutes {
		loaded, err := loadRoutes(ctx, method, []map[string]any{route})
		if err != nil {
			return nil, err
		}
		if s.server.NamedRoutes == nil {
			s.server.NamedRoutes = map[string]*caddyhttp.Route{}
		}
		s.server.NamedRoutes[name] = &loaded[0]
	}
	return s, nil
}

func loadRoutes(ctx caddy.Context, method string, routes []map[string]any) (caddyhttp.RouteList, error) {
	list, err := readRoutes(method, routes)
	if err != nil {
		return nil, err
	}
	if err := list.Provision(ctx); err != nil {
		return nil, fmt.Errorf("loading the routes: %w", err)
	}
	return list, nil
}

func readRoutes(method string, routes []map[string]any) (list caddyhttp.RouteList, err error) {
	text, err := json.Marshal(harmless(method, routes))
	if err == nil {
		err = json.Unmarshal(text, &list)
	}
	if err != nil {
		return nil, fmt.Errorf("reading the routes: %w", err)
	}
	return list, nil
}

// harmless is a list of routes in which handlers that are not followed have given
// their place to a note.
func harmless(method string, routes []map[string]any) []map[string]any {
	out := make([]map[string]any, len(routes))
	for i, route := range routes {
		copied := map[string]any{}
		for key, value := range route {
			copied[key] = value
		}
		if handlers, ok := route["handle"].([]any); ok {
			var kept []any
			for _, h := range handlers {
				if handler, ok := h.(map[string]any); ok {
					kept = append(kept, inPlaceOf(method, handler)...)
				}
			}
			copied["handle"] = kept
		}
		out[i] = copied
	}
	return out
}

// inPlaceOf is a handler, if it is followed, or what stands in its place.
func inPlaceOf(method string, handler map[string]any) []any {
	name, _ := handler["handler"].(string)
	set := func(key string) any { return map[string]any{"handler": "vars", key: true} }
	answered := []any{map[string]any{"handler": "vars", varAnswered: name}, map[string]any{"handler": "static_response"}}
	switch {
	case name == "reverse_proxy" && asksFirst(method, handler):
		return []any{set(varPassed + name), withHarmlessRoutes(method, handler)}
	case name == "reverse_proxy" && handler["handle_response"] != nil:
		return append([]any{set(varUnknown + name)}, answered...)
	case slices.Contains([]string{"reverse_proxy", "metrics", "acme_server"}, name):
		return answered
	case name == "file_server" && handler["pass_thru"] != true, name == "static_response":
		return []any{map[string]any{"handler": "vars", varAnswered: name}, handler}
	case name == "tracing": // passes everything on
		return nil
	case name == "authentication" && !onlyBasic(handler), !slices.Contains(followed, name):
		return []any{set(varUnknown + name)}
	}
	return []any{withHarmlessRoutes(method, handler)}
}

// asksFirst tells whether a reverse_proxy asks somebody about the request, as
// forward_auth does, and what follows depends on the answer. Then it is really
// asked, if that is by a GET, which changes nothing.
func asksFirst(method string, handler map[string]any) bool {
	if rewrite, _ := handler["rewrite"].(map[string]any); rewrite["method"] != nil {
		method, _ = rewrite["method"].(string)
	}
	return handler["handle_response"] != nil && method == http.MethodGet
}

// onlyBasic tells whether authentication is by password alone.
func onlyBasic(handler map[string]any) bool {
	providers, _ := handler["providers"].(map[string]any)
	return len(providers) == 1 && providers["http_basic"] != nil
}

// withHarmlessRoutes is a handler whose own routes are harmless.
func withHarmlessRoutes(method string, handler map[string]any) map[string]any {
	copied := map[string]any{}
	for key, value := range handler {
		switch key {
		case "routes":
			value = harmless(method, mapsOf(value))
		case "handle_response":
			responses := mapsOf(value)
			for i, response := range responses {
				responses[i] = withHarmlessRoutes(method, response)
			}
			value = responses
		case "errors":
			if errors, ok := value.(map[string]any); ok {
				value = withHarmlessRoutes(method, errors)
			}
		}
		copied[key] = value
	}
	return copied
}

// mapsOf are the objects of a list.
func mapsOf(list any) []map[string]any {
	var objects []map[string]any
	values, _ := list.([]any)
	for _, value := range values {
		if object, ok := value.(map[string]any); ok {
			objects = append(objects, object)
		}
	}
	return objects
}

// route is the way that one request went.
type route struct {
	taken bool // by a sidestream handler
	vars  map[string]any
	err   error
}

// serve puts a request through the routes, as Caddy's server does.
func (s *explainedServer) serve(w http.ResponseWriter, r *http.Request) (way *route) {
	way = new(route)
	defer func() {
		if p := recover(); p != nil && p != http.ErrAbortHandler { // abort
			panic(p)
		}
	}()
	r = caddyhttp.PrepareRequest(r, caddy.NewReplacer(), w, s.server)
	way.vars, _ = r.Context().Value(caddyhttp.VarsCtxKey).(map[string]any)
	caddyhttp.SetVar(r.Context(), varWay, way)
	end := caddyhttp.HandlerFunc(func(http.ResponseWriter, *http.Request) error { return nil })
	if way.err = s.routes.Compile(end).ServeHTTP(w, r); way.err == nil {
		return way
	}
	delete(way.vars, varAnswered) // whoever it was did not
	r = (*caddyhttp.HTTPErrorConfig)(nil).WithError(r, way.err)
	endOfErrors := caddyhttp.HandlerFunc(func(w http.ResponseWriter, r *http.Request) error {
		w.WriteHeader(statusOf(way.err))
		return nil
	})
	if err := s.errors.Compile(endOfErrors).ServeHTTP(w, r); err != nil {
		w.WriteHeader(statusOf(err))
	}
	return way
}

// reached is called when a request comes to a sidestream handler.
func (x *Explainer) reached(s *Sidestream, w http.ResponseWriter, r *http.Request, next caddyhttp.Handler) error {
	if x.takes(s, w, r) {
		if way, ok := caddyhttp.GetVar(r.Context(), varWay).(*route); ok {
			way.taken = true
		}
		return nil
	}
	if vars, ok := s.positionOf(r); ok {
		caddyhttp.SetVar(r.Context(), varPosition, channelOf(vars))
	}
	return next.ServeHTTP(w, r)
}

func statusOf(err error) int {
	var failed caddyhttp.HandlerError
	if errors.As(err, &failed) && failed.StatusCode != 0 {
		return failed.StatusCode
	}
	return http.StatusInternalServerError
}

// end says where a request ended that no sidestream handler took; "" if nobody
// answered it.
func (way *route) end(w *writer) string {
	var said string
	switch answered, _ := way.vars[varAnswered].(string); {
	case way.err != nil:
		said = fmt.Sprintf("it is answered with %d", w.status)
	case answered != "":
		said = "it goes to " + answered
		if _, ok := way.vars[varPosition]; ok {
			said += ", and an answer with something to read says in " + positionHeader + " where a stream goes on"
		}
	case w.status != 0:
		said = fmt.Sprintf("something in front answers it with %d", w.status)
	default:
		return ""
	}
	if notes, _ := way.notes(); len(notes) > 0 {
		said += " (" + strings.Join(notes, "; ") + ")"
	}
	return said
}

// notes tell what stood on the way and is not plain routing. unsure: the way may
// be another one in the server.
func (way *route) notes() (notes []string, unsure bool) {
	for key := range way.vars {
		if name, ok := strings.CutPrefix(key, varUnknown); ok {
			notes, unsure = append(notes, name+" stands in front, and explain cannot tell what it does with the request"), true
		}
		if name, ok := strings.CutPrefix(key, varPassed); ok {
			notes = append(notes, name+" in front was really asked, as for forward_auth")
		}
	}
	slices.Sort(notes)
	return notes, unsure
}

// sitesOf lists the hosts of routes that lead to a sidestream handler; "" where
// there is none. any: there is a handler.
func sitesOf(routes []map[string]any, outer []string) (hosts []string, any bool) {
	for _, r := range routes {
		names := outer
		for _, set := range mapsOf(r["match"]) {
			if list, ok := set["host"].([]interface{}); ok {
				names = nil
				for _, host := range list {
					if host, ok := host.(string); ok {
						names = append(names, host)
					}
				}
			}
		}
		for _, handler := range mapsOf(r["handle"]) {
			switch handler["handler"] {
			case "sidestream":
				any = true
				if len(names) == 0 {
					names = []string{""}
				}
				hosts = append(hosts, names...)
			case "subroute":
				inner, ok := sitesOf(mapsOf(handler["routes"]), names)
				hosts, any = append(hosts, inner...), any || ok
			}
		}
	}
	return hosts, any
}
