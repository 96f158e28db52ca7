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
	// Poke lists the channels that a pull reads because of it.
	Poke []string
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

// trace is what the deciding code leaves of one message, for Explain.
type trace struct {
	dropped *Condition
	asked   [fieldCount]bool
	rules   [fieldCount]*rule // whose value was used
	values  [fieldCount]string
}

// found notes what decided about a field. The first time counts: later ones ask for
// the same again.
func (t *trace) found(f field, r *rule, v Value) {
	if t.asked[f] {
		return
	}
	t.asked[f] = true
	if r != nil && v.kind != missing {
		t.rules[f], t.values[f] = r, v.Show()
	}
}

// fields are those that the message was asked for and that have rules.
func (t *trace) fields(d *Decoder) (fields []Field) {
	for f, name := range fieldNames {
		switch r := t.rules[f]; {
		case !t.asked[f] || len(d.rules[f]) == 0:
		case r != nil:
			fields = append(fields, Field{Name: name, Rule: r.text, Value: t.values[f]})
		default:
			texts := make([]string, len(d.rules[f]))
			for i := range d.rules[f] {
				texts[i] = d.rules[f][i].text
			}
			fields = append(fields, Field{Name: name, Rule: strings.Join(texts, ", ")})
		}
	}
	return fields
}

// askRest asks a message for the fields that it was not asked for, since it was known
// before that it cannot be mapped.
func (d *Decoder) askRest(s *Payload) error {
	for f := range fieldCount {
		if !s.trace.asked[f] {
			if _, err := d.get(s, f); err != nil {
				return err
			}
		}
	}
	return nil
}

// Explain maps a payload whose body was read, as Map does, and tells how: from a
// trace that the same code leaves. Of a message that cannot be mapped, it shows the
// fields that were not decided on any more, too. The messages are in order; what is
// wrong with the payload as a whole is an *Error.
func (d *Decoder) Explain(s *Payload) ([]Message, error) {
	var messages []Message
	if err := d.split(s); err != nil {
		return nil, err
	}
	defer func() { s.trace = nil }()
	var all Decoded
	err := d.eachItem(s, &all, func(index int) error {
		before := all
		all.Unmapped, all.Reason, all.UnmappedFor = 0, "", nil
		s.trace = new(trace)
		err := d.mapItem(s, &all, index)
		m := Message{
			Events: all.Events[len(before.Events):], Revoke: all.Revoke[len(before.Revoke):],
			Poke:     all.Poke[len(before.Poke):],
			Unmapped: all.Reason, Untimed: all.Untimed > before.Untimed,
		}
		if c := s.trace.dropped; c != nil {
			m.Dropped = c.text
		} else {
			if m.Unmapped != "" && err == nil {
				err = d.askRest(s)
			}
			m.Fields = s.trace.fields(d)
		}
		messages = append(messages, m)
		all.Unmapped, all.Reason = 0, ""
		return err
	})
	if all.Unmapped > 0 { // the payload as a whole
		messages = append(messages, Message{Unmapped: all.Reason})
	}
	return messages, err
}
