package pull

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/seed-078801ba/sidestream/webhook/decode"
)

// Option sets one option of the configuration from words, as a line of a Caddyfile
// has them. `map`, `drop`, `header` and `always` add up; another one that comes twice
// is an error. Errors say what would be right.
func (c *Config) Option(name string, args []string) error {
	if set, ok := optionSetters[name]; ok {
		if err := set(c, args); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		return nil
	}
	if !slices.Contains(decodeOptions, name) {
		return fmt.Errorf("unknown option %q; the options are %s", name, strings.Join(OptionNames(), ", "))
	}
	return c.Config.Option(name, args)
}

// decodeOptions are those of package decode that mean something here.
var decodeOptions = []string{"max_body", "each", "max_batch", "channels", "map", "drop"}

// OptionNames are the options that Option knows.
func OptionNames() []string {
	names := slices.Clone(decodeOptions)
	for name := range optionSetters {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

var optionSetters = map[string]func(*Config, []string) error{
	"preset": func(c *Config, args []string) error {
		if c.URI != "" {
			return errors.New("there is an address already: write pull preset NAME in its place")
		}
		if _, err := findPreset(strings.Join(args, " ")); err != nil {
			return err
		}
		return decode.SetText(&c.Preset, args, "the name of a preset, as in preset mattermost")
	},
	"name": func(c *Config, args []string) error {
		return decode.SetText(&c.Name, args, "a name, as in name mattermost")
	},
	"newest": func(c *Config, args []string) error {
		return decode.SetText(&c.Newest, args, "a path and query, as in newest /messages?room={channel}")
	},
	"next": func(c *Config, args []string) error {
		return decode.SetText(&c.Next, args, "a path and query, as in next /messages?room={channel}&before={page.id}")
	},
	"cursor": func(c *Config, args []string) error {
		return decode.SetText(&c.Cursor, args, "a place in the answer, as in cursor {json.next}")
	},
	"token": func(c *Config, args []string) error {
		return decode.SetText(&c.Token, args, "the reader's credential, as in token {env.BOT_TOKEN}")
	},
	"user": func(c *Config, args []string) error {
		return decode.SetText(&c.User, args, "the reader's name, as in user bot@example.com")
	},
	"expect": func(c *Config, args []string) error {
		text := decode.QuoteWords(args)
		if _, err := decode.Answers().Condition(text); err != nil {
			return err
		}
		return decode.SetText(&c.Expect, []string{text}, "a condition, as in expect {json.ok} == true")
	},
	"last_id": func(c *Config, args []string) error {
		return decode.SetText(&c.LastID, args, "a place in an item, as in last_id {item.event_id}")
	},
	"last_time": func(c *Config, args []string) error {
		return decode.SetText(&c.LastTime, args, "a place in an item, as in last_time {item.update_at}")
	},
	"header": func(c *Config, args []string) error {
		if len(args) != 2 {
			return errors.New("expected a name and a value, as in header Authorization \"Bearer {token}\"")
		}
		c.Headers = append(c.Headers, Header{args[0], args[1]})
		return nil
	},
	"always": func(c *Config, args []string) error {
		if len(args) == 0 {
			return errors.New("a channel is missing, as in always lobby")
		}
		c.Always = append(c.Always, args...)
		return nil
	},
	"every":     func(c *Config, args []string) error { return decode.SetDuration(&c.Every, args) },
	"overlap":   func(c *Config, args []string) error { return decode.SetDuration(&c.Overlap, args) },
	"timeout":   func(c *Config, args []string) error { return decode.SetDuration(&c.Timeout, args) },
	"pages":     func(c *Config, args []string) error { return setCount(&c.Pages, args) },
	"in_flight": func(c *Config, args []string) error { return setCount(&c.InFlight, args) },
	"rate":      func(c *Config, args []string) error { return setCount(&c.Rate, args) },
}

func setCount(to *int, args []string) error {
	var text string
	if err := decode.SetText(&text, args, "a number, as in 10"); err != nil {
		return err
	}
	n, err := strconv.Atoi(text)
	switch {
	case err != nil || n < 1:
		return fmt.Errorf("%q is no number from 1 on", text)
	case *to != 0:
		return errors.New("it is given twice")
	}
	*to = n
	return nil
}
