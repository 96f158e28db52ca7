package caddymodule

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/dustin/go-humanize"

	"github.com/seed-078801ba/sidestream/caddymodule/endpoint"
	"github.com/seed-078801ba/sidestream/caddymodule/suggest"
	"github.com/seed-078801ba/sidestream/webhook"
)

var errNotPositive = errors.New("not above zero")

// history reads what is kept of each channel, and where. Syntax:
//
//	history {
//	    store file [<path>]             # default: in Caddy's data folder
//	    store memory [<bytes>]          # gone when Caddy ends
//	    store redis <url> {             # shared by all that name the same one
//	        prefix   <text>
//	        replicas <count>
//	        durable
//	        sentinel_user <name> <password>
//	    }
//	    per_channel [<count>] [<duration>] [<bytes>]
//	    keys <duration>
//	    unsafe_no_sync
//	}
func (p *parser) history() error {
	h := new(History)
	p.s.History = h
	if err := p.onlyBlock("store memory"); err != nil {
		return err
	}
	for nesting := p.Nesting(); p.NextBlock(nesting); {
		var err error
		switch option := p.Val(); option {
		case "store":
			err = p.store(h)
		case "per_channel":
			err = p.perChannel(h)
		case "keys":
			err = p.duration(&h.Keys)
		case "unsafe_no_sync":
			h.UnsafeNoSync = true
			err = p.noMoreArgs()
		default:
			err = p.Errf("unknown option %q of history%s", option,
				suggest.Among(option, []string{"keys", "per_channel", "store", "unsafe_no_sync"}))
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (p *parser) store(h *History) error {
	if h.Store != "" {
		return p.Errf("store is given twice")
	}
	if !p.NextArg() {
		return p.Errf("store needs to know where: file, memory or redis")
	}
	if h.Store = p.Val(); !slices.Contains(storeNames, h.Store) {
		return p.Errf("unknown store %q%s", h.Store, suggest.Among(h.Store, storeNames))
	}
	if p.NextArg() {
		switch h.Store {
		case storeFile:
			h.Path = p.Val()
		case storeRedis:
			h.URL = p.Val()
		default:
			size, err := parseSize(p.Val())
			if err != nil {
				return p.Errf("store memory: %q is no size; write for example 256MiB", p.Val())
			}
			h.Total = size
		}
	}
	if err := p.noMoreArgs(); err != nil {
		return err
	}
	if h.Store == storeRedis {
		return p.storeRedis(h)
	}
	return nil
}

// storeRedis reads the block of store redis.
func (p *parser) storeRedis(h *History) error {
	if h.URL == "" {
		return p.Errf("store redis needs an address, as in: store redis redis://localhost:6379")
	}
	for nesting := p.Nesting(); p.NextBlock(nesting); {
		var err error
		switch option := p.Val(); option {
		case "prefix":
			err = p.oneArg(&h.Prefix)
		case "replicas":
			err = p.count(&h.Replicas)
		case "durable":
			h.Durable = true
			err = p.noMoreArgs()
		case "sentinel_user":
			if !p.AllArgs(&h.SentinelUsername, &h.SentinelPassword) {
				err = p.ArgErr()
			}
		default:
			err = p.Errf("unknown option %q of store redis%s", option, suggest.Among(option, []string{"durable", "prefix", "replicas", "sentinel_user"}))
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// perChannel reads a count, a time and a size, each recognised by its look.
func (p *parser) perChannel(h *History) error {
	args := p.RemainingArgs()
	if len(args) == 0 || len(args) > 3 {
		return p.Errf("per_channel needs a count, a time, a size, or several of them, as in: per_channel 1000 24h 8MiB")
	}
	for _, arg := range args {
		if count, err := strconv.Atoi(arg); err == nil && count > 0 && h.Events == 0 {
			h.Events = count
		} else if age, err := parseTime(arg); err == nil && h.Age == 0 {
			h.Age = age
		} else if size, err := parseSize(arg); err == nil && h.Bytes == 0 {
			h.Bytes = size
		} else {
			return p.Errf("per_channel: %q is no count, time or size, or one too many; write for example: per_channel 1000 24h 8MiB", arg)
		}
	}
	return nil
}

// parseSize reads a number of bytes with a unit, above zero.
func parseSize(text string) (int64, error) {
	size, err := humanize.ParseBytes(text)
	if err == nil && (size == 0 || size > 1<<50) {
		err = errNotPositive
	}
	return int64(size), err
}

// limits reads the bounds of what is open. Syntax:
//
//	limits {
//	    streams        <count>
//	    per_address    <count>
//	    per_credential <count>
//	    per_channel    <count>
//	    channels       <count>
//	}
func (p *parser) limits() error {
	l := new(Limits)
	p.s.Limits = l
	if err := p.onlyBlock("streams 10000"); err != nil {
		return err
	}
	options := map[string]*int{
		"streams": &l.Streams, "per_address": &l.PerAddress, "per_credential": &l.PerCredential,
		"per_channel": &l.PerChannel, "channels": &l.Channels,
	}
	for nesting := p.Nesting(); p.NextBlock(nesting); {
		option := p.Val()
		target, ok := options[option]
		if !ok {
			return p.Errf("unknown option %q of limits%s", option, didYouMeanKey(option, options))
		}
		if err := p.count(target); err != nil {
			return err
		}
	}
	return nil
}

// count reads exactly one number above zero.
func (p *parser) count(target *int) error {
	name := p.Val()
	var text string
	if err := p.oneArg(&text); err != nil {
		return err
	}
	n, err := strconv.Atoi(text)
	if err != nil || n <= 0 {
		return p.Errf("%s: %q is no number above zero", name, text)
	}
	*target = n
	return nil
}

func (p *parser) lag() error {
	l := new(Lag)
	p.s.Lag = l
	args := p.RemainingArgs()
	if len(args) == 0 || len(args) > 2 {
		return p.Errf("lag needs a size, a time, or both, as in: lag 512KiB 15s")
	}
	for _, arg := range args {
		if time, err := parseTime(arg); err == nil && l.Time == 0 {
			l.Time = time
		} else if size, err := parseSize(arg); err == nil && l.Bytes == 0 {
			l.Bytes = size
		} else {
			return p.Errf("lag: %q is no size or time; write for example: lag 512KiB 15s", arg)
		}
	}
	return nil
}

func (p *parser) cors() error {
	c := new(endpoint.CORS)
	p.s.CORS = c
	p.corsAt = caddyfile.NewDispenser([]caddyfile.Token{p.Token()})
	p.corsAt.Next()
	if err := p.onlyBlock("origins https://chat.example.com"); err != nil {
		return err
	}
	for nesting := p.Nesting(); p.NextBlock(nesting); {
		if option := p.Val(); option != "origins" {
			return p.Errf("unknown option %q of cors%s", option, suggest.Among(option, []string{"origins"}))
		}
		origins := p.RemainingArgs()
		if len(origins) == 0 {
			return p.ArgErr()
		}
		c.Origins = append(c.Origins, origins...)
	}
	if err := c.Validate(false); err != nil {
		return p.WrapErr(err)
	}
	return nil
}

// didYouMeanKey suggests a key of a map.
func didYouMeanKey[V any](got string, known map[string]V) string {
	return suggest.Among(got, slices.Sorted(maps.Keys(known)))
}

// secretsOf reads one or more secrets, unresolved.
func (p *parser) secretsOf(target *[]string) error {
	secrets := p.RemainingArgs()
	if len(secrets) == 0 {
		return p.Errf("secret needs at least one secret, as in: secret {env.HOOK_SECRET}")
	}
	*target = append(*target, secrets...)
	return nil
}

// resolveSecrets replaces the placeholders of secrets. One that is unknown, or
// that can be guessed, is refused.
func resolveSecrets(repl *caddy.Replacer, secrets []string) ([]string, error) {
	resolved := make([]string, len(secrets))
	for i, secret := range secrets {
		value, err := repl.ReplaceOrErr(secret, true, true)
		if err != nil {
			return nil, fmt.Errorf("secret %d: %w: set the variable for this process, for example: export NAME=$(openssl rand -hex 32)", i+1, err)
		}
		if err := webhook.CheckSecret(value); err != nil {
			return nil, fmt.Errorf("secret %d: %w", i+1, err)
		}
		resolved[i] = value
	}
	return resolved, nil
}

// revoke reads where the app says that access has changed. Syntax:
//
//	revoke <path> {
//	    secret <secrets...>
//	}
func (p *parser) revoke() error {
	args := p.RemainingArgs()
	switch {
	case len(args) > 0 && args[0] == "tap":
		return p.revokeTap(args[1:])
	case p.s.Revoke != nil:
		return p.Errf("revoke is given twice")
	case len(args) != 1:
		return p.Errf("revoke needs a path, as in revoke /hooks/revoke, or tap and an answer of the app, as in revoke tap POST /logout 200")
	}
	rv := &Revoke{Path: args[0]}
	p.s.Revoke = rv
	if err := endpoint.CheckPath("revoke", rv.Path); err != nil {
		return p.WrapErr(err)
	}
	for nesting := p.Nesting(); p.NextBlock(nesting); {
		if option := p.Val(); option != "secret" {
			return p.Errf("unknown option %q of revoke%s", option, suggest.Among(option, []string{"secret"}))
		}
		if err := p.secretsOf(&rv.Secrets); err != nil {
			return err
		}
	}
	if len(rv.Secrets) == 0 {
		return p.Errf("revoke %s: the secret is missing; write for example: secret {env.REVOKE_SECRET}", rv.Path)
	}
	return nil
}

// health reads the path of the readiness check.
func (p *parser) health() error {
	if err := p.oneArg(&p.s.Health); err != nil {
		return err
	}
	if err := endpoint.CheckPath("health", p.s.Health); err != nil {
		return p.WrapErr(err)
	}
	return nil
}
