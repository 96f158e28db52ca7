package caddymodule

import (
	"bytes"
	"encoding/json"
	"errors"
	"net/netip"
	"slices"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp/reverseproxy"
)

// errNoHost is the error of a configuration that leaves open under which host
// the app is asked. A client's own Host could choose another virtual host of
// the app, or another tenant.
var errNoHost = errors.New("auth: the host under which the app is asked is not known, because this site has no name of its own, " +
	"and the backend has no address with one. Name it in the block of auth, as in: host chat.example.com")

// askedHost is the host under which the app is asked, unless auth names one: the
// one that the backend's header_up sets, the name of the site, or the address of
// the backend. auth is what the configuration says of it, in JSON.
func (s *Sidestream) askedHost(ctx caddy.Context, auth []byte, proxy *reverseproxy.Handler, repl *caddy.Replacer) (string, error) {
	named := s.Auth.Host
	for _, h := range s.Auth.Headers {
		if strings.EqualFold(h.Name, "Host") {
			named = h.Value
		}
	}
	if named != "" {
		return repl.ReplaceKnown(named, ""), nil
	}
	if h := proxy.Headers; h != nil && h.Request != nil {
		if host := repl.ReplaceKnown(h.Request.Set.Get("Host"), ""); host != "" && !strings.Contains(host, "{") {
			return host, nil
		}
	}
	hosts := hostsOf(ctx, s.Hub, auth)
	isPattern := func(host string) bool { return strings.ContainsAny(host, "*{") }
	names := slices.DeleteFunc(slices.Clone(hosts), isPattern)
	host := ""
	if len(names) > 0 {
		host, s.siteName = bracketed(names[0]), names[0]
	} else {
		host = upstreamHost(proxy, repl)
	}
	if host == "" {
		return "", errNoHost
	}
	if len(hosts) > 1 || len(names) < len(hosts) {
		s.logger.Warn("this site has several hosts, and the app is asked under one of them for all; "+
			"if each host is a tenant, give each a site and a hub of its own, and if not, say so with `host` in the block of auth",
			"hosts", hosts, "asked_as", host)
	}
	return host, nil
}

// bracketed is a host as a Host header has it: an IPv6 address stands in brackets,
// and has none in Caddy's matchers.
func bracketed(host string) string {
	if address, err := netip.ParseAddr(host); err == nil && address.Is6() {
		return "[" + host + "]"
	}
	return host
}

// upstreamHost is the address of the backend, if it has one that is a host.
func upstreamHost(proxy *reverseproxy.Handler, repl *caddy.Replacer) string {
	for _, upstream := range proxy.Upstreams {
		address, err := caddy.ParseNetworkAddress(repl.ReplaceKnown(upstream.Dial, ""))
		if err != nil || address.IsUnixNetwork() || address.Host == "" || strings.Contains(address.Host, "{") {
			continue
		}
		return strings.TrimSuffix(address.JoinHostPort(0), ":80")
	}
	return ""
}

// hostsOf are the hosts of the site that a handler stands in, as its routes
// match them. Caddy loads the routes of a server in their order, so that the
// handler stands in the first of them that is not loaded and has it.
func hostsOf(ctx caddy.Context, hub string, auth []byte) []string {
	server, _ := ctx.Value(caddyhttp.ServerCtxKey).(*caddyhttp.Server)
	if server == nil {
		return nil
	}
	w := hostWalk{hub: hub, auth: auth}
	for _, route := range server.Routes {
		if len(route.Handlers) > 0 {
			continue
		}
		if hosts := w.route(route, nil); w.found {
			return hosts
		}
	}
	return nil
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

// hostWalk looks for a handler in routes.
type hostWalk struct {
	hub   string
	auth  []byte // in JSON
	found bool
}

// route lists the hosts of a route, or of what is in it, if it leads to the
// handler.
func (w *hostWalk) route(route caddyhttp.Route, outer []string) (hosts []string) {
	names := outer
	if own := matchedHosts(route); len(own) > 0 {
		names = own
	}
	for _, raw := range route.HandlersRaw {
		switch name, inner := handlerOf(raw); {
		case name == "subroute":
			for _, r := range inner {
				hosts = append(hosts, w.route(r, names)...)
			}
		case name == "sidestream" && w.same(raw):
			w.found = true
			hosts = append(hosts, names...)
		}
	}
	slices.Sort(hosts)
	return slices.Compact(hosts)
}

// same tells whether a handler in a configuration asks as the one that is
// looked for.
func (w *hostWalk) same(raw json.RawMessage) bool {
	var other struct {
		Hub  string `json:"hub"`
		Auth *Auth  `json:"auth"`
	}
	if json.Unmarshal(raw, &other) != nil {
		return false
	}
	if other.Hub == "" {
		other.Hub = defaultHub
	}
	theirs, err := json.Marshal(other.Auth)
	return err == nil && other.Hub == w.hub && bytes.Equal(theirs, w.auth)
}

// matchedHosts are the hosts that a route matches, whether Caddy has loaded its
// matchers or not.
func matchedHosts(route caddyhttp.Route) (hosts []string) {
	for _, set := range route.MatcherSets {
		for _, m := range set {
			if host, ok := m.(*caddyhttp.MatchHost); ok {
				hosts = append(hosts, *host...)
			}
		}
	}
	for _, set := range route.MatcherSetsRaw {
		var names []string
		if json.Unmarshal(set["host"], &names) == nil {
			hosts = append(hosts, names...)
		}
	}
	return hosts
}
