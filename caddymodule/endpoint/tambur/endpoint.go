package tambur

import (
	"context"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/seed-078801ba/sidestream/caddymodule/endpoint"
	"github.com/seed-078801ba/sidestream/stream"
)

// tambur is the endpoint of one site.
type tambur struct {
	place      *endpoint.Place
	prefix     string // of paths, without a slash at the end
	apps       []*application
	rules      rules
	spec       stream.Spec
	origins    *endpoint.Origins
	maxStreams int

	checking chan struct{} // see maxReading
	failures failures
}

// kind is what a path is for.
type kind uint8

const (
	none      kind = iota
	balancer       // GET /<key>/<app>
	socket         // /<key>/<app>/<anything>
	comet          // GET /comet/<key>/<app>/<anything>
	publisher      // POST /app/<app>/stream/<stream>
)

// route is what a path means.
type route struct {
	kind   kind
	app    *application
	id     string // of the app, which may not exist
	stream string
	last   string // of comet: the subscriber, if it is one
}

// Claims implements endpoint.Endpoint. Without a prefix, the app's own pages live
// beside: what names none of the apps is theirs, but for the publishers' address.
func (e *tambur) Claims(line endpoint.Line, r *http.Request) endpoint.Claim {
	if parts, ok := line.Under(e.place); ok {
		switch e.route(parts).kind {
		case none:
			if e.prefix != "" {
				return endpoint.Ours // nothing else is there
			}
		case publisher:
			return endpoint.Ours
		default:
			if r.Method == http.MethodGet || endpoint.WantsWebSocket(r) {
				return endpoint.Ours
			}
			return endpoint.Declined
		}
	}
	if _, ok := e.cometAtRoot(line); ok && r.Method == http.MethodGet {
		return endpoint.Ours
	}
	for _, parts := range line.LooselyUnder(e.place) {
		if e.prefix != "" || e.route(parts).kind != none {
			return endpoint.Crooked
		}
	}
	return endpoint.NotOurs
}

// route reads a path behind the prefix.
func (e *tambur) route(parts []string) route {
	switch {
	case len(parts) >= 4 && parts[0] == "app" && parts[2] == "stream" && parts[3] != "":
		return route{kind: publisher, id: parts[1], stream: strings.Join(parts[3:], "/")}
	case len(parts) >= 3 && parts[0] == "comet":
		if app := e.app(parts[1], parts[2]); app != nil {
			return route{kind: comet, app: app, last: parts[len(parts)-1]}
		}
	case len(parts) >= 2:
		app := e.app(parts[0], parts[1])
		switch {
		case app == nil:
		case len(parts) == 2 || len(parts) == 3 && parts[2] == "":
			return route{kind: balancer, app: app}
		default:
			return route{kind: socket, app: app}
		}
	}
	return route{}
}

// cometAtRoot reads the paths to which clients poll who were told an address with a
// prefix. They keep the first two parts of its path, put /comet before, and something
// behind (tambur.js, class CometSocket).
func (e *tambur) cometAtRoot(line endpoint.Line) (route, bool) {
	parts, ok := line.Under(new(endpoint.Place))
	if e.prefix == "" || !ok || len(parts) < 4 || parts[0] != "comet" {
		return route{}, false
	}
	var found []*application
	for _, app := range e.apps {
		told := strings.Split(strings.TrimPrefix(e.address(app), "/"), "/")
		if !slices.Equal(told[:2], parts[1:3]) {
			continue
		}
		found = append(found, app)
		if rest := told[2:]; slices.Contains(parts[3:], app.id) && len(rest) > 1 {
			return route{kind: comet, app: app, last: parts[len(parts)-1]}, true
		}
	}
	if len(found) == 0 {
		return route{}, false
	}
	// Of several, a subscriber's own one is known by the subscriber.
	return route{kind: comet, app: found[0], last: parts[len(parts)-1]}, true
}

// address is the path to which the clients of an app connect.
func (e *tambur) address(app *application) string {
	return e.prefix + "/" + app.key + "/" + app.id + "/connect"
}

func (e *tambur) app(key, id string) *application {
	for _, app := range e.apps {
		if app.key == key && app.id == id {
			return app
		}
	}
	return nil
}

func (e *tambur) appOf(id string) *application {
	for _, app := range e.apps {
		if app.id == id {
			return app
		}
	}
	return nil
}

// Serve implements endpoint.Sessions.
func (e *tambur) Serve(w http.ResponseWriter, r *http.Request, line endpoint.Line, s *endpoint.Server) func(context.Context) {
	h := w.Header()
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "no-referrer")
	var to route
	if parts, ok := line.Under(e.place); ok {
		to = e.route(parts)
	}
	if to.kind == none {
		to, _ = e.cometAtRoot(line)
	}
	hub := hubOf(s)
	for _, app := range e.apps {
		hub.use(e, s, app)
	}
	switch {
	case to.kind == publisher:
		e.publish(w, r, s, to.id, to.stream)
		return nil
	case to.kind == none:
		refuse(w, http.StatusNotFound, "there is nothing here: the address has the key and the id of an app")
		return nil
	case !e.origins.Admits(r):
		refuse(w, http.StatusForbidden, "pages of this origin may not connect; list it in cors")
		return nil
	case to.kind == socket:
		if endpoint.WantsWebSocket(r) {
			return e.socket(w, r, s, hub, to.app)
		}
		refuse(w, http.StatusUpgradeRequired, "this is the address of a WebSocket")
		return nil
	}
	query, err := url.ParseQuery(r.URL.RawQuery)
	called, ok := callOf(query)
	if err != nil || !ok {
		refuse(w, http.StatusBadRequest, "the script needs a callback, and the number of an instance")
		return nil
	}
	if to.kind == balancer {
		e.balance(w, r, to.app, called)
		return nil
	}
	return e.comet(w, r, s, hub, to, called, query)
}

// balance tells a client where to connect: here, at the host that it has asked, with
// its port. So the address is right for http and https alike, and behind a proxy that
// ends TLS.
func (e *tambur) balance(w http.ResponseWriter, r *http.Request, app *application, c call) {
	if !isHost(r.Host) {
		refuse(w, http.StatusBadRequest, "the request names no host")
		return
	}
	writeScript(w, c.text(nil, r.Host+e.address(app)))
}

// AnyOrigin tells that pages of all origins may connect where nothing is configured
// and nothing is at stake that browsers add by themselves, as with Tambur.io.
func (*tambur) AnyOrigin() bool { return true }

// caller is the request as far as it counts for who connects. What a browser adds by itself counts only where the page
// is surely of this site, or of an origin that is listed: a script element can be in
// any page.
func (e *tambur) caller(r *http.Request) *http.Request {
	if e.origins.OtherSite(r) || !endpoint.WantsWebSocket(r) && !endpoint.SameSite(r) {
		r = r.Clone(r.Context())
		r.Header.Del("Cookie")
		r.Header.Del("Authorization")
	}
	return r
}
