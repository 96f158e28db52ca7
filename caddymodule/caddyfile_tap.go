package caddymodule

import (
	"strconv"

	"github.com/seed-078801ba/sidestream/webhook/tap"
)

// tap reads answers of the app that bring messages. Syntax, with the options of
// tap.Config.Option:
//
//	tap <METHOD> <path> <statuses...> {
//	    when     <condition>
//	    each     {res.<path>}
//	    map      <field> <value> [when <condition>]
//	    channels <patterns...>
//	    drop     <condition>|none
//	    revoke   <user> [<channel>] [when <condition>]
//	    max_batch <count>
//	    poke     <channel>
//	    fields   <names...>
//	    deliver  full|thin
//	}
//	tap preset <name> {
//	    prefix   <path>
//	    channels <patterns...>
//	    drop     <condition>
//	    deliver  full|thin
//	}
func (p *parser) tap() error {
	var c tap.Config
	args := p.RemainingArgs()
	switch {
	case len(args) == 2 && args[0] == "preset":
		c.Preset = args[1]
	case len(args) >= 3:
		c.Method, c.Path = args[0], args[1]
		var err error
		if c.Statuses, err = p.statuses(args[2:]); err != nil {
			return err
		}
	default:
		return p.Errf("tap needs a preset, as in tap preset mattermost, or a method, a path and the status of a good answer, as in tap POST /rooms/{room}/messages 201")
	}
	if err := p.mapped(c.Option); err != nil {
		return p.Errf("tap %s: %v", c.Title(), err)
	}
	if err := tap.Check(c); err != nil {
		return p.WrapErr(err)
	}
	p.s.Taps = append(p.s.Taps, c)
	return nil
}

// revokeTap reads an answer of the app after which somebody may have lost access:
//
//	revoke tap <METHOD> <path> <statuses...> {
//	    user    {path.<name>}
//	    channel {path.<name>}
//	    when    <condition>
//	}
func (p *parser) revokeTap(args []string) error {
	if len(args) < 3 {
		return p.Errf("revoke tap needs a method, a path and the status of a good answer, as in revoke tap POST /logout 200")
	}
	r := tap.Revocation{Method: args[0], Path: args[1]}
	var err error
	if r.Statuses, err = p.statuses(args[2:]); err != nil {
		return err
	}
	for nesting := p.Nesting(); p.NextBlock(nesting); {
		if err := r.Option(p.Val(), p.RemainingArgs()); err != nil {
			return p.Errf("revoke tap %s %s: %v", r.Method, r.Path, err)
		}
	}
	if err := tap.CheckRevocation(r); err != nil {
		return p.WrapErr(err)
	}
	p.s.RevokeTaps = append(p.s.RevokeTaps, r)
	return nil
}

func (p *parser) statuses(args []string) (statuses []int, err error) {
	for _, arg := range args {
		n, err := strconv.Atoi(arg)
		if err != nil || len(arg) != 3 {
			return nil, p.Errf("%q is no status; write for example 201", arg)
		}
		statuses = append(statuses, n)
	}
	return statuses, nil
}
