package caddymodule

import (
	"slices"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp/reverseproxy"

	"github.com/seed-078801ba/sidestream/caddymodule/endpoint"
	"github.com/seed-078801ba/sidestream/caddymodule/suggest"
)

func init() {
	httpcaddyfile.RegisterHandlerDirective("sidestream", parseCaddyfile)
	httpcaddyfile.RegisterDirectiveOrder("sidestream", httpcaddyfile.Before, "reverse_proxy")
}

// parseCaddyfile sets up the handler from Caddyfile tokens. Syntax:
//
//	sidestream [<matcher>] [<backend...>] {
//	    hub     <name>
//	    backend <upstreams...> {
//	        # whatever reverse_proxy takes
//	    }
//
//	    campfire [<prefix>]             # and the others of Endpoints
//	    flowdock [<prefix>] {
//	        opaque_ids
//	    }
//	    tambur [<prefix>] {
//	        app     <id> <key> <secrets...>
//	        channel <name>
//	        open    <streams...>
//	        clock   <duration>|off
//	        colon_users
//	    }
//	    heartbeat <endpoint> <duration>
//
//	    webhook <path> { ... }          # see (*parser).webhook
//	    redis   <url>  { ... }          # see (*parser).redis
//	    pull GET <uri> { ... }          # see (*parser).pull
//	    pull preset <name> { ... }
//	    doorbell <kind> [<address>] { ... } # see (*parser).doorbell
//	    backfill GET <uri> { ... }      # see (*parser).backfill
//	    backfill preset <name> { ... }
//	    position GET <path>             # see (*parser).position
//	    tap     <method> <path> <statuses...> { ... } # see (*parser).tap
//	    tap     preset <name> { ... }
//	    revoke  tap <method> <path> <statuses...> { ... }
//
//	    auth none
//	    auth preset <name> { ... }
//	    auth GET|POST <uri> { ... }     # see (*parser).auth
//	    revoke <path> {
//	        secret <secrets...>
//	    }
//
//	    presence [<prefix>] { ... }     # see (*parser).presence
//
//	    history { ... }                 # see (*parser).history
//	    limits  { ... }                 # see (*parser).limits
//	    lag     <bytes> [<duration>]
//	    drain   <duration>
//	    cors    {
//	        origins <origins...>
//	    }
//	    realm   <text>
//	    health  <path>                  # for load balancers
//	}
func parseCaddyfile(h httpcaddyfile.Helper) (caddyhttp.MiddlewareHandler, error) {
	s := new(Sidestream)
	h.Next() // the directive
	p := &parser{Helper: h, s: s, seen: map[string]bool{}}
	p.note("")
	defer p.keepPlaces()
	if backends := h.RemainingArgsAsTokens(); len(backends) > 0 {
		p.seen["backend"] = true
		directive := backends[0]
		directive.Text = "reverse_proxy"
		if err := p.backend(append([]caddyfile.Token{directive}, backends...)); err != nil {
			return nil, err
		}
	}
	for h.NextBlock(0) {
		if err := p.line(); err != nil {
			return nil, err
		}
	}
	if s.Auth == nil {
		return nil, h.WrapErr(errNoAuth)
	}
	if s.BackendRaw == nil && (!s.Auth.None || slices.ContainsFunc(s.Pulls, (*Pull).asksBackend)) {
		return nil, h.WrapErr(errNoBackend)
	}
	if s.CORS != nil {
		if err := s.CORS.Validate(len(s.Auth.Cookies) > 0); err != nil {
			return nil, p.corsAt.WrapErr(err)
		}
	}
	return s, nil
}

// parser reads one sidestream directive.
type parser struct {
	httpcaddyfile.Helper
	s    *Sidestream
	seen map[string]bool
	// corsAt stands at cors, for what is only known at the end.
	corsAt *caddyfile.Dispenser
	places []place
}

// subdirectives lists what may stand in the block.
var subdirectives = slices.Sorted(slices.Values(append([]string{
	"auth", "backend", "backfill", "cors", "doorbell", "drain", "health", "heartbeat", "history", "hub", "lag", "limits", "position", "presence", "pull", "realm", "redis", "revoke", "tap",
	"webhook",
}, endpointNames()...)))

// repeatable are the subdirectives that may stand there more than once.
var repeatable = []string{"doorbell", "heartbeat", "position", "pull", "redis", "revoke", "tap", "webhook"}

// first is the first argument behind the word where the parser stands.
func (p *parser) first() string {
	if !p.NextArg() {
		return ""
	}
	defer p.Prev()
	return p.Val()
}

// line reads one subdirective.
func (p *parser) line() error {
	name := p.Val()
	if p.seen[name] && !slices.Contains(repeatable, name) {
		return p.Errf("%s is given twice", name)
	}
	p.seen[name] = true
	p.note(strings.TrimSpace(name + " " + p.first()))
	switch name {
	case "backend":
		return p.backend(p.NextSegment())
	case "hub":
		return p.oneArg(&p.s.Hub)
	case "realm":
		return p.oneArg(&p.s.Realm)
	case "heartbeat":
		return p.heartbeat()
	case "webhook":
		return p.webhook()
	case "redis":
		return p.redis()
	case "pull":
		return p.pull()
	case "backfill":
		return p.backfill()
	case "doorbell":
		return p.doorbell()
	case "position":
		return p.position()
	case "auth":
		return p.auth()
	case "tap":
		return p.tap()
	case "revoke":
		return p.revoke()
	case "health":
		return p.health()
	case "presence":
		return p.presence()
	case "history":
		return p.history()
	case "limits":
		return p.limits()
	case "lag":
		return p.lag()
	case "drain":
		return p.duration(&p.s.Drain)
	case "cors":
		return p.cors()
	}
	if kind := p.s.Endpoints.turnOn(name); kind != nil {
		return p.endpoint(name, kind)
	}
	if block, ok := blockOf[name]; ok {
		return p.Errf("unknown subdirective %q: it stands in the block of %s; write %s { %s ... }", name, block, block, name)
	}
	return p.Errf("unknown subdirective %q%s", name, suggest.Among(name, subdirectives))
}

// blockOf says where options belong that are tried as subdirectives.
var blockOf = map[string]string{
	"secret": "webhook", "preset": "webhook", "verify": "webhook", "map": "webhook", "drop": "webhook", "each": "webhook", "ack": "webhook",
	"format": "webhook", "store": "history", "per_channel": "history", "keys": "history", "origins": "cors", "streams": "limits",
	"per_address": "limits", "per_credential": "limits", "opaque_ids": "flowdock", "app": "tambur", "header": "auth", "cookies": "auth", "allow": "auth",
	"deny": "auth", "user": "auth", "recheck": "auth", "cache": "auth", "subscribe": "redis", "psubscribe": "redis", "tell": "presence",
	"invisible": "presence",
}

// backend reads a reverse_proxy directive: its name, upstreams and block.
func (p *parser) backend(tokens []caddyfile.Token) error {
	if len(tokens) < 2 {
		return p.Errf("backend needs the address of the app, as in localhost:3000 or unix//run/chat.sock")
	}
	d := caddyfile.NewDispenser(tokens)
	proxy := new(reverseproxy.Handler)
	if err := proxy.UnmarshalCaddyfile(d); err != nil {
		return err
	}
	if err := proxy.FinalizeUnmarshalCaddyfile(p.WithDispenser(d)); err != nil {
		return err
	}
	if len(proxy.Upstreams) == 0 && proxy.DynamicUpstreams == nil && proxy.DynamicUpstreamsRaw == nil {
		return p.Errf("backend needs the address of the app, as in localhost:3000 or unix//run/chat.sock")
	}
	p.s.BackendRaw = caddyconfig.JSONModuleObject(proxy, "handler", "reverse_proxy", nil)
	return nil
}

// endpoint reads the optional prefix of an endpoint, and its options.
func (p *parser) endpoint(name string, kind endpoint.Kind) error {
	prefix := &kind.Where().Prefix
	if pathed, ok := kind.(endpoint.Pathed); ok {
		for p.NextArg() {
			if err := pathed.AddPath(p.Val()); err != nil {
				return p.WrapErr(err)
			}
		}
	} else if p.NextArg() {
		switch p.Val() {
		case "on", "off", "yes", "no", "true", "false":
			return p.Errf("%s is on where it is named, and off where only others are; what may follow is a prefix, as in: %[1]s /stream", name)
		}
		*prefix = p.Val()
		if err := endpoint.CheckPrefix(name, *prefix); err != nil {
			return p.WrapErr(err)
		}
		if p.NextArg() {
			return p.ArgErr()
		}
	}
	for nesting := p.Nesting(); p.NextBlock(nesting); {
		option := p.Val()
		switch {
		case len(kind.Options()) == 0:
			return p.Errf("unknown option %q of %s, which has none", option, name)
		case !slices.Contains(kind.Options(), option):
			return p.Errf("unknown option %q of %s%s", option, name, suggest.Among(option, kind.Options()))
		}
		if err := kind.Option(option, p.RemainingArgs()); err != nil {
			return p.Errf("%s: %s: %v", name, option, err)
		}
	}
	return nil
}

func (p *parser) heartbeat() error {
	var name string
	if !p.Args(&name) {
		return p.Errf("heartbeat needs an endpoint and a time, as in: heartbeat campfire 2s")
	}
	if _, err := parseTime(name); err == nil {
		return p.Errf("heartbeat needs an endpoint and a time, as in: heartbeat campfire %s", name)
	}
	if !slices.Contains(endpointNames(), name) {
		return p.Errf("heartbeat: unknown endpoint %q%s", name, suggest.Among(name, endpointNames()))
	}
	if _, ok := p.s.Heartbeat[name]; ok {
		return p.Errf("heartbeat %s is given twice", name)
	}
	var text string
	if err := p.oneArg(&text); err != nil {
		return err
	}
	every, err := parseTime(text)
	if err != nil {
		return p.Errf("heartbeat %s: %q is no time; write for example 2s or 15s", name, text)
	}
	if p.s.Heartbeat == nil {
		p.s.Heartbeat = map[string]caddy.Duration{}
	}
	p.s.Heartbeat[name] = every
	return nil
}

// oneArg reads exactly one argument.
func (p *parser) oneArg(target *string) error {
	name := p.Val()
	if args := p.RemainingArgs(); len(args) == 1 {
		*target = args[0]
		return nil
	} else if len(args) == 0 {
		return p.Errf("%s needs a value", name)
	}
	return p.Errf("%s takes one value; put it in quotes if it has spaces", name)
}

// duration reads exactly one time.
func (p *parser) duration(target *caddy.Duration) error {
	name := p.Val()
	var text string
	if err := p.oneArg(&text); err != nil {
		return err
	}
	d, err := parseTime(text)
	if err != nil {
		return p.Errf("%s: %q is no time; write for example 30s, 5m, 24h or 7d", name, text)
	}
	*target = d
	return nil
}

// parseTime reads a time above zero.
func parseTime(text string) (caddy.Duration, error) {
	d, err := caddy.ParseDuration(text)
	if err == nil && d <= 0 {
		err = errNotPositive
	}
	return caddy.Duration(d), err
}

// noMoreArgs refuses arguments where there are none.
func (p *parser) noMoreArgs() error {
	if name := p.Val(); p.NextArg() {
		return p.Errf("%s takes no value, and here is %q", name, p.Val())
	}
	return nil
}

// onlyBlock refuses arguments of what has a block instead. The example is what
// may stand in it.
func (p *parser) onlyBlock(example string) error {
	if name := p.Val(); p.NextArg() {
		return p.Errf("%s has a block: write %[1]s { %s }", name, example)
	}
	return nil
}
