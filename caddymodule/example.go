package caddymodule

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/seed-078801ba/sidestream/webhook"
)

// exampleSecret is what Caddyfile.example has for the webhook's secret where
// nobody has set one. Everybody can read it there.
const exampleSecret = "whsec_bm90LWEtc2VjcmV0LWp1c3QtdGhlLWV4YW1wbGUh"

// refuseExampleSecret refuses the secret of the example for a site that others
// can reach: whoever knows it can post. To try things on one's own machine it is
// good enough.
func (s *Sidestream) refuseExampleSecret(ctx caddy.Context) error {
	server, ok := ctx.Value(caddyhttp.ServerCtxKey).(*caddyhttp.Server)
	if !ok || onlyThisMachine(server.Routes) {
		return nil
	}
	repl := caddy.NewReplacer()
	isExample := func(secret string) bool { return repl.ReplaceAll(secret, "") == exampleSecret }
	if s.Revoke != nil && slices.ContainsFunc(s.Revoke.Secrets, isExample) {
		return fmt.Errorf("revoke %s: its secret is that of Caddyfile.example, which is public; make one with: %s", s.Revoke.Path, webhook.HowToMakeASecret)
	}
	for _, h := range s.Webhooks {
		if slices.ContainsFunc(h.Secrets, isExample) {
			return fmt.Errorf("webhook %s: its secret is that of Caddyfile.example, which is public; set HOOK_SECRET, "+
				"for Caddy and for the app, to one of your own: export HOOK_SECRET=whsec_$(openssl rand -base64 32)", h.Path)
		}
	}
	return nil
}

// onlyThisMachine tells whether all sites of a server have names that lead to
// this machine alone.
func onlyThisMachine(routes caddyhttp.RouteList) bool {
	for _, route := range routes {
		hosts := matchedHosts(route)
		if len(hosts) == 0 || slices.ContainsFunc(hosts, func(host string) bool { return !isLocal(host) }) {
			return false
		}
	}
	return len(routes) > 0
}

// isLocal tells whether a site's name is that of the machine itself.
func isLocal(host string) bool {
	if host == "localhost" || strings.HasSuffix(host, ".localhost") {
		return true
	}
	address, err := netip.ParseAddr(strings.Trim(host, "[]"))
	return err == nil && address.IsLoopback()
}
