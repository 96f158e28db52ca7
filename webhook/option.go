package webhook

import (
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Option sets one option of the configuration from words, as a line of a
// Caddyfile has them: the option's name and what stands behind it. Options that
// may come several times (secret, map, drop, revoke) add up; another one that
// comes twice is an error. Errors say what would be right.
//
//	preset NAME
//	secret SECRET...
//	verify SCHEME [SECRET...] [header NAME] [prefix TEXT] [encoding NAME] [algorithm NAME]
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
//	ack STATUS [CONTENT-TYPE BODY]
//	tolerance DURATION
//	allow_browser
func (c *Config) Option(name string, args []string) error {
	set, ok := optionSetters[name]
	if !ok {
		return fmt.Errorf("unknown option %q; the options are %s", name, strings.Join(optionNames, ", "))
	}
	if err := set(c, args); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	return nil
}

var optionNames = []string{
	"preset", "secret", "verify", "format", "max_body", "body_timeout", "gzip", "each", "max_batch", "map", "drop", "revoke",
	"on_unmapped", "ack", "tolerance", "allow_browser",
}

var optionSetters = map[string]func(*Config, []string) error{
	"preset": func(c *Config, args []string) error {
		if _, err := findPreset(strings.Join(args, " ")); err != nil {
			return err
		}
		return setText(&c.Preset, args, "the name of a preset, as in preset mattermost")
	},
	"secret": func(c *Config, args []string) error {
		if len(args) == 0 {
			return fmt.Errorf("the secret is missing; write secret {env.HOOK_SECRET}")
		}
		c.Secrets = append(c.Secrets, args...)
		return nil
	},
	"verify": (*Config).setVerify,
	"format": func(c *Config, args []string) error {
		if len(args) == 1 && !slices.Contains(formats, Format(args[0])) {
			return fmt.Errorf("unknown format %q; the formats are json, form, cloudevents, msgpack and text", args[0])
		}
		return setText((*string)(&c.Format), args, "a format, as in format json")
	},
	"max_body": func(c *Config, args []string) error {
		var s string
		if err := setText(&s, args, "a size, as in max_body 1MiB"); err != nil {
			return err
		}
		n, err := parseSize(s)
		c.MaxBody = n
		return err
	},
	"body_timeout": func(c *Config, args []string) error { return setDuration(&c.BodyTimeout, args) },
	"tolerance":    func(c *Config, args []string) error { return setDuration(&c.Tolerance, args) },
	"gzip":         func(c *Config, args []string) error { return setFlag(&c.Gzip, args) },
	"allow_browser": func(c *Config, args []string) error {
		return setFlag(&c.AllowBrowser, args)
	},
	"each": func(c *Config, args []string) error {
		if err := setText(&c.Each, joined(args), "the place of the array in the payload, as in each {json.events}"); err != nil {
			return err
		}
		return new(Decoder).compileEach(c.Each)
	},
	"max_batch": func(c *Config, args []string) error {
		var s string
		if err := setText(&s, args, "a number, as in max_batch 100"); err != nil {
			return err
		}
		n, err := strconv.Atoi(s)
		if err != nil || n < 1 {
			return fmt.Errorf("%q is no number from 1 on", s)
		}
		c.MaxBatch = n
		return nil
	},
	"map":    (*Config).addMap,
	"drop":   (*Config).addDrop,
	"revoke": (*Config).addRevoke,
	"on_unmapped": func(c *Config, args []string) error {
		if len(args) == 1 && args[0] != onUnmappedAck && args[0] != onUnmappedReject {
			return fmt.Errorf("%q is neither ack nor reject", args[0])
		}
		return setText(&c.OnUnmapped, args, "ack or reject")
	},
	"ack": (*Config).setAck,
}

func setText(to *string, args []string, want string) error {
	switch {
	case *to != "":
		return fmt.Errorf("it is set twice")
	case len(args) != 1 || args[0] == "":
		return fmt.Errorf("expected one word: %s", want)
	}
	*to = args[0]
	return nil
}

func joined(args []string) []string {
	if len(args) == 0 {
		return nil
	}
	return []string{strings.Join(args, " ")}
}

func setDuration(to *Duration, args []string) error {
	if len(args) != 1 {
		return fmt.Errorf("expected one duration, as in 10s or 5m")
	}
	d, err := parseDuration(args[0])
	*to = Duration(d)
	return err
}

func setFlag(to *bool, args []string) error {
	if len(args) != 0 {
		return fmt.Errorf("it stands alone, but %q stands behind it", args[0])
	}
	*to = true
	return nil
}

var sizeUnits = []struct {
	suffix string
	bytes  int64
}{{"KiB", 1 << 10}, {"MiB", 1 << 20}, {"GiB", 1 << 30}, {"KB", 1e3}, {"kB", 1e3}, {"MB", 1e6}, {"GB", 1e9}, {"B", 1}, {"", 1}}

func parseSize(s string) (int64, error) {
	for _, unit := range sizeUnits {
		digits, ok := strings.CutSuffix(s, unit.suffix)
		if !ok || !isDigits(digits) {
			continue
		}
		n, err := strconv.ParseInt(digits, 10, 64)
		if err != nil || n <= 0 || n > 1<<40/unit.bytes {
			break
		}
		return n * unit.bytes, nil
	}
	return 0, fmt.Errorf("%q is no size; write for example 512KiB or 1MiB", s)
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
		to, scheme := v.option(args[i])
		if args[i] == "tolerance" && i+1 < len(args) {
			i++
			if err := setDuration(&c.Tolerance, args[i:i+1]); err != nil {
				return err
			}
			continue
		}
		switch {
		case to == nil:
			c.Secrets = append(c.Secrets, args[i])
			continue
		case scheme != v.Scheme:
			return fmt.Errorf("%s belongs to %s, not to %s", args[i], scheme, v.Scheme)
		case i+1 == len(args):
			return fmt.Errorf("nothing stands behind %s", args[i])
		}
		i++
		*to = args[i]
	}
	c.Verify = v
	return nil
}

// option is the place of an option and the scheme that it belongs to.
func (v *Verify) option(name string) (to *string, scheme string) {
	switch name {
	case "header":
		return &v.Header, "hmac"
	case "prefix":
		return &v.Prefix, "hmac"
	case "encoding":
		return &v.Encoding, "hmac"
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

// cutWhen takes the condition off the end of a rule.
func cutWhen(args []string) (rest []string, condition string, err error) {
	i := slices.Index(args, "when")
	if i < 0 {
		return args, "", nil
	}
	condition = quoteWords(args[i+1:])
	if _, err := parseCondition(condition); err != nil {
		return nil, "", err
	}
	return args[:i], condition, nil
}

func (c *Config) addMap(args []string) error {
	if len(args) < 2 {
		return fmt.Errorf("expected a field and its value, as in map channel {json.room.id}")
	}
	f, err := parseField(args[0])
	if err != nil {
		return err
	}
	rest, when, err := cutWhen(args[1:])
	if err != nil {
		return err
	}
	r := MapRule{Field: args[0], Value: strings.Join(rest, " "), When: when}
	if _, err := compileRule(f, r); err != nil {
		return fmt.Errorf("%s: %w", args[0], err)
	}
	c.Map = append(c.Map, r)
	return nil
}

func (c *Config) addDrop(args []string) error {
	text := quoteWords(args)
	if _, err := parseCondition(text); err != nil {
		return err
	}
	c.Drop = append(c.Drop, text)
	return nil
}

func (c *Config) addRevoke(args []string) error {
	rest, when, err := cutWhen(args)
	if err != nil {
		return err
	}
	if len(rest) == 0 || len(rest) > 2 {
		return fmt.Errorf("expected a user and perhaps a channel, as in revoke {json.user.id} {json.room.id} when {json.type} == left")
	}
	r := RevokeRule{User: rest[0], When: when}
	if len(rest) == 2 {
		r.Channel = rest[1]
	}
	if err := new(Decoder).compileRevoke(r); err != nil {
		return err
	}
	c.Revoke = append(c.Revoke, r)
	return nil
}

func (c *Config) setAck(args []string) error {
	switch {
	case c.Ack != nil:
		return fmt.Errorf("it is set twice")
	case len(args) != 1 && len(args) != 3:
		return fmt.Errorf("expected a status, or a status, a content type and a body, as in ack 200 json {}")
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
func durationOr(d Duration, def time.Duration) time.Duration {
	if d == 0 {
		return def
	}
	return time.Duration(d)
}
