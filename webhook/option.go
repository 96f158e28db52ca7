package webhook

import (
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/seed-078801ba/sidestream/webhook/decode"
)

// Option sets one option of the configuration from words, as a line of a
// Caddyfile has them: the option's name and what stands behind it. Options that
// may come several times (secret, map, drop, revoke) add up; another one that
// comes twice is an error. Errors say what would be right.
//
//	preset NAME [path]
//	secret SECRET...
//	verify SCHEME [header NAME] [prefix TEXT] [encoding NAME] [key NAME] [algorithm NAME]
//	       [signed TEXT] [timestamp TEXT] [field TEXT] [query NAME] [parameter NAME] [tolerance DURATION]
//	format json|form|cloudevents|msgpack|text
//	max_body SIZE
//	body_timeout DURATION
//	gzip
//	each EXPRESSION
//	max_batch N
//	map FIELD VALUE [when CONDITION]
//	drop CONDITION
//	revoke USER [CHANNEL] [when CONDITION]
//	on_unmapped ack|reject
//	ack STATUS [CONTENT-TYPE [BODY]]
//	tolerance DURATION
//	allow_browser
//	never_retries
func (c *Config) Option(name string, args []string) error {
	if name == "preset" && len(args) == 2 {
		if args[1] != "path" {
			return fmt.Errorf("preset: %q is no way to use a preset; write preset %s path for a secret in the path, or verify for another way", args[1], args[0])
		}
		if err := c.Option("verify", args[1:]); err != nil {
			return err
		}
		args = args[:1]
	}
	if slices.Contains(decode.OptionNames, name) {
		return c.Config.Option(name, args)
	}
	set, ok := optionSetters[name]
	if !ok {
		return fmt.Errorf("unknown option %q; the options are %s", name, strings.Join(slices.Concat(decode.OptionNames, optionNames), ", "))
	}
	if err := set(c, args); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	return nil
}

var optionNames = []string{"secret", "verify", "body_timeout", "gzip", "on_unmapped", "ack", "tolerance", "allow_browser", "never_retries"}

var optionSetters = map[string]func(*Config, []string) error{
	"secret": func(c *Config, args []string) error {
		if len(args) == 0 {
			return fmt.Errorf("the secret is missing; write secret {env.HOOK_SECRET}")
		}
		c.Secrets = append(c.Secrets, args...)
		return nil
	},
	"verify":       (*Config).setVerify,
	"body_timeout": func(c *Config, args []string) error { return decode.SetDuration(&c.BodyTimeout, args) },
	"tolerance":    func(c *Config, args []string) error { return decode.SetDuration(&c.Tolerance, args) },
	"gzip":         func(c *Config, args []string) error { return decode.SetFlag(&c.Gzip, args) },
	"allow_browser": func(c *Config, args []string) error {
		return decode.SetFlag(&c.AllowBrowser, args)
	},
	"never_retries": func(c *Config, args []string) error {
		return decode.SetFlag(&c.NeverRetries, args)
	},
	"on_unmapped": func(c *Config, args []string) error {
		if len(args) == 1 && args[0] != onUnmappedAck && args[0] != onUnmappedReject {
			return fmt.Errorf("%q is neither ack nor reject", args[0])
		}
		return decode.SetText(&c.OnUnmapped, args, "ack or reject")
	},
	"ack": (*Config).setAck,
}

func (c *Config) setVerify(args []string) error {
	switch {
	case c.Verify != nil:
		return fmt.Errorf("it is set twice")
	case len(args) == 0:
		return fmt.Errorf("expected one of %s", strings.Join(schemes, ", "))
	}
	v := &Verify{Scheme: args[0]}
	if algorithm, ok := strings.CutPrefix(v.Scheme, "hmac_"); ok {
		v.Scheme, v.Algorithm = "hmac", algorithm
	}
	if v.Scheme == "svix" {
		v.Scheme = "standardwebhooks"
	}
	if !slices.Contains(schemes, v.Scheme) {
		return fmt.Errorf("unknown way to verify, %q; the ways are %s", args[0], strings.Join(schemes, ", "))
	}
	for i := 1; i < len(args); i++ {
		word := args[i]
		if isSecret(v.Scheme, word) {
			c.Secrets = append(c.Secrets, word)
			continue
		}
		to, scheme := v.option(word)
		switch {
		case to == nil && word != "tolerance":
			return fmt.Errorf("a word behind %s is no option of it; %s. A secret stands in a line of its own: secret {env.HOOK_SECRET}", args[0], optionsOf(v.Scheme))
		case to != nil && scheme != v.Scheme:
			return fmt.Errorf("%s belongs to %s, not to %s; %s", word, scheme, v.Scheme, optionsOf(v.Scheme))
		case i+1 == len(args):
			return fmt.Errorf("nothing stands behind %s", word)
		}
		i++
		if to == nil {
			if err := decode.SetDuration(&c.Tolerance, args[i:i+1]); err != nil {
				return err
			}
			continue
		}
		if *to != "" {
			return fmt.Errorf("%s is set twice", word)
		}
		*to = args[i]
	}
	c.Verify = v
	return nil
}

// isSecret tells whether a word behind a scheme can be nothing but a secret: a
// placeholder, or a key with the prefix of its scheme. Every other word could be
// an option that is spelled wrong, and a secret must not be made of it.
func isSecret(scheme, word string) bool {
	for _, prefix := range []string{"{env.", "{file."} {
		if strings.HasPrefix(word, prefix) {
			return true
		}
	}
	return scheme == "standardwebhooks" && (strings.HasPrefix(word, "whsec_") || strings.HasPrefix(word, "whpk_"))
}

// optionsOf lists the options of a scheme, for errors.
func optionsOf(scheme string) string {
	var names []string
	for _, name := range verifyOptions {
		if _, of := new(Verify).option(name); of == scheme {
			names = append(names, name)
		}
	}
	if scheme == "hmac" || scheme == "standardwebhooks" || scheme == "slack" || scheme == "stripe" {
		names = append(names, "tolerance")
	}
	if len(names) == 0 {
		return scheme + " has no options"
	}
	return "the options of " + scheme + " are " + strings.Join(names, ", ")
}

var verifyOptions = []string{"header", "prefix", "encoding", "key", "algorithm", "signed", "timestamp", "field", "query", "parameter"}

// option is the place of an option and the scheme that it belongs to.
func (v *Verify) option(name string) (to *string, scheme string) {
	switch name {
	case "header":
		return &v.Header, "hmac"
	case "prefix":
		return &v.Prefix, "hmac"
	case "encoding":
		return &v.Encoding, "hmac"
	case "key":
		return &v.Key, "hmac"
	case "algorithm":
		return &v.Algorithm, "hmac"
	case "signed":
		return &v.Signed, "hmac"
	case "timestamp":
		return &v.Timestamp, "hmac"
	case "field":
		return &v.Field, "token"
	case "query":
		return &v.Query, "bearer"
	case "parameter":
		return &v.Parameter, "path"
	}
	return nil, ""
}

func (c *Config) setAck(args []string) error {
	switch {
	case c.Ack != nil:
		return fmt.Errorf("it is set twice")
	case len(args) == 2 && args[1] == "json":
		args = append(args, "{}")
	case len(args) != 1 && len(args) != 3:
		return fmt.Errorf("expected a status, or a status, a content type and a body, as in ack 204 or ack 200 json \"{}\"")
	}
	status, err := strconv.Atoi(args[0])
	if err != nil {
		return fmt.Errorf("%q is no status", args[0])
	}
	a := &Ack{Status: status}
	if len(args) == 3 {
		a.ContentType, a.Body = args[1], args[2]
		switch a.ContentType {
		case "json":
			a.ContentType = "application/json"
		case "text":
			a.ContentType = "text/plain; charset=utf-8"
		}
	}
	if err := a.check(); err != nil {
		return err
	}
	c.Ack = a
	return nil
}

func (a *Ack) check() error {
	switch {
	case a.Status < 200 || a.Status > 299:
		return fmt.Errorf("the status %d says that the delivery was not taken; write one from 200 to 299", a.Status)
	case a.Status == http.StatusNoContent && (a.Body != "" || a.ContentType != ""):
		return fmt.Errorf("a 204 has neither content type nor body")
	case strings.ContainsAny(a.ContentType, "\r\n"):
		return fmt.Errorf("a line break in the content type")
	case a.Body != "" && a.ContentType == "":
		return fmt.Errorf("a body needs a content type")
	}
	return nil
}

// durationOr is d, or def if d is not set.
func durationOr(d decode.Duration, def time.Duration) time.Duration {
	if d == 0 {
		return def
	}
	return time.Duration(d)
}
