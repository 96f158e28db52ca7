package stream

import (
	"errors"
	"time"

	"github.com/seed-078801ba/sidestream/stream/conn"
)

// Messages is how clients that speak over WebSockets are heard. It makes an Input
// for each of them, which reads its frames, answers pings, and ends the stream when
// the client closes it, breaks the protocol, or floods. What all clients of an
// endpoint have in common is in one Messages, which must not change.
type Messages struct {
	// Limit is how many bytes a message may have. More ends the stream, with the
	// code 1009.
	Limit int
	// PerSecond is how many messages a client may send in the long run, and ten
	// times as many at once. Control frames count as well, and so does every 4 KiB.
	// More ends the stream, with the code 1008.
	PerSecond int
}

// burstSeconds is how long a client may have been silent, for what it says at once.
const burstSeconds = 10

// messageUnit is how many bytes count as one more message.
const messageUnit = 4 << 10

// Input makes the Input of one client. take is given each message that is text; it
// is called as an Input is, and may keep nothing of the text.
func (m *Messages) Input(take func(s *Stream, text []byte)) Input {
	t := &talk{
		frames: conn.FrameReader{Limit: m.Limit}, take: take,
		interval: int64(time.Second) / int64(m.PerSecond), free: now() - burstSeconds*int64(time.Second),
	}
	return t.hear
}

// talk is what one client says.
type talk struct {
	frames conn.FrameReader
	take   func(s *Stream, text []byte)
	s      *Stream // during a call
	over   bool    // it ends

	interval int64 // between two messages, in the long run
	free     int64 // since when it would have been silent, had it kept to the interval; see now
	odd      int   // bytes that do not make a unit yet
}

// hear is the Input.
func (t *talk) hear(s *Stream, piece []byte) {
	if t.over {
		return
	}
	t.odd += len(piece)
	if !t.allowed(t.odd / messageUnit) {
		t.end(s, Flooding, Flooding.code())
		return
	}
	t.odd %= messageUnit
	t.s = s
	err := t.frames.Read(piece, t.message)
	t.s = nil
	var broken *conn.FrameError
	if errors.As(err, &broken) && !t.over {
		t.end(s, BadInput, broken.Code)
	}
}

// message takes a message or a control frame.
func (t *talk) message(kind conn.Opcode, payload []byte) (more bool) {
	s := t.s
	if !t.allowed(1) {
		t.end(s, Flooding, Flooding.code())
		return false
	}
	switch kind {
	case conn.TextFrame:
		t.take(s, payload)
	case conn.PingFrame:
		s.SendRaw(conn.AppendWebSocket(nil, conn.PongFrame, payload))
	case conn.CloseFrame:
		t.end(s, ClientLeft, conn.CloseCodeOf(payload))
	case conn.BinaryFrame:
		t.end(s, BadInput, conn.CloseKind)
	}
	return !t.over
}

// allowed counts so many messages, unless they are too many.
func (t *talk) allowed(messages int) bool {
	moment := now()
	t.free = max(t.free, moment-burstSeconds*int64(time.Second)) + int64(messages)*t.interval
	return t.free <= moment
}

func (t *talk) end(s *Stream, reason CloseReason, code conn.CloseCode) {
	t.over = true
	s.reason = reason // also if the connection ends now; this is the shard
	s.EndWith(reason, code)
}
