package tap

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/seed-078801ba/sidestream/webhook/decode"
)

// optionNames are the options of a tap in a Caddyfile.
var optionNames = []string{"when", "each", "map", "channels", "drop", "revoke", "max_batch", "poke", "fields", "deliver", "prefix"}

// Option sets one option of the configuration from words, as a line of a Caddyfile has
// them: the option's name and what stands behind it. Those that may come several times
// (channels, map, drop, revoke, fields) add up; another one that comes twice is an
// error. Errors say what would be right.
func (c *Config) Option(name string, args []string) error {
	var err error
	switch name {
	case "each", "map", "channels", "drop", "revoke", "max_batch":
		return c.AnswerOption(name, args)
	case "when":
		err = setCondition(&c.When, args)
	case "poke":
		if err = decode.SetText(&c.Poke, words(args), "a channel, as in poke {path.room}"); err == nil {
			_, err = decode.ParseAnswerTemplate(c.Poke)
		}
	case "fields":
		if len(args) == 0 {
			err = errors.New("the name of a field is missing, as in fields id body created_at")
		}
		c.Fields = append(c.Fields, args...)
	case "deliver":
		err = decode.SetText(&c.Deliver, args, "full or thin, as in deliver thin")
	case "prefix":
		err = decode.SetText(&c.Prefix, args, "the path below which the app is, as in prefix /chat")
	default:
		return fmt.Errorf("unknown option %q; the options are %s", name, strings.Join(optionNames, ", "))
	}
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	return nil
}

// Title names the tap, for errors.
func (c *Config) Title() string {
	if c.Preset != "" {
		return "preset " + c.Preset
	}
	return c.title()
}

// Option sets user, channel or when.
func (r *Revocation) Option(name string, args []string) error {
	var err error
	switch name {
	case "user":
		err = decode.SetText(&r.User, args, "a user, as in user {path.user}")
	case "channel":
		err = decode.SetText(&r.Channel, args, "a channel, as in channel {path.room}")
	case "when":
		err = setCondition(&r.When, args)
	default:
		return fmt.Errorf("unknown option %q; the options are user, channel and when", name)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	return nil
}

func setCondition(to *string, args []string) error {
	if *to != "" {
		return errors.New("it is set twice; join conditions with and")
	}
	*to = decode.QuoteWords(args)
	_, err := decode.ParseAnswerCondition(*to)
	return err
}

// words joins what a hole with spaces was cut into.
func words(args []string) []string {
	if len(args) == 0 || slices.Contains(args, "") {
		return nil
	}
	return []string{strings.Join(args, " ")}
}
