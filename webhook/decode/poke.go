package decode

import (
	"fmt"

	"github.com/seed-078801ba/sidestream/stream/event"
)

// pokeRule is a compiled PokeRule.
type pokeRule struct {
	channel *Template
	when    *Condition
}

func (d *Decoder) compilePoke(r PokeRule) (err error) {
	var out pokeRule
	if out.channel, err = d.words.Template(r.Channel); err != nil {
		return err
	}
	if name, fixed := out.channel.Constant(); fixed && !event.ValidChannel(name) {
		return fmt.Errorf("%q cannot be a channel: %w", name, event.CheckChannel(name))
	}
	if r.When != "" {
		if out.when, err = d.words.Condition(r.When); err != nil {
			return err
		}
	}
	d.poke = append(d.poke, out)
	return nil
}

// onlyPokes tells whether nothing of a delivery becomes an event.
func (d *Decoder) onlyPokes() bool { return len(d.rules[fieldChannel])+len(d.rules[fieldTo]) == 0 }

// Pokes tells whether a delivery may poke.
func (d *Decoder) Pokes() bool { return len(d.poke) > 0 }

// pokes adds the channels in which the message says that something is new.
func (d *Decoder) pokes(s *Payload, out *Decoded) (poked bool, err error) {
	for i := range d.poke {
		r := &d.poke[i]
		if r.when != nil {
			if ok, err := r.when.Holds(s); err != nil {
				return poked, err
			} else if !ok {
				continue
			}
		}
		v, err := r.channel.eval(s, true)
		if err != nil {
			return poked, err
		}
		v.elements(func(name Value) bool {
			if id, ok := name.identity(); ok && event.ValidChannel(id.Text) && d.channels.Match(id.Text) && len(out.Poke) < d.maxBatch {
				out.Poke, poked = append(out.Poke, id.Text), true
			}
			return true
		})
	}
	return poked, nil
}

func (c *Config) addPoke(words *Vocabulary, args []string) error {
	rest, when, err := cutWhen(words, args)
	if err != nil {
		return err
	}
	if len(rest) != 1 {
		return fmt.Errorf("expected a channel, as in poke {json.room.id} when {json.event} == message_created")
	}
	r := PokeRule{Channel: rest[0], When: when}
	if err := (&Decoder{words: words}).compilePoke(r); err != nil {
		return err
	}
	c.Poke = append(c.Poke, r)
	return nil
}
