package conn

import (
	"encoding/binary"
	"strconv"
)

// Framing is what stands around each message on a connection.
type Framing uint8

// The framings.
const (
	// Plain is nothing: the body ends with the connection (HTTP/1.0), or the
	// server frames what is written (HTTP/2 and HTTP/3).
	Plain Framing = iota
	// Chunked makes each message a chunk of HTTP/1.1 (RFC 9112, 7.1).
	Chunked
	// WebSocket makes each message a text frame (RFC 6455, 5.6), as servers
	// send it: whole and unmasked.
	WebSocket
)

// Append appends a message in its frame; nothing if the message is empty.
func (f Framing) Append(dst, message []byte) []byte {
	if len(message) == 0 {
		return dst
	}
	switch f {
	case Chunked:
		dst = strconv.AppendUint(dst, uint64(len(message)), 16)
		dst = append(append(dst, "\r\n"...), message...)
		return append(dst, "\r\n"...)
	case WebSocket:
		return AppendWebSocket(dst, TextFrame, message)
	}
	return append(dst, message...)
}

// Overhead is the most that Append adds to a message, in bytes.
const Overhead = 20

// AppendEnd appends what ends the body in this framing: the last chunk, or a
// close frame with a code and, for people, a word of at most 123 bytes.
func (f Framing) AppendEnd(dst []byte, code CloseCode, word string) []byte {
	switch f {
	case Chunked:
		return append(dst, "0\r\n\r\n"...)
	case WebSocket:
		payload := binary.BigEndian.AppendUint16(nil, uint16(code))
		return AppendWebSocket(dst, CloseFrame, append(payload, word[:min(len(word), 123)]...))
	}
	return dst
}

// CloseCode says in a WebSocket's close frame why it ends.
type CloseCode uint16

// The codes that servers use (RFC 6455, 7.4.1; IANA's WebSocket Close Code
// Number Registry).
const (
	CloseNormal   CloseCode = 1000 // the client said that it is done
	CloseAway     CloseCode = 1001 // the server goes away
	CloseProtocol CloseCode = 1002 // the client broke the protocol
	CloseKind     CloseCode = 1003 // the client sends what nobody here reads: no text
	CloseBadText  CloseCode = 1007 // the client's text is not UTF-8
	ClosePolicy   CloseCode = 1008 // the client may not have this, or may not do this
	CloseTooBig   CloseCode = 1009 // the client's message is too big
	CloseTryLater CloseCode = 1013 // the client had better come back later
)

// Opcode is the kind of a WebSocket frame (RFC 6455, 5.2).
type Opcode byte

// The kinds of frames.
const (
	continuation Opcode = 0x0 // of a message in fragments

	TextFrame   Opcode = 0x1
	BinaryFrame Opcode = 0x2
	CloseFrame  Opcode = 0x8
	PingFrame   Opcode = 0x9
	PongFrame   Opcode = 0xA
)

// maxControl is how long the payload of a control frame may be (RFC 6455, 5.5).
const maxControl = 125

// Beat is what keeps an idle connection alive where the format has no word for that:
// an empty ping of a WebSocket, which the client's own software answers. Other
// framings have nothing.
func (f Framing) Beat() []byte {
	if f == WebSocket {
		return ping
	}
	return nil
}

var ping = AppendWebSocket(nil, PingFrame, nil)

// AppendWebSocket appends a frame that is a whole message, as servers send it.
// The payload of the last three kinds has at most 125 bytes.
func AppendWebSocket(dst []byte, kind Opcode, payload []byte) []byte {
	dst = append(dst, 0x80|byte(kind)) // the only frame of its message
	switch n := len(payload); {
	case n <= 125:
		dst = append(dst, byte(n))
	case n <= 0xffff:
		dst = binary.BigEndian.AppendUint16(append(dst, 126), uint16(n))
	default:
		dst = binary.BigEndian.AppendUint64(append(dst, 127), uint64(n))
	}
	return append(dst, payload...)
}
