package decode

import (
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/valyala/fastjson"

	"github.com/seed-078801ba/sidestream/stream/event"
)

// field is something of an event that can be mapped.
type field uint8

const (
	fieldChannel field = iota
	fieldAlso
	fieldID
	fieldUser
	fieldUserName
	fieldTime
	fieldType
	fieldBody
	fieldOp
	fieldVersion
	fieldThread
	fieldTo
	fieldFiles
	fieldData
	fieldCount
)

var fieldNames = [fieldCount]string{
	fieldChannel: "channel", fieldAlso: "also", fieldID: "id", fieldUser: "user", fieldUserName: "user_name", fieldTime: "time",
	fieldType: "type", fieldBody: "body", fieldOp: "op", fieldVersion: "version", fieldThread: "thread",
	fieldTo: "to", fieldFiles: "files", fieldData: "data",
}

// strict tells what a missing part means for a value of several parts. With strict,
// the whole value is missing. In texts for people, only the part is empty.
func (f field) strict() bool { return f != fieldBody && f != fieldUserName }

// hashWord is the constant that stands for a digest of the message.
const hashWord = "hash"

// rule is a compiled MapRule.
type rule struct {
	value *Template
	when  *Condition
	hash  bool
	// object: the value is the name of an object's channel, whatever is in a payload.
	object bool
	text   string // as it was written, with its condition
}

// Revocation says that a user may have lost access to a channel. It denies
// nothing by itself: whoever gets it asks the backend again.
type Revocation struct {
	User    string
	Channel string // empty: every channel
}

// Decoded is what became of a delivery.
type Decoded struct {
	// Events are in the order of the delivery.
	Events []event.Event
	// Revoke lists the users whose access is checked again, after the events were
	// published.
	Revoke []Revocation
	// Poke lists the channels in which something is new that the delivery does not
	// say.
	Poke []string
	// Dropped counts the messages that a drop condition took.
	Dropped int
	// Unmapped counts the messages that could not be mapped, UnmappedFor by the
	// reason, which is a constant text.
	Unmapped    int
	UnmappedFor map[string]int
	// Untimed counts the events whose time could not be read. They have the time
	// of their arrival instead.
	Untimed int
	// Reason says, in a constant text, why the first unmapped message could
	// not be mapped.
	Reason string
	// Batch tells that the payload is an array of messages, even of one or none.
	Batch bool
}

// unmapped counts a message that cannot be mapped.
func (d *Decoded) unmapped(reason string) {
	if d.Unmapped == 0 {
		d.Reason, d.UnmappedFor = reason, map[string]int{}
	}
	d.Unmapped++
	d.UnmappedFor[reason]++
}

// mapItems maps every item of the payload.
func (d *Decoder) mapItems(s *Payload, out *Decoded) error {
	return d.eachItem(s, out, func(index int) error { return d.mapItem(s, out, index) })
}

// eachItem makes each item the payload's current one, one after the other.
func (d *Decoder) eachItem(s *Payload, out *Decoded, f func(index int) error) error {
	out.Batch = s.list
	if d.each == nil || s.whole {
		return f(0)
	}
	if len(s.bounds) == 0 && !s.list {
		out.unmapped("no items where each looks for them")
		return nil
	}
	start := 0
	for i, end := range s.bounds {
		s.item, s.itemValue = s.items[start:end:end], nil
		start = end
		if err := f(i); err != nil {
			return err
		}
	}
	return nil
}

func (d *Decoder) mapItem(s *Payload, out *Decoded, index int) error {
	if s.cloudEvent {
		if err := checkCloudEvent(s); err != nil {
			return err
		}
	}
	if err := d.revocations(s, out); err != nil {
		return err
	}
	if c, err := firstThatHolds(d.drop, s); c != nil || err != nil {
		if c != nil {
			out.Dropped++
			s.noteDropped(c)
		}
		return err
	}
	poked, err := d.pokes(s, out)
	if err != nil {
		return err
	}
	if d.onlyPokes() && len(d.poke) > 0 {
		if !poked {
			out.unmapped("the channel is missing")
		}
		return nil
	}
	if s.halves {
		switch half, err := d.halfName(s); {
		case err != nil:
			return err
		case half && s.list: // the others of a batch are taken
			out.unmapped(errHalf.Reason)
			return nil
		case half:
			return errHalf
		}
	}
	e := &s.event
	*e = event.Event{}
	reason, err := d.fill(s, out, e)
	if err != nil {
		return err
	}
	if reason != "" {
		out.unmapped(reason)
		return nil
	}
	if e.ID.IsZero() && s.In.Delivery != "" {
		e.Delivery = s.In.Delivery + "/" + strconv.Itoa(index)
	}
	return d.address(s, out, e)
}

func (d *Decoder) revocations(s *Payload, out *Decoded) error {
	for i := range d.revoke {
		r := &d.revoke[i]
		if r.when != nil {
			if ok, err := r.when.Holds(s); err != nil {
				return err
			} else if !ok {
				continue
			}
		}
		user, err := r.user.eval(s, true)
		if err != nil {
			return err
		}
		var channel Value
		if r.channel != nil {
			if channel, err = r.channel.eval(s, true); err != nil {
				return err
			}
		}
		userID, ok := user.identity()
		channelID, ok2 := channel.identity()
		if !ok || !ok2 || userID.IsZero() || (r.channel != nil && channelID.IsZero()) {
			continue
		}
		out.Revoke = append(out.Revoke, Revocation{User: userID.Text, Channel: channelID.Text})
	}
	return nil
}

// get is the value of a field: of its first rule that counts and has one.
func (d *Decoder) get(s *Payload, f field) (Value, error) {
	r, v, err := d.find(s, f)
	if s.trace != nil && err == nil {
		s.trace.found(f, r, v)
	}
	return v, err
}

// find is what decides about a field.
func (d *Decoder) find(s *Payload, f field) (*rule, Value, error) {
	for i := range d.rules[f] {
		r := &d.rules[f][i]
		if r.when != nil {
			if ok, err := r.when.Holds(s); err != nil {
				return nil, Value{}, err
			} else if !ok {
				continue
			}
		}
		var v Value
		var err error
		switch {
		case r.hash:
			return r, Value{kind: text, text: hashWord}, nil
		case f == fieldData:
			v, err = s.exact(r.value.single())
		default:
			v, err = r.value.eval(s, f.strict())
		}
		if err != nil || v.kind != missing {
			return r, v, err
		}
	}
	return nil, Value{}, nil
}

// fill maps everything but where the event goes. reason is why it cannot be
// mapped, empty if it can.
func (d *Decoder) fill(s *Payload, out *Decoded, e *event.Event) (reason string, err error) {
	if reason, err = d.fillNames(s, e); reason != "" || err != nil {
		return reason, err
	}
	for _, f := range []struct {
		field field
		to    *string
	}{{fieldBody, &e.Body}, {fieldUserName, &e.UserName}} {
		v, err := d.get(s, f.field)
		switch {
		case err != nil:
			return "", err
		case v.scalar():
			*f.to = v.text
		case v.kind != missing && f.field == fieldBody:
			return "the body is no text", nil
		}
	}
	v, err := d.get(s, fieldOp)
	if err != nil {
		return "", err
	}
	if v.kind != missing {
		op, ok := event.ParseOp(v.text)
		if !v.scalar() || !ok {
			return "an unknown op", nil
		}
		e.Op = op
	}
	if d.plainCreate(e) {
		e.Version = ""
	}
	if v, err = d.get(s, fieldType); err != nil {
		return "", err
	}
	switch {
	case v.kind == text && validType(v.text):
		e.Type = v.text
	case strings.ContainsAny(e.Body, "\r\n"):
		// In Campfire's schema, a TextMessage has no line breaks.
		e.Type = "PasteMessage"
	}
	if v, err = d.get(s, fieldTime); err != nil {
		return "", err
	}
	if v.kind != missing {
		t, ok := v.time()
		if !ok {
			out.Untimed++
		}
		e.Time = t
	}
	if reason, err = d.fillPayload(s, e); reason != "" || err != nil {
		return reason, err
	}
	if e.ID.IsZero() && e.Body == "" && e.Type == "" && e.Payload == nil {
		return "neither id nor text nor type", nil
	}
	return "", nil
}

// fillNames maps what names something.
func (d *Decoder) fillNames(s *Payload, e *event.Event) (reason string, err error) {
	for _, f := range []struct {
		field  field
		to     *event.Scalar
		reason string
	}{
		{fieldID, &e.ID, "the id is no id"},
		{fieldUser, &e.User, "the user is no id"},
		{fieldThread, &e.Thread, "the thread is no id"},
	} {
		v, err := d.get(s, f.field)
		if err != nil {
			return "", err
		}
		id, ok := v.identity()
		if !ok {
			return f.reason, nil
		}
		*f.to = id
	}
	if e.ID.IsZero() && d.idRequired && s.In.Delivery == "" {
		return "the id is missing", nil
	}
	v, err := d.get(s, fieldVersion)
	if err != nil {
		return "", err
	}
	version, ok := v.version()
	if !ok {
		return "the version is no id", nil
	}
	e.Version = version
	return "", nil
}

// plainCreate tells whether the event creates a message that rules of `op` may edit
// or delete later. Such a message has no version: a log finds it by its channel and
// id alone, to take it back and for since_message_id.
func (d *Decoder) plainCreate(e *event.Event) bool {
	return e.Op == event.Create && len(d.rules[fieldOp]) > 0
}

// fillPayload sets what clients get as it is: the data, the whole message, or the
// files.
func (d *Decoder) fillPayload(s *Payload, e *event.Event) (reason string, err error) {
	if len(d.rules[fieldData]) > 0 {
		v, err := d.get(s, fieldData)
		switch {
		case err != nil:
			return "", err
		case v.kind == missing && e.Op == event.Delete:
			return "", nil // it only says which message is gone
		case v.kind != composite || v.node.Type() != fastjson.TypeObject:
			return "the data is no object", nil
		}
		e.Shape, e.Payload = event.Raw, v.node.MarshalTo(nil)
		return "", nil
	}
	if d.whole == event.Mapped {
		v, err := d.get(s, fieldFiles)
		if files := v.files(); len(files) > 0 {
			e.Payload = event.AppendFiles(nil, files)
		}
		return "", err
	}
	if !isObject(s.item) {
		return "the message is no object", nil
	}
	e.Shape, e.Payload = d.whole, appendCompact(make([]byte, 0, len(s.item)), s.item)
	return "", nil
}

// halfName tells whether the name of a channel, message or user contains half a
// surrogate pair. Different names could have become the same one by the mending.
func (d *Decoder) halfName(s *Payload) (found bool, err error) {
	for _, f := range []field{fieldChannel, fieldAlso, fieldTo, fieldID, fieldUser, fieldThread, fieldVersion} {
		v, err := d.get(s, f)
		if err != nil {
			return false, err
		}
		v.elements(func(name Value) bool {
			found = found || strings.ContainsRune(name.text, utf8.RuneError)
			return !found
		})
	}
	return found, nil
}

// types are the kinds of messages in Campfire's words.
var types = []string{
	"TextMessage", "PasteMessage", "SoundMessage", "TweetMessage", "UploadMessage", "EnterMessage", "LeaveMessage",
	"KickMessage", "TopicChangeMessage", "LockMessage", "UnlockMessage", "AllowGuestsMessage", "DisallowGuestsMessage",
	"IdleMessage", "UnidleMessage", "TimestampMessage", "ConferenceCreatedMessage", "ConferenceFinishedMessage",
	"SystemMessage", "AdvertisementMessage",
}

// validType tells whether s can be a kind of message. Kinds that come with the
// payload need not be Campfire's: clients pass over what they do not know.
func validType(s string) bool {
	return s != "" && len(s) <= 64 && utf8.ValidString(s) && !strings.ContainsFunc(s, func(r rune) bool {
		return (r < '0' || r > '9') && (r < 'A' || r > 'Z') && (r < 'a' || r > 'z') && !strings.ContainsRune("_.-:", r)
	})
}
