package tap

import (
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// Find is the route of a request, nil if no rule is for it. It costs nothing for
// requests that only read.
func (rs *Rules) Find(r *http.Request) *Route {
	routes := rs.routes[r.Method]
	if len(routes) == 0 {
		return nil
	}
	escaped := r.URL.EscapedPath()
	for _, rt := range routes {
		if rt.pattern.match(escaped) {
			if len(r.Header["Upgrade"]) > 0 {
				return nil
			}
			return &Route{rt, escaped}
		}
	}
	return nil
}

// Writes tells whether a request may have created something, and is no call for a
// WebSocket.
func Writes(r *http.Request) bool {
	return slices.Contains(methods, r.Method) && len(r.Header["Upgrade"]) == 0
}

// Route is the rules for one request.
type Route struct {
	of      *route
	escaped string // the path
}

// Name is the method and the path, as configured.
func (rt *Route) Name() string { return rt.of.method + " " + rt.of.path }

// readings are headers by which clients make an app read another method, or another
// path, than the request line says.
var readings = []string{
	"X-Http-Method-Override", "X-Http-Method", "X-Method-Override", "X-Original-Url", "X-Rewrite-Url",
}

// misread tells whether the app may read the request in another way than we do: as
// another method or path, or a field from the query that we read in what was posted.
func (rt *Route) misread(r *http.Request) bool {
	for _, name := range readings {
		if len(r.Header[name]) > 0 {
			return true
		}
	}
	if r.URL.RawQuery == "" {
		return false
	}
	query, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return true // who knows
	}
	for name := range query {
		base, _, _ := strings.Cut(name, "[")
		if name == "_method" || slices.ContainsFunc(rt.of.requestKeys, func(key string) bool {
			key, _, _ = strings.Cut(key, "[")
			return strings.EqualFold(key, base)
		}) {
			return true
		}
	}
	return false
}

// Prepare narrows what the client takes to codings that can be read, and has what it
// posts copied if a rule reads it. The request is changed: give it a copy, which may
// share its header with others.
func (rt *Route) Prepare(r *http.Request) *Request {
	if values := r.Header["Accept-Encoding"]; len(values) > 0 {
		offered := strings.Join(values, ",")
		if narrowed := narrow(offered); narrowed != offered || len(values) > 1 {
			r.Header = r.Header.Clone()
			r.Header["Accept-Encoding"] = []string{narrowed}
		}
	}
	req := &Request{misread: rt.misread(r)}
	if r.Body != nil && r.Body != http.NoBody {
		req.length = r.ContentLength
		if rt.of.readsRequest {
			req.copies(r)
		}
		r.Body = &readBody{r.Body, req}
	}
	return req
}

// narrow takes the codings out of an Accept-Encoding that are not read here.
func narrow(offered string) string {
	var kept []string
	if offered == "" {
		return offered // the client takes no coding at all
	}
	for part := range strings.SplitSeq(offered, ",") {
		part = strings.TrimSpace(part)
		name, parameters, _ := strings.Cut(part, ";")
		name = strings.ToLower(strings.TrimSpace(name))
		if name == "identity" || readable(name) && name != "" {
			kept = append(kept, part)
			continue
		}
		if name == "*" && isZero(parameters) {
			kept = append(kept, part)
		}
	}
	if len(kept) == 0 {
		return "identity"
	}
	return strings.Join(kept, ", ")
}

// isZero tells whether the parameters of a coding have the weight 0.
func isZero(parameters string) bool {
	name, value, _ := strings.Cut(strings.TrimSpace(parameters), "=")
	weight, err := strconv.ParseFloat(strings.TrimSpace(value), 64)
	return strings.TrimSpace(name) == "q" && err == nil && weight == 0
}
