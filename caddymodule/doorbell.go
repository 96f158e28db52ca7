package caddymodule

import (
	"errors"
	"fmt"
	"strings"

	"github.com/caddyserver/caddy/v2"

	"github.com/seed-078801ba/sidestream/stream/event"
	"github.com/seed-078801ba/sidestream/webhook/pull"
)

// Doorbell is what an app tells a bot at once when something is new. It only has a pull
// read the channel.
type Doorbell struct {
	pull.DoorbellConfig

	config pull.DoorbellConfig // with its secrets
}

// errNoPull is the error of a doorbell that nobody answers.
var errNoPull = errors.New("a doorbell only says that something is new: a `pull` is missing that reads it")

func (s *Sidestream) provisionDoorbells(repl *caddy.Replacer) error {
	if len(s.Doorbells) > 0 && len(s.Pulls) == 0 {
		return fmt.Errorf("doorbell: %w", errNoPull)
	}
	for _, d := range s.Doorbells {
		c := d.DoorbellConfig
		var err error
		resolve := func(text string) string {
			out, failed := repl.ReplaceOrErr(text, true, true)
			if failed != nil && err == nil {
				err = failed
			}
			return out
		}
		for _, text := range []*string{&c.Token, &c.User} {
			if *text != "" {
				*text = resolve(*text)
			}
		}
		c.Headers = append([]pull.Header(nil), c.Headers...)
		for i := range c.Headers {
			c.Headers[i].Value = placeholder.ReplaceAllStringFunc(c.Headers[i].Value, resolve)
		}
		if err == nil {
			err = c.Check()
		}
		if err != nil {
			return fmt.Errorf("doorbell %s: %w", d.Kind, err)
		}
		d.config = c
	}
	return nil
}

// joinDoorbells makes the handler's doorbells those of its hub.
func (s *Sidestream) joinDoorbells(t *tenancy) error {
	hub := t.hub
	options := pull.DoorbellOptions{
		Server: s.backendAddress(), Host: s.askedAs, Logger: hubLogger(), Poke: func(p event.Poke) { hub.Poke(p) },
	}
	for _, d := range s.Doorbells {
		config := d.config
		if _, err := pull.NewDoorbell(config, options); err != nil {
			return fmt.Errorf("doorbell %s: %w", d.Kind, err)
		}
		t.doorbells = append(t.doorbells, func() (*pull.Doorbell, error) { return pull.NewDoorbell(config, options) })
	}
	return nil
}

// backendAddress is where the backend is reached over plain HTTP; empty if it has no
// such address.
func (s *Sidestream) backendAddress() string {
	for _, dial := range s.upstreams {
		address, err := caddy.ParseNetworkAddress(dial)
		if err == nil && !address.IsUnixNetwork() && address.Host != "" && !strings.Contains(dial, "{") && address.StartPort != 443 {
			return "http://" + address.JoinHostPort(0)
		}
	}
	return ""
}

// doorbell reads what an app tells a bot at once. Syntax:
//
//	doorbell mattermost|zulip [<address>] {
//	    token <secret>
//	    user  <name>
//	}
//	doorbell websocket|sse <address> {
//	    header <name> <value>
//	    send   <text>
//	    poke   <channel> [when <condition>]
//	    token  <secret>
//	    user   <name>
//	}
func (p *parser) doorbell() error {
	args := p.RemainingArgs()
	if len(args) == 0 || len(args) > 2 {
		return p.Errf("doorbell needs a kind, and perhaps the app's address, as in: doorbell mattermost")
	}
	d := new(Doorbell)
	d.Kind = args[0]
	if len(args) == 2 {
		d.Address = args[1]
	}
	for nesting := p.Nesting(); p.NextBlock(nesting); {
		if err := d.Option(p.Val(), p.RemainingArgs()); err != nil {
			return p.Errf("doorbell %s: %v", d.Kind, err)
		}
	}
	if err := d.Check(); err != nil {
		return p.Errf("doorbell: %v", err)
	}
	p.s.Doorbells = append(p.s.Doorbells, d)
	return nil
}
