package decode

import (
	"crypto/sha256"
	"encoding/hex"
	"strconv"

	"github.com/seed-078801ba/sidestream/stream/event"
)

// address appends the event once for each user that it is for, or for each of
// its channels.
func (d *Decoder) address(s *Payload, out *Decoded, e *event.Event) error {
	if d.nowhere {
		if d.hashes {
			d.digest(s, e)
		}
		out.Events = append(out.Events, *e)
		return nil
	}
	to, err := d.get(s, fieldTo)
	if err != nil {
		return err
	}
	before, reason := len(out.Events), missingChannel
	if to.kind != missing && (to.kind != text || to.text != "") {
		reason = d.send(s, out, e, to, userAddress, reason)
	} else if reason, err = d.addressChannels(s, out, e, reason); err != nil {
		return err
	}
	switch {
	case len(out.Events) > d.maxBatch:
		return errBatchTooLarge
	case reason != "":
		out.Events = out.Events[:before] // all of its channels or none
		out.unmapped(reason)
	}
	return nil
}

// addressChannels sends the event to its channel, and to each of the further ones
// whose condition holds.
func (d *Decoder) addressChannels(s *Payload, out *Decoded, e *event.Event, reason string) (string, error) {
	r, v, err := d.find(s, fieldChannel)
	if err != nil {
		return "", err
	}
	if s.trace != nil {
		s.trace.found(fieldChannel, r, v)
	}
	reason = d.send(s, out, e, v, r.kindOfAddress(), reason)
	for i := range d.rules[fieldAlso] {
		r := &d.rules[fieldAlso][i]
		if r.when != nil {
			if ok, err := r.when.Holds(s); err != nil {
				return "", err
			} else if !ok {
				continue
			}
		}
		v, err := r.value.eval(s, true)
		if err != nil {
			return "", err
		}
		if reason == "" || reason == missingChannel {
			reason = d.send(s, out, e, v, r.kindOfAddress(), reason)
		}
	}
	return reason, nil
}

const missingChannel = "the channel is missing"

// addressKind is what the names of a rule are names of.
type addressKind uint8

const (
	channelAddress addressKind = iota
	userAddress
	objectAddress
)

func (r *rule) kindOfAddress() addressKind {
	if r != nil && r.object {
		return objectAddress
	}
	return channelAddress
}

// send appends the event for each name in v. reason stays what it was if there is
// none, and is empty if all is well.
func (d *Decoder) send(s *Payload, out *Decoded, e *event.Event, v Value, kind addressKind, reason string) string {
	v.elements(func(name Value) bool {
		id, ok := name.identity()
		if ok && id.IsZero() {
			return true
		}
		if reason = unaddressable(name, kind); reason != "" {
			return false
		}
		addressed := *e
		addressed.Channel = id
		if kind == userAddress {
			addressed.To, addressed.Channel = id, event.String(event.UserChannel(id.Text))
		}
		if !d.channels.Match(addressed.Channel.Text) {
			reason = "the channel is none of those that this way in is bound to"
			return false
		}
		if d.hashes {
			d.digest(s, &addressed)
		}
		out.Events = append(out.Events, addressed)
		return len(out.Events) <= d.maxBatch
	})
	return reason
}

// Channel is the channel that a message goes to, as far as it can be told by what is
// there of the payload: the first of several, and none for a private message. It is
// for those who have no answer, and must tell where one is missing.
func (d *Decoder) Channel(s *Payload) (channel event.Scalar, ok bool) {
	if to, err := d.get(s, fieldTo); err != nil || to.kind != missing {
		return event.Scalar{}, false
	}
	v, err := d.get(s, fieldChannel)
	if err != nil {
		return event.Scalar{}, false
	}
	v.elements(func(name Value) bool {
		channel, ok = name.identity()
		ok = ok && !channel.IsZero() && unaddressable(name, channelAddress) == "" && d.channels.Match(channel.Text)
		return false
	})
	return channel, ok
}

// unaddressable says, in a constant text, why an event cannot go to a channel or
// user; empty if it can.
func unaddressable(v Value, kind addressKind) (reason string) {
	check, what := event.CheckChannel, "the channel is no id"
	switch kind {
	case userAddress:
		check, what = event.CheckUser, "the user that the message is for is no id"
	case objectAddress:
		check = event.CheckObjectChannel
	}
	if v.kind != text && v.kind != number {
		return what
	}
	err := check(v.text)
	switch {
	case err == nil:
		return ""
	case kind == userAddress:
		return what
	}
	return err.Error()
}

// digest puts a digest of the message where its id or version is the word hash.
func (d *Decoder) digest(s *Payload, e *event.Event) {
	for _, f := range []field{fieldID, fieldVersion} {
		// Whether the condition of a rule holds was found out in fillNames.
		if r, _, err := d.find(s, f); err != nil || r == nil || !r.hash {
			continue
		}
		if f == fieldVersion && d.plainCreate(e) {
			continue
		}
		h := sha256.New()
		millis := ""
		if !e.Time.IsZero() {
			millis = strconv.FormatInt(e.Time.UnixMilli(), 10)
		}
		for _, part := range []string{e.Channel.Text, e.User.Text, e.Op.String(), e.Type, e.Thread.Text, millis, e.Body} {
			h.Write(strconv.AppendInt(nil, int64(len(part)), 10))
			h.Write([]byte{':'})
			h.Write([]byte(part))
		}
		sum := hex.EncodeToString(h.Sum(nil)[:16])
		if f == fieldID {
			e.ID = event.String(sum)
		} else {
			e.Version = sum
		}
	}
}
