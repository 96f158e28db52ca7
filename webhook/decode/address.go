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
	to, err := d.get(s, fieldTo)
	if err != nil {
		return err
	}
	private := to.kind != missing && (to.kind != text || to.text != "")
	v := to
	if !private {
		if v, err = d.get(s, fieldChannel); err != nil {
			return err
		}
	}
	before, reason := len(out.Events), "the channel is missing"
	v.elements(func(name Value) bool {
		id, ok := name.identity()
		if ok && id.IsZero() {
			return true
		}
		if reason = unaddressable(name, private); reason != "" {
			return false
		}
		addressed := *e
		addressed.Channel = id
		if private {
			addressed.To, addressed.Channel = id, event.String(event.UserChannel(id.Text))
		}
		if !d.channels.takes(addressed.Channel.Text) {
			reason = "the channel is none of those that this way in is bound to"
			return false
		}
		if d.hashes {
			d.digest(s, &addressed)
		}
		out.Events = append(out.Events, addressed)
		return len(out.Events) <= d.maxBatch
	})
	switch {
	case len(out.Events) > d.maxBatch:
		return errBatchTooLarge
	case reason != "":
		out.Events = out.Events[:before] // all of its channels or none
		out.unmapped(reason)
	}
	return nil
}

// unaddressable says, in a constant text, why an event cannot go to a channel or
// user; empty if it can.
func unaddressable(v Value, private bool) (reason string) {
	check, what := event.CheckChannel, "the channel is no id"
	if private {
		check, what = event.CheckUser, "the user that the message is for is no id"
	}
	if v.kind != text && v.kind != number {
		return what
	}
	err := check(v.text)
	switch {
	case err == nil:
		return ""
	case private:
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
