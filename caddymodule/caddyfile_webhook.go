package caddymodule

// webhook reads an address that the backend posts to. Syntax, with the options
// of webhook.Config.Option:
//
//	webhook <path> {
//	    preset  <name> [path]
//	    secret  <secrets...>
//	    verify  <scheme> [<option> <value>...]
//	    format  json|form|cloudevents|msgpack|text
//	    each    {json.<path>}
//	    map     <field> <value> [when <condition>]
//	    channels <patterns...>
//	    drop    <condition>|none
//	    events  <names...>
//	    revoke  <user> [<channel>] [when <condition>]
//	    ack     <status> [<content_type> [<body>]]
//	    on_unmapped ack|reject
//	    max_body <size>
//	    max_batch <count>
//	    body_timeout <duration>
//	    tolerance <duration>
//	    gzip
//	    allow_browser
//	    never_retries
//	}
//
// Several lines of `map` may stand in a block of their own.
func (p *parser) webhook() error {
	h := new(Webhook)
	if !p.AllArgs(&h.Path) {
		return p.Errf("webhook needs the path of its endpoint, as in: webhook /hooks/chat")
	}
	if _, err := parseRoute("webhook", h.Path); err != nil {
		return p.WrapErr(err)
	}
	for _, other := range p.s.Webhooks {
		if other.Path == h.Path {
			return p.Errf("webhook %s is given twice", h.Path)
		}
	}
	if err := p.mapped(h.Option); err != nil {
		return p.Errf("webhook %s: %v", h.Path, err)
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

// mapped reads the block of a way in, option by option. The rules of map may
// stand in a block of their own.
func (p *parser) mapped(option func(name string, args []string) error) error {
	for nesting := p.Nesting(); p.NextBlock(nesting); {
		name, args := p.Val(), p.RemainingArgs()
		if name != "map" || len(args) > 0 {
			if err := option(name, args); err != nil {
				return err
			}
			continue
		}
		for nesting := p.Nesting(); p.NextBlock(nesting); {
			if err := option("map", append([]string{p.Val()}, p.RemainingArgs()...)); err != nil {
				return err
			}
		}
	}
	return nil
}
