package bayeux

import (
	"strconv"

	"github.com/valyala/fastjson"
)

// The acknowledgement extension (docs.cometd.org, Acknowledge Extension): events come
// with replies to connects only, each reply has a number, and the client says which
// number it has. What is not acknowledged is given again.

// offerAcks turns acknowledgements on if the client can.
func (s *Session) offerAcks(ext *fastjson.Value, reply []byte) []byte {
	v := ext.Get("ack")
	if v == nil || v.Type() != fastjson.TypeTrue && v.Get("enabled").Type() != fastjson.TypeTrue {
		return reply
	}
	s.acks = true
	return appendMember(reply, "ack", []byte("true"))
}

// acknowledge appends the number of what a reply brings.
func (s *Session) acknowledge(batch uint64, reply []byte) []byte {
	if !s.acks {
		return reply
	}
	return appendMember(reply, "ack", strconv.AppendUint(nil, batch, 10))
}

// number is that of the last reply that the client has when it gets this one: where it
// brings nothing, what the client has acknowledged. Called with mu held.
func (s *Session) number(t *takenFor) uint64 {
	if t != nil && t.any() {
		return t.batch
	}
	return s.confirmed
}

// readAck reads what a client acknowledges; nil if it says nothing.
func readAck(v *fastjson.Value) func(*given) bool {
	if v == nil || v.Type() != fastjson.TypeNumber {
		return nil
	}
	got, err := v.Int64()
	if err != nil || got < 0 {
		return func(*given) bool { return false }
	}
	return func(g *given) bool { return uint64(got) >= g.batch }
}
