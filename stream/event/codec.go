package event

import (
	"encoding/binary"
	"errors"
	"time"
)

// The binary form of an event: a version byte, a byte of flags, operation,
// shape, the time, then each text with its length. It is what stores keep and
// what tags digest, so it must never change for events that are stored: a new
// form takes a new version byte.
const codecVersion = 1

const (
	flagChannelNumber = 1 << iota
	flagIDNumber
	flagUserNumber
	flagThreadNumber
	flagToNumber
	flagHasTime
)

// ErrEncoding is the error of bytes that are no event.
var ErrEncoding = errors.New("not an encoded event")

// AppendBinary appends the event's binary form to dst.
func (e *Event) AppendBinary(dst []byte) []byte {
	var flags byte
	for i, number := range []bool{e.Channel.Number, e.ID.Number, e.User.Number, e.Thread.Number, e.To.Number, !e.Time.IsZero()} {
		if number {
			flags |= 1 << i
		}
	}
	dst = append(dst, codecVersion, flags, byte(e.Op), byte(e.Shape))
	if flags&flagHasTime != 0 {
		dst = binary.AppendVarint(dst, e.Time.UnixMilli())
	}
	for _, text := range e.texts() {
		dst = binary.AppendUvarint(dst, uint64(len(*text)))
		dst = append(dst, *text...)
	}
	dst = binary.AppendUvarint(dst, uint64(len(e.Payload)))
	return append(dst, e.Payload...)
}

// texts lists the texts of an event in the order of its binary form.
func (e *Event) texts() [10]*string {
	return [10]*string{
		&e.Channel.Text, &e.ID.Text, &e.Version, &e.Type, &e.User.Text, &e.UserName,
		&e.Thread.Text, &e.To.Text, &e.Body, &e.Delivery,
	}
}

// DecodeBinary reads what AppendBinary wrote. The event keeps nothing of b.
func DecodeBinary(b []byte) (Event, error) {
	var e Event
	if len(b) < 4 || b[0] != codecVersion || b[2] > byte(Gap) || b[3] > byte(Flowdock) {
		return e, ErrEncoding
	}
	flags := b[1]
	e.Channel.Number = flags&flagChannelNumber != 0
	e.ID.Number = flags&flagIDNumber != 0
	e.User.Number = flags&flagUserNumber != 0
	e.Thread.Number = flags&flagThreadNumber != 0
	e.To.Number = flags&flagToNumber != 0
	e.Op, e.Shape = Op(b[2]), Shape(b[3])
	b = b[4:]
	if flags&flagHasTime != 0 {
		ms, n := binary.Varint(b)
		if n <= 0 {
			return Event{}, ErrEncoding
		}
		e.Time, b = time.UnixMilli(ms).UTC(), b[n:]
	}
	for _, text := range e.texts() {
		s, rest, ok := cutText(b)
		if !ok {
			return Event{}, ErrEncoding
		}
		*text, b = string(s), rest
	}
	payload, rest, ok := cutText(b)
	if !ok || len(rest) != 0 {
		return Event{}, ErrEncoding
	}
	if len(payload) > 0 {
		e.Payload = append([]byte(nil), payload...)
	}
	return e, nil
}

func cutText(b []byte) (text, rest []byte, ok bool) {
	size, n := binary.Uvarint(b)
	if n <= 0 || size > uint64(len(b)-n) {
		return nil, nil, false
	}
	return b[n : n+int(size)], b[n+int(size):], true
}
