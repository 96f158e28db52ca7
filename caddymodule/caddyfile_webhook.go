package caddymodule

// webhook reads an address that the backend posts to. Syntax, with the options
// of webhook.Config.Option:
//
//	webhook <path> {
//	    preset  <name>
//	    secret  <secrets...>
//	    verify  <scheme> [<secrets...>] [<option> <value>...]
//	    format  json|form|cloudevents|msgpack|text
//	    each    {json.<path>}
//	    map     <field> <value> [when <condition>]
//	    drop    <condition>
//	    revoke  <user> [<channel>] [when <condition>]
//	    ack     <status> [<content_type> <body>]
//	    on_unmapped ack|reject
//	    max_body <size>
//	    max_batch <count>
//	    body_timeout <duration>
//	    tolerance <duration>
//	    gzip
//	    allow_browser
//	}
//
// Several lines of `map` may stand in a block of their own.
func (p *parser) webhook() error {
	h := new(Webhook)
	if !p.AllArgs(&h.Path) {
		return p.Errf("webhook needs the path of its endpoint, as in: webhook /hooks/chat")
	}
	if _, err := parseRoute(h.Path); err != nil {
		return p.WrapErr(err)
	}
	for _, other := range p.s.Webhooks {
		if other.Path == h.Path {
			return p.Errf("webhook %s is given twice", h.Path)
		}
	}
	for nesting := p.Nesting(); p.NextBlock(nesting); {
		option := p.Val()
		args := p.RemainingArgs()
		if option == "map" && len(args) == 0 {
			for nesting := p.Nesting(); p.NextBlock(nesting); {
				line := append([]string{p.Val()}, p.RemainingArgs()...)
				if err := h.Option("map", line); err != nil {
					return p.Errf("webhook %s: %v", h.Path, err)
				}
			}
			continue
		}
		if err := h.Option(option, args); err != nil {
			return p.Errf("webhook %s: %v", h.Path, err)
		}
	}
	if h.Preset == "" && h.Verify == nil {
		return p.Errf("webhook %s: nothing says who may post: give a preset, or verify and map; `verify none` lets everybody", h.Path)
	}
	if len(h.Secrets) == 0 && (h.Verify == nil || h.Verify.Scheme != "none") {
		return p.Errf("webhook %s: the secret is missing; write for example: secret {env.HOOK_SECRET}", h.Path)
	}
	p.s.Webhooks = append(p.s.Webhooks, h)
	return nil
}
