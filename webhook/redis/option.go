package redis

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/seed-078801ba/sidestream/webhook/decode"
)

// Option sets one option of the configuration from words, as a line of a
// Caddyfile has them: the option's name and what stands behind it. Subscribe,
// psubscribe, map, drop and revoke may come several times and add up; another
// one that comes twice is an error. Errors say what would be right.
//
//	name NAME
//	url URL
//	sentinel_user USERNAME PASSWORD
//	sentinel MASTER [USERNAME PASSWORD] | [PASSWORD]
//	subscribe CHANNEL...
//	psubscribe PATTERN...
//	match EXPRESSION
//	on_demand
//	stream KEY
//	field NAME
//	start resume|$|0
//	group NAME [CONSUMER]
//	queue MESSAGES [SIZE]
//	probe DURATION
//	probe_channel NAME
//
// and the options of decode.Config.
func (c *Config) Option(name string, args []string) error {
	if slices.Contains(decode.OptionNames, name) {
		return c.Config.Option(name, args)
	}
	set, ok := optionSetters[name]
	if !ok {
		return fmt.Errorf("unknown option %q; the options are %s", name, strings.Join(slices.Concat(optionNames, decode.OptionNames), ", "))
	}
	if err := set(c, args); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	return nil
}

var optionNames = []string{
	"name", "url", "sentinel_user", "sentinel", "subscribe", "psubscribe", "match", "on_demand", "stream", "field", "start", "group", "queue",
	"probe", "probe_channel",
}

var optionSetters = map[string]func(*Config, []string) error{
	"name":          func(c *Config, args []string) error { return setText(&c.Name, args, "name app") },
	"url":           func(c *Config, args []string) error { return setText(&c.URL, args, "url redis://localhost:6379") },
	"sentinel_user": (*Config).setSentinelUser,
	"sentinel":      (*Config).setSentinel,
	"subscribe": func(c *Config, args []string) error {
		return addNames(&c.Subscribe, args, "subscribe chat")
	},
	"psubscribe": func(c *Config, args []string) error {
		return addNames(&c.PSubscribe, args, "psubscribe chat:*")
	},
	"match": func(c *Config, args []string) error {
		if err := setText(&c.Match, args, "match :room_(?<channel>[0-9]+)$"); err != nil {
			return err
		}
		_, err := parseMatch(c.Match)
		return err
	},
	"on_demand": func(c *Config, args []string) error { return decode.SetFlag(&c.OnDemand, args) },
	"stream":    func(c *Config, args []string) error { return setText(&c.Stream, args, "stream chat:events") },
	"field":     func(c *Config, args []string) error { return setText(&c.Field, args, "field payload") },
	"start":     func(c *Config, args []string) error { return setText(&c.Start, args, "start resume") },
	"group": func(c *Config, args []string) error {
		if len(args) == 2 {
			if err := setText(&c.Consumer, args[1:], "group sidestream node1"); err != nil {
				return err
			}
			args = args[:1]
		}
		return setText(&c.Group, args, "group sidestream")
	},
	"queue": (*Config).setQueue,
	"probe": func(c *Config, args []string) error {
		var text string
		if err := setText(&text, args, "probe 3s"); err != nil {
			return err
		}
		d, err := time.ParseDuration(text)
		if err != nil || d <= 0 {
			return fmt.Errorf("%q is no duration; write for example 3s", text)
		}
		c.Probe = decode.Duration(d)
		return nil
	},
	"probe_channel": func(c *Config, args []string) error {
		return setText(&c.ProbeChannel, args, "probe_channel sidestream:probe")
	},
}

func setText(to *string, args []string, example string) error {
	return decode.SetText(to, args, "as in "+example)
}

func addNames(to *[]string, args []string, example string) error {
	if len(args) == 0 || slices.Contains(args, "") {
		return fmt.Errorf("a name is missing, as in %s", example)
	}
	*to = append(*to, args...)
	return nil
}

func (c *Config) setSentinelUser(args []string) error {
	switch {
	case c.Sentinel != nil:
		return fmt.Errorf("it is set twice; sentinel says the same")
	case len(args) != 2 || args[0] == "" || args[1] == "":
		return fmt.Errorf("expected a name and a password, as in sentinel_user sidestream {env.SENTINEL_PASSWORD}")
	}
	c.Sentinel = &Sentinel{Username: args[0], Password: args[1]}
	return nil
}

func (c *Config) setSentinel(args []string) error {
	switch {
	case c.Sentinel != nil:
		return fmt.Errorf("it is set twice; sentinel_user says a part of the same")
	case len(args) == 0 || len(args) > 3 || args[0] == "":
		return fmt.Errorf("expected the name of the master, and what the sentinels want, as in sentinel mymaster {env.SENTINEL_PASSWORD}")
	}
	c.Sentinel = &Sentinel{Master: args[0]}
	switch len(args) {
	case 2:
		c.Sentinel.Password = args[1]
	case 3:
		c.Sentinel.Username, c.Sentinel.Password = args[1], args[2]
	}
	return nil
}

func (c *Config) setQueue(args []string) error {
	if c.QueueEvents != 0 {
		return fmt.Errorf("it is set twice")
	}
	if len(args) == 0 || len(args) > 2 {
		return fmt.Errorf("expected how many messages may wait, and perhaps how many bytes, as in queue 65536 64MiB")
	}
	n, err := strconv.Atoi(args[0])
	if err != nil || n < 1 {
		return fmt.Errorf("%q is no number from 1 on", args[0])
	}
	c.QueueEvents = n
	if len(args) == 2 {
		return decode.SetSize(&c.QueueBytes, args[1:])
	}
	return nil
}
