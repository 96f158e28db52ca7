package caddymodule

import (
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/caddyserver/caddy/v2"

	"github.com/seed-078801ba/sidestream/caddymodule/forwardauth"
	"github.com/seed-078801ba/sidestream/caddymodule/suggest"
	"github.com/seed-078801ba/sidestream/webhook/decode"
)

// authOptions lists what may stand in the block of auth.
var authOptions = []string{
	"all_channels", "allow", "anonymous", "cache", "cookies", "credential", "deny", "filter", "form", "grace", "header", "hide", "history", "host", "identity",
	"list", "max_in_flight", "negative", "recheck", "timeout", "user",
}

// auth reads how the backend is asked. Syntax:
//
//	auth none
//	auth preset <name> { ... }
//	auth GET|POST <uri> {
//	    host     <name>                 # that the app is asked under
//	    header   <name> <value>         # with {channel} {org} {flow} {token} {username} {password}
//	    form     <name> <value>         # of a POST
//	    credential header|query <name>  # where clients carry their token
//	    cookies  <names...>
//	    anonymous                       # ask without credentials, too
//	    all_channels                    # the request names no channel
//	    allow    status <status...>
//	    allow    {json.<path>} == <value> [and ...]
//	    allow    json <path> ==|!=|contains <value>
//	    allow    json <path> exists
//	    deny     {json.<path>} == <value> [and ...]
//	    deny     json <path> ...
//	    list     {json.<path>}          # the answer lists all channels
//	    list     json <path>
//	    user     {json.<path>}
//	    user     json <path>
//	    user     header <name>
//	    identity [GET] <uri>
//	    timeout  <duration>
//	    cache    <duration>
//	    negative <duration>
//	    recheck  <duration>
//	    grace    <duration>
//	    max_in_flight <count>
//	    filter   all|intersect
//	    hide
//	}
func (p *parser) auth() error {
	a := new(Auth)
	p.s.Auth = a
	args := p.RemainingArgs()
	switch {
	case len(args) == 1 && args[0] == "none":
		a.None = true
		if p.NextBlock(p.Nesting()) {
			return p.Errf("auth none asks nobody, so there is nothing to say about it")
		}
		return nil
	case len(args) == 2 && args[0] == "preset":
		a.Preset = args[1]
		if names := forwardauth.PresetNames(); !slices.Contains(names, a.Preset) {
			return p.Errf("unknown auth preset %q%s", a.Preset, suggest.Among(a.Preset, names))
		}
	case len(args) == 2 && (args[0] == http.MethodGet || args[0] == http.MethodPost):
		a.Method, a.URI = args[0], args[1]
		if a.Method == http.MethodGet {
			a.Method = "" // the default
		}
		if err := forwardauth.CheckURI(a.URI); err != nil {
			return p.Errf("auth: %v", err)
		}
	case len(args) == 1 && slices.Contains(forwardauth.PresetNames(), args[0]):
		return p.Errf("auth needs the word preset before %s: write auth preset %[1]s", args[0])
	case len(args) == 1 && strings.HasPrefix(args[0], "/"):
		return p.Errf("auth needs a method before the path: write auth GET %s", args[0])
	case len(args) == 2 && slices.Contains([]string{http.MethodGet, http.MethodPost}, strings.ToUpper(args[0])):
		return p.Errf("auth: methods are in capitals: write auth %s %s", strings.ToUpper(args[0]), args[1])
	default:
		return p.Errf("auth is one of: auth GET /room/{channel}.json, auth preset <name>, auth none")
	}
	for nesting := p.Nesting(); p.NextBlock(nesting); {
		if err := p.authOption(a); err != nil {
			return err
		}
	}
	if err := forwardauth.Check(a.With(withoutKnown)); err != nil {
		return p.WrapErr(err)
	}
	return nil
}

func (p *parser) authOption(a *Auth) error {
	switch option := p.Val(); option {
	case "header":
		return p.field(&a.Headers)
	case "form":
		return p.field(&a.Form)
	case "credential":
		var place forwardauth.Place
		if !p.AllArgs(&place.In, &place.Name) {
			return p.Errf("credential is: credential header <name>, or: credential query <name>")
		}
		if err := place.Check(); err != nil {
			return p.WrapErr(err)
		}
		a.Credentials = append(a.Credentials, place)
	case "cookies":
		names := p.RemainingArgs()
		if len(names) == 0 {
			return p.ArgErr()
		}
		a.Cookies = append(a.Cookies, names...)
	case "anonymous":
		a.Anonymous = true
		return p.noMoreArgs()
	case "host":
		return p.oneArg(&a.Host)
	case "all_channels":
		a.AllChannels = true
		return p.noMoreArgs()
	case "hide":
		a.Hide = true
		return p.noMoreArgs()
	case "allow":
		return p.allow(a)
	case "deny":
		return p.deny(a)
	case "list":
		return p.finding(&a.List, &a.ListJSON, "json")
	case "user":
		return p.user(a)
	case "identity":
		args := p.RemainingArgs()
		if len(args) == 2 && args[0] == http.MethodGet {
			args = args[1:]
		}
		if len(args) != 1 {
			return p.ArgErr()
		}
		a.Identity = args[0]
		if err := forwardauth.CheckIdentity(a.Identity); err != nil {
			return p.Errf("identity: %v", err)
		}
	case "history":
		var word string
		if !p.AllArgs(&word, &a.HistoryShown) || word != "shown" {
			return p.Errf("history is: history shown all, history shown since_join, or: history shown none")
		}
		if err := forwardauth.CheckShown(a.HistoryShown); err != nil {
			return p.Errf("%v", err)
		}
	case "timeout", "cache", "negative", "recheck", "grace":
		return p.duration(map[string]*caddy.Duration{
			"timeout": &a.Timeout, "cache": &a.Cache, "negative": &a.Negative, "recheck": &a.Recheck, "grace": &a.Grace,
		}[option])
	case "max_in_flight":
		return p.count(&a.MaxInFlight)
	case "filter":
		if err := p.oneArg(&a.Filter); err != nil {
			return err
		}
		if a.Filter != filterAll && a.Filter != filterIntersect {
			return p.Errf("filter is all or intersect, not %q", a.Filter)
		}
	default:
		return p.Errf("unknown option %q of auth%s", option, suggest.Among(option, authOptions))
	}
	return nil
}

// field reads a name and a value.
func (p *parser) field(fields *[]forwardauth.Field) error {
	option := p.Val()
	var f forwardauth.Field
	if !p.AllArgs(&f.Name, &f.Value) {
		return p.Errf(`%s needs a name and a value, as in: header Authorization "Bearer {token}"`, option)
	}
	if err := forwardauth.CheckValue(withoutKnown(f.Value)); err != nil {
		return p.Errf("%s %s: %v", option, f.Name, err)
	}
	*fields = append(*fields, f)
	return nil
}

// withoutKnown leaves out the placeholders that are only resolved when the
// configuration is loaded, such as {env.X}.
func withoutKnown(text string) string {
	for _, prefix := range []string{"{env.", "{file.", "{system."} {
		for {
			start := strings.Index(text, prefix)
			if start < 0 {
				break
			}
			end := strings.IndexByte(text[start:], '}')
			if end < 0 {
				break
			}
			text = text[:start] + text[start+end+1:]
		}
	}
	return text
}

func (p *parser) allow(a *Auth) error {
	if !p.NextArg() {
		return p.ArgErr()
	}
	switch kind := p.Val(); {
	case kind == "json":
		return p.comparison(&a.AllowJSON)
	case kind == "status":
		args := p.RemainingArgs()
		if len(args) == 0 {
			return p.ArgErr()
		}
		for _, arg := range args {
			status, err := strconv.Atoi(arg)
			if err != nil || status < 200 || status > 299 {
				return p.Errf("allow status: %q is no status from 200 to 299", arg)
			}
			a.Status = append(a.Status, status)
		}
		return nil
	case strings.HasPrefix(kind, "{"):
		return p.condition(&a.Allow)
	default:
		return p.Errf("unknown allow %q; it is: allow {json.<path>} == <value>, or: allow json <path> == <value>, or: allow status <codes>", p.Val())
	}
}

func (p *parser) deny(a *Auth) error {
	if !p.NextArg() {
		return p.ArgErr()
	}
	switch kind := p.Val(); {
	case kind == "json":
		return p.comparison(&a.DenyJSON)
	case strings.HasPrefix(kind, "{"):
		return p.condition(&a.Deny)
	}
	return p.Errf("unknown deny %q; it is: deny json <path> == <value>, or: deny {json.<path>} == <value>", p.Val())
}

// condition reads a condition of which the first word is read already.
func (p *parser) condition(conditions *[]string) error {
	text := decode.QuoteWords(append([]string{p.Val()}, p.RemainingArgs()...))
	if err := forwardauth.CheckCondition(withoutKnown(text)); err != nil {
		return p.WrapErr(err)
	}
	*conditions = append(*conditions, text)
	return nil
}

// comparison reads <path> <op> [<value>].
func (p *parser) comparison(conditions *[]*forwardauth.Condition) error {
	args := p.RemainingArgs()
	if len(args) < 2 || len(args) > 3 {
		return p.Errf("a condition is: json <path> == <value>, or with !=, contains or exists")
	}
	c := &forwardauth.Condition{Path: args[0], Op: args[1]}
	if len(args) == 3 {
		c.Value = args[2]
	}
	if err := c.Check(); err != nil {
		return p.Errf("json %s: %v", c.Path, err)
	}
	*conditions = append(*conditions, c)
	return nil
}

// finding reads where the answer has something: a path behind json, or a value
// of the language. kinds are what else may stand there, for errors.
func (p *parser) finding(text, path *string, kinds ...string) error {
	option, args := p.Val(), p.RemainingArgs()
	if *text != "" || *path != "" {
		return p.Errf("%s is given twice", option)
	}
	switch {
	case len(args) == 2 && args[0] == "json":
		*path = args[1]
	case len(args) > 0 && strings.HasPrefix(args[0], "{"):
		*text = strings.Join(args, " ") // alternatives have spaces around ??
	case len(args) == 2:
		return p.Errf("unknown kind of %s %q%s", option, args[0], suggest.Among(args[0], kinds))
	default:
		return p.Errf("%s is: %s json <path>, or: %s {json.<path>}", option, option, option)
	}
	if err := forwardauth.CheckFinding(*text, *path); err != nil {
		return p.Errf("%s: %v", option, err)
	}
	return nil
}

func (p *parser) user(a *Auth) error {
	if p.NextArg() {
		if p.Val() == "header" {
			if a.User != "" || a.UserJSON != "" || a.UserHeader != "" {
				return p.Errf("user is given twice")
			}
			return p.oneArg(&a.UserHeader)
		}
		p.Prev()
	}
	if a.UserHeader != "" {
		return p.Errf("user is given twice")
	}
	return p.finding(&a.User, &a.UserJSON, "header", "json")
}
