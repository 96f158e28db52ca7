package event

import (
	"encoding/binary"
	"errors"
	"time"
)

// The binary form of an event: a version byte, flags, the operation, the time, and
// all texts but the body, each with its length; then what the message says: the
// shape, the body and the payload. So a store can take away or replace what was
// said and leave the rest as it is. Stores keep this form: it must never change for
// events that are stored, a new one takes a new version byte.
//
// Version 1 had the shape behind the operation, and the body before the delivery.
const (
	codecVersion = 2
	codecFirst   = 1
)

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
	return e.AppendSaid(e.appendHead(dst))
}

// AppendParts is AppendBinary that tells where what the message says begins.
func (e *Event) AppendParts(dst []byte) (b []byte, said int) {
	b = e.appendHead(dst)
	return e.AppendSaid(b), len(b)
}

func (e *Event) appendHead(dst []byte) []byte {
	var flags byte
	for i, number := range []bool{e.Channel.Number, e.ID.Number, e.User.Number, e.Thread.Number, e.To.Number, !e.Time.IsZero()} {
		if number {
			flags |= 1 << i
		}
	}
	dst = append(dst, codecVersion, flags, byte(e.Op))
	if flags&flagHasTime != 0 {
		dst = binary.AppendVarint(dst, e.Time.UnixMilli())
	}
	for _, text := range [...]string{
		e.Channel.Text, e.ID.Text, e.Version, e.Type, e.User.Text, e.UserName, e.Thread.Text, e.To.Text, e.Delivery,
	} {
		dst = appendText(dst, text)
	}
	return dst
}

// AppendSaid appends what the message says: the last part of its binary form.
func (e *Event) AppendSaid(dst []byte) []byte {
	dst = appendText(append(dst, byte(e.Shape)), e.Body)
	dst = binary.AppendUvarint(dst, uint64(len(e.Payload)))
	return append(dst, e.Payload...)
}

func appendText(dst []byte, text string) []byte {
	return append(binary.AppendUvarint(dst, uint64(len(text))), text...)
}

// DecodeBinary reads what AppendBinary wrote. The event keeps nothing of b.
func DecodeBinary(b []byte) (Event, error) {
	d := decoder{b: b}
	version, flags, op := d.byte(), d.byte(), d.byte()
	if version != codecVersion && version != codecFirst {
		return Event{}, ErrEncoding
	}
	e := Event{Op: Op(op)}
	if version == codecFirst {
		e.Shape = Shape(d.byte())
	}
	if flags&flagHasTime != 0 {
		e.Time = time.UnixMilli(d.varint()).UTC()
	}
	e.Channel = Scalar{d.string(), flags&flagChannelNumber != 0}
	e.ID = Scalar{d.string(), flags&flagIDNumber != 0}
	e.Version, e.Type = d.string(), d.string()
	e.User = Scalar{d.string(), flags&flagUserNumber != 0}
	e.UserName = d.string()
	e.Thread = Scalar{d.string(), flags&flagThreadNumber != 0}
	e.To = Scalar{d.string(), flags&flagToNumber != 0}
	if version == codecFirst {
		e.Body, e.Delivery = d.string(), d.string()
	} else {
		e.Delivery = d.string()
		e.Shape, e.Body = Shape(d.byte()), d.string()
	}
	if payload := d.text(); len(payload) > 0 {
		e.Payload = append([]byte(nil), payload...)
	}
	if d.bad || len(d.b) > 0 || e.Op > Gap || e.Shape > Gone || version == codecFirst && e.Shape > Flowdock {
		return Event{}, ErrEncoding
	}
	return e, nil
}

// decoder reads parts off the front; that one was missing is seen at the end.
type decoder struct {
	b   []byte
	bad bool
}

func (d *decoder) cut(n int) []byte {
	if n < 0 || n > len(d.b) {
		d.b, d.bad = nil, true
		return nil
	}
	part := d.b[:n]
	d.b = d.b[n:]
	return part
}

func (d *decoder) byte() byte {
	if b := d.cut(1); b != nil {
		return b[0]
	}
	return 0
}

func (d *decoder) varint() int64 {
	v, n := binary.Varint(d.b)
	if n <= 0 {
		n = -1
	}
	d.cut(n)
	return v
}

func (d *decoder) string() string { return string(d.text()) }

func (d *decoder) text() []byte {
	size, n := binary.Uvarint(d.b)
	if n <= 0 || size > uint64(len(d.b)-n) {
		n, size = -1, 0
	}
	d.cut(n)
	return d.cut(int(size))
}
