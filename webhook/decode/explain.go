package decode

import (
	"strings"

	"github.com/seed-078801ba/sidestream/stream/event"
)

// Message is one message of a payload.
type Message struct {
	// Events are the events that it becomes: one for each of its channels or
	// users; none if it was dropped or cannot be mapped.
	Events []event.Event
	// Fields are what the rules found, in the order of the fields.
	Fields []Field
	// Dropped is the condition that took the message; empty if none did.
	Dropped string
	// Unmapped is why it could not be mapped; empty if it could.
	Unmapped string
	// Untimed tells that the message has a time that cannot be read. The time of
	// arrival is used instead.
	Untimed bool
	// Revoke lists the users whose access is checked again because of it.
	Revoke []Revocation
}

// Field is what the rules of one field found in a message.
type Field struct {
	// Name is the field's, as in the configuration.
	Name string
	// Rule is the rule whose value was used. If no rule found anything, it lists
	// all of them, with commas between them.
	Rule string
	// Value is what it found, as JSON; empty if there was nothing.
	Value string
}

// Explain maps a payload whose body was read, as Map does, and tells how. The
// messages are in order; what is wrong with the payload as a whole is an *Error.
func (d *Decoder) Explain(s *Payload) ([]Message, error) {
	var messages []Message
	if err := d.split(s); err != nil {
		return nil, err
	}
	var whole Decoded // what is wrong with the delivery as a whole
	count := 0
	err := d.eachItem(s, &whole, func(index int) error {
		m, events, err := d.explainItem(s, index)
		messages = append(messages, m)
		if count += events; count > d.maxBatch && err == nil {
			err = errBatchTooLarge
		}
		return err
	})
	if whole.Unmapped > 0 {
		messages = append(messages, Message{Unmapped: whole.Reason})
	}
	return messages, err
}

// explainItem maps the item of the payload, and tells how.
func (d *Decoder) explainItem(s *Payload, index int) (Message, int, error) {
	var out Decoded
	if err := d.mapItem(s, &out, index); err != nil {
		return Message{}, 0, err
	}
	m := Message{Events: out.Events, Unmapped: out.Reason, Untimed: out.Untimed > 0, Revoke: out.Revoke}
	if out.Dropped > 0 {
		for _, c := range d.drop {
			if holds, err := c.Holds(s); holds && err == nil {
				m.Dropped = c.text
				break
			}
		}
		return m, 0, nil
	}
	for f := range fieldCount {
		if len(d.rules[f]) == 0 {
			continue
		}
		field := Field{Name: fieldNames[f]}
		r, v, err := d.find(s, f)
		switch {
		case err != nil:
			return m, 0, err
		case r != nil && v.kind != missing:
			field.Rule, field.Value = r.text, v.Show()
		default:
			texts := make([]string, len(d.rules[f]))
			for i := range d.rules[f] {
				texts[i] = d.rules[f][i].text
			}
			field.Rule = strings.Join(texts, ", ")
		}
		m.Fields = append(m.Fields, field)
	}
	return m, len(out.Events), nil
}
