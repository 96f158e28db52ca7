package decode

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Option sets one option of the configuration from words, as a line of a
// Caddyfile has them: the option's name and what stands behind it. Options that
// may come several times (channels, map, drop, events, revoke, poke) add up; another one that comes
// twice is an error. Errors say what would be right.
//
//	preset NAME
//	format json|form|cloudevents|msgpack|text
//	max_body SIZE
//	each EXPRESSION
//	max_batch N
//	channels PATTERN...
//	map FIELD VALUE [when CONDITION]
//	drop CONDITION|none
//	events NAME...
//	revoke USER [CHANNEL] [when CONDITION]
//	poke CHANNEL [when CONDITION]
func (c *Config) Option(name string, args []string) error { return c.option(deliveries, name, args) }

// AnswerOption is Option where the rules read answers, see NewAnswerDecoder.
func (c *Config) AnswerOption(name string, args []string) error {
	return c.option(answers, name, args)
}

func (c *Config) option(words *Vocabulary, name string, args []string) error {
	set, ok := optionSetters[name]
	if !ok {
		return fmt.Errorf("unknown option %q; the options are %s", name, strings.Join(OptionNames, ", "))
	}
	if err := set(c, words, args); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	return nil
}

// OptionNames are the options that Option knows.
var OptionNames = []string{"preset", "format", "max_body", "each", "max_batch", "channels", "map", "drop", "events", "revoke", "poke"}

var optionSetters = map[string]func(*Config, *Vocabulary, []string) error{
	"preset": func(c *Config, _ *Vocabulary, args []string) error {
		if _, err := findPreset(strings.Join(args, " ")); err != nil {
			return err
		}
		return SetText(&c.Preset, args, "the name of a preset, as in preset mattermost")
	},
	"format": func(c *Config, _ *Vocabulary, args []string) error {
		if len(args) == 1 && !slices.Contains(formats, Format(args[0])) {
			return fmt.Errorf("unknown format %q; the formats are json, form, cloudevents, msgpack and text", args[0])
		}
		return SetText((*string)(&c.Format), args, "a format, as in format json")
	},
	"max_body": func(c *Config, _ *Vocabulary, args []string) error { return SetSize(&c.MaxBody, args) },
	"each": func(c *Config, words *Vocabulary, args []string) error {
		if err := SetText(&c.Each, joined(args), "the place of the array in the payload, as in each {json.events}"); err != nil {
			return err
		}
		return (&Decoder{words: words}).compileEach(c.Each)
	},
	"max_batch": func(c *Config, _ *Vocabulary, args []string) error {
		var s string
		if err := SetText(&s, args, "a number, as in max_batch 100"); err != nil {
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
	"events": (*Config).addEvents,
	"channels": func(c *Config, _ *Vocabulary, args []string) error {
		if len(args) == 0 {
			return fmt.Errorf("a pattern is missing, as in channels acme/*")
		}
		c.Channels = append(c.Channels, args...)
		_, err := ParsePatterns(args)
		return err
	},
	"revoke": (*Config).addRevoke,
	"poke":   (*Config).addPoke,
}

// cutWhen takes the condition off the end of a rule.
func cutWhen(words *Vocabulary, args []string) (rest []string, condition string, err error) {
	i := slices.Index(args, "when")
	if i < 0 {
		return args, "", nil
	}
	condition = QuoteWords(args[i+1:])
	if _, err := words.Condition(condition); err != nil {
		return nil, "", err
	}
	return args[:i], condition, nil
}

func (c *Config) addMap(words *Vocabulary, args []string) error {
	if len(args) < 2 {
		return fmt.Errorf("expected a field and its value, as in map channel {json.room.id}")
	}
	f, err := parseField(args[0])
	if err != nil {
		return err
	}
	rest, when, err := cutWhen(words, args[1:])
	if err != nil {
		return err
	}
	r := MapRule{Field: args[0], Value: strings.Join(rest, " "), When: when}
	if _, err := compileRule(words, f, r); err != nil {
		return fmt.Errorf("%s: %w", args[0], err)
	}
	c.Map = append(c.Map, r)
	return nil
}

func (c *Config) addEvents(_ *Vocabulary, args []string) error {
	if len(args) == 0 || slices.Contains(args, "") {
		return fmt.Errorf("the name of an event is missing, as in events message \"new message\"")
	}
	c.Events = append(c.Events, args...)
	return nil
}

func (c *Config) addDrop(words *Vocabulary, args []string) error {
	if len(args) == 1 && args[0] == dropNone {
		c.Drop = append(c.Drop, dropNone)
		return nil
	}
	text := QuoteWords(args)
	if _, err := words.Condition(text); err != nil {
		return err
	}
	c.Drop = append(c.Drop, text)
	return nil
}

func (c *Config) addRevoke(words *Vocabulary, args []string) error {
	rest, when, err := cutWhen(words, args)
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
	if err := (&Decoder{words: words}).compileRevoke(r); err != nil {
		return err
	}
	c.Revoke = append(c.Revoke, r)
	return nil
}
