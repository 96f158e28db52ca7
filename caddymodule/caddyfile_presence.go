package caddymodule

import (
	"github.com/seed-078801ba/sidestream/caddymodule/endpoint"
	"github.com/seed-078801ba/sidestream/caddymodule/suggest"
	"github.com/seed-078801ba/sidestream/webhook/decode"
)

// presence reads who is shown to be there, and who is told. Syntax:
//
//	presence [<prefix>] {
//	    channels  <patterns...>
//	    invisible <condition>
//	    grace     <duration>
//	    lease     <duration>
//	    names     <count>
//	    secret    <secrets...>
//	    tell POST <path> {
//	        secret  <secrets...>
//	        kinds   joined|left|state|count|snapshot|reset...
//	        body    <json>
//	        timeout <duration>
//	    }
//	}
func (p *parser) presence() error {
	c := new(Presence)
	p.s.Presence = c
	if p.NextArg() {
		c.Prefix = p.Val()
		if err := endpoint.CheckPrefix("presence", c.Prefix); err != nil {
			return p.WrapErr(err)
		}
	}
	if p.NextArg() {
		return p.ArgErr()
	}
	for nesting := p.Nesting(); p.NextBlock(nesting); {
		var err error
		switch option := p.Val(); option {
		case "channels":
			patterns := p.RemainingArgs()
			if len(patterns) == 0 {
				return p.Errf("channels needs at least one pattern, as in: channels acme/*")
			}
			c.Channels = append(c.Channels, patterns...)
		case "invisible":
			err = p.invisible(c)
		case "grace":
			err = p.duration(&c.Grace)
		case "lease":
			err = p.duration(&c.Lease)
		case "names":
			err = p.count(&c.Names)
		case "secret":
			err = p.secretsOf(&c.Secrets)
		case "tell":
			err = p.tell(c)
		default:
			err = p.Errf("unknown option %q of presence%s", option,
				suggest.Among(option, []string{"channels", "grace", "invisible", "lease", "names", "secret", "tell"}))
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// invisible reads one condition, with or without quotes around it.
func (p *parser) invisible(c *Presence) error {
	condition := decode.QuoteWords(p.RemainingArgs())
	if condition == "" {
		return p.Errf("invisible needs a condition, as in: invisible {user} in 7 9")
	}
	if _, err := presenceNames.Condition(condition); err != nil {
		return p.Errf("invisible: %v", err)
	}
	c.Invisible = append(c.Invisible, condition)
	return nil
}

// tell reads how the app is told.
func (p *parser) tell(c *Presence) error {
	if c.Tell != nil {
		return p.Errf("tell is given twice")
	}
	t := new(PresenceTell)
	c.Tell = t
	args := p.RemainingArgs()
	if len(args) != 2 || args[0] != "POST" {
		return p.Errf("tell needs a method and a path, as in: tell POST /hooks/presence")
	}
	t.URI = args[1]
	for nesting := p.Nesting(); p.NextBlock(nesting); {
		var err error
		switch option := p.Val(); option {
		case "secret":
			err = p.secretsOf(&t.Secrets)
		case "kinds":
			if t.Kinds = append(t.Kinds, p.RemainingArgs()...); len(t.Kinds) == 0 {
				err = p.Errf("kinds needs at least one kind, as in: kinds joined left")
			}
		case "body":
			if err = p.oneArg(&t.Body); err == nil {
				if _, wrong := tellNames.JSONTemplate(t.Body); wrong != nil {
					err = p.Errf("body: %v", wrong)
				}
			}
		case "timeout":
			err = p.duration(&t.Timeout)
		default:
			err = p.Errf("unknown option %q of tell%s", option, suggest.Among(option, []string{"body", "kinds", "secret", "timeout"}))
		}
		if err != nil {
			return err
		}
	}
	if err := t.check(); err != nil {
		return p.Errf("tell: %v", err)
	}
	return nil
}
