package webhook

import (
	"errors"
	"net/http"
	"strconv"
	"strings"

	"github.com/valyala/fastjson"

	"github.com/seed-078801ba/sidestream/stream/event"
)

// Explanation is what becomes of a delivery and why, for an operator who tries
// one out. It holds values of the payload, but no secret of the configuration.
type Explanation struct {
	// Scheme is how deliveries are verified.
	Scheme string
	// Unverified is what was wrong with where the delivery comes from; empty if
	// nothing was. Such a delivery is explained all the same.
	Unverified string
	// Unreadable is why nothing could be made of the payload; empty if
	// something could.
	Unreadable string
	// Challenge: it is no message but a question whether somebody is there,
	// which is answered with 200 and what it asks for.
	Challenge bool
	// Messages are what the payload holds, in order.
	Messages []Message
	// Status and ContentType are what the sender is answered if the store takes
	// the events. A Status of 200 can be 202, where the store keeps them in
	// memory only. Answers that refuse have no body.
	Status      int
	ContentType string
	// Body is that of the answer; empty also where it says at which position
	// the events stand.
	Body string
}

// Message is one message of a payload.
type Message struct {
	// Events are what it becomes: one, or one for each of its channels or
	// users, or none.
	Events []event.Event
	// Fields are what the rules found, in the order of the fields.
	Fields []Field
	// Dropped is the condition that took the message; empty if none did.
	Dropped string
	// Unmapped is why it could not be mapped; empty if it could.
	Unmapped string
	// Untimed: the time is there but cannot be read; that of arrival stands in.
	Untimed bool
	// Revoke are the users whose access is asked for again because of it.
	Revoke []Revocation
}

// Field is what the rules of one field found in a message.
type Field struct {
	// Name is the field's, as in the configuration.
	Name string
	// Rule is the value of the rule that counts; of all rules, with commas
	// between them, if none found anything.
	Rule string
	// Value is what it found, as JSON; empty if there was nothing.
	Value string
}

// Explain does with a delivery what Serve does, but publishes nothing, and goes
// on where Serve would have refused it for where it comes from. It is as if the
// delivery had come with the method that the hook wants.
func (h *Hook) Explain(in Input) Explanation {
	e := Explanation{Scheme: h.scheme}
	s := newScope(&in)
	defer s.release()
	refused := h.check(s, stageHead)
	if refused == nil {
		refused = h.check(s, stageBody)
	}
	err := h.decoder.decode(s)
	if err == nil && refused == nil {
		refused = h.check(s, stageDecoded)
	}
	if refused != nil {
		e.Unverified = reasonOf(refused)
	}
	if err == nil {
		err = h.explainDecoded(s, &e)
	}
	switch {
	case refused != nil:
		e.Status = statusOf(refused)
	case err != nil:
		e.Status = statusOf(err)
	case e.Challenge:
		e.Status = http.StatusOK
	case h.ack != nil:
		e.Status, e.ContentType, e.Body = h.ack.Status, h.ack.ContentType, h.ack.Body
	default:
		e.Status, e.ContentType = http.StatusOK, "application/json"
	}
	if err != nil && !errors.Is(err, errUnmapped) {
		e.Unreadable, e.Messages = reasonOf(err), nil
	}
	return e
}

// explainDecoded goes through the messages of a delivery that was decoded.
func (h *Hook) explainDecoded(s *scope, e *Explanation) error {
	if h.preset.challenge {
		if _, done, err := challenge(s); done || err != nil {
			e.Challenge = done
			return err
		}
	}
	var err error
	if s.in.Delivery, err = h.delivery(s.in.Header); err != nil {
		return err
	}
	d := h.decoder
	if err := d.split(s); err != nil {
		return err
	}
	var whole Decoded // what is wrong with the delivery as a whole
	count := 0
	err = d.eachItem(s, &whole, func(index int) error {
		m, events, err := d.explainItem(s, index)
		e.Messages = append(e.Messages, m)
		if count += events; count > d.maxBatch && err == nil {
			err = errBatchTooLarge
		}
		return err
	})
	if whole.Unmapped > 0 {
		e.Messages = append(e.Messages, Message{Unmapped: whole.Reason})
	}
	if err != nil || !h.reject {
		return err
	}
	for _, m := range e.Messages {
		if m.Unmapped != "" {
			return errUnmapped
		}
	}
	return nil
}

// explainItem maps the item of the scope, and tells how.
func (d *Decoder) explainItem(s *scope, index int) (Message, int, error) {
	var out Decoded
	if err := d.mapItem(s, &out, index); err != nil {
		return Message{}, 0, err
	}
	m := Message{Events: out.Events, Unmapped: out.Reason, Untimed: out.Untimed > 0, Revoke: out.Revoke}
	if out.Dropped > 0 {
		for _, c := range d.drop {
			if holds, err := c.holds(s); holds && err == nil {
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
		r, v, err := d.find(s, f, f != fieldBody && f != fieldUserName)
		switch {
		case err != nil:
			return m, 0, err
		case r != nil && v.kind != missing:
			field.Rule, field.Value = r.text, v.shown()
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

// shown is the value as JSON.
func (v *value) shown() string {
	switch v.kind {
	case text:
		return string(appendJSONString(nil, v.text))
	case number, boolean:
		return v.text
	case list:
		elements := make([]string, len(v.list))
		for i := range v.list {
			elements[i] = v.list[i].shown()
		}
		return "[" + strings.Join(elements, ",") + "]"
	case composite:
		if v.node.Type() == fastjson.TypeArray {
			return string(v.node.MarshalTo(nil))
		}
		return "an object of " + strconv.Itoa(v.node.GetObject().Len()) + " fields"
	}
	return ""
}
