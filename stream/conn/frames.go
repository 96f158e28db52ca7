package conn

import (
	"encoding/binary"
	"unicode/utf8"
)

// FrameReader reads what the client of a WebSocket sends (RFC 6455, section 5),
// from bytes as they come: a piece may end anywhere. It puts the fragments of a
// message together, lets control frames through in between, takes off the masks,
// and checks everything that the RFC has a server check. Between two messages it
// holds no buffer.
//
// It is our own: the libraries for WebSockets read from a connection, with a
// goroutine that waits for it, and bring an HTTP server's half along. What a shard
// needs is only this.
//
// The zero value with a Limit is ready to use, by one goroutine at a time.
type FrameReader struct {
	// Limit is how many bytes a message may have.
	Limit int

	head     [maxHead]byte // of the frame that is being read
	has      uint8         // bytes of it
	inside   bool          // the head is read, and the payload is not
	kind     Opcode        // of the message that is being put together; 0 if there is none
	maskedAt uint8         // where in the mask the next byte of the payload stands
	left     uint64        // bytes of the payload that are still to come
	message  []byte        // what there is of the message
	control  []byte        // what there is of a control frame
}

// maxHead is the length of the longest head of a frame.
const maxHead = 14

// FrameError says what a client has done that ends its WebSocket, with the code for
// its close frame. The text is a constant.
type FrameError struct {
	Code CloseCode
	Text string
}

func (e *FrameError) Error() string { return e.Text }

func protocolError(text string) *FrameError { return &FrameError{CloseProtocol, text} }

// The errors of Read.
var (
	errReserved   = protocolError("reserved bits are set")
	errOpcode     = protocolError("an unknown opcode")
	errUnmasked   = protocolError("a frame without a mask")
	errControl    = protocolError("a control frame is too long, or in fragments")
	errLength     = protocolError("a length in too many bytes")
	errFragment   = protocolError("a message inside of another one, or its rest without its beginning")
	errCloseFrame = protocolError("a close frame with an impossible code")
	errText       = &FrameError{CloseBadText, "text that is not UTF-8"}
	errTooBig     = &FrameError{CloseTooBig, "the message is too big"}
)

// Read goes on with a piece, and gives each message and each control frame that is
// whole by then to take, until take returns false: the rest is thrown away. The
// payload is valid during the call only. The piece is changed. After an error, which
// is a *FrameError, nothing more can be read.
func (r *FrameReader) Read(piece []byte, take func(kind Opcode, payload []byte) bool) error {
	for {
		if !r.inside {
			n, err := r.readHead(piece)
			if err != nil {
				return err
			}
			if piece = piece[n:]; !r.inside {
				return nil // there is more to come of it
			}
		}
		n := int(min(uint64(len(piece)), r.left))
		part := piece[:n]
		piece = piece[n:]
		r.unmask(part)
		if r.left -= uint64(n); r.left > 0 {
			r.keep(part)
			return nil
		}
		more, err := r.end(part, take)
		if err != nil || !more {
			return err
		}
	}
}

// readHead reads the head of a frame, as far as it is there, and says how many bytes
// that were. If it is whole, the reader is inside of the frame.
func (r *FrameReader) readHead(piece []byte) (n int, err error) {
	for {
		need := r.headLength()
		took := copy(r.head[r.has:need], piece[n:])
		n, r.has = n+took, r.has+uint8(took)
		if int(r.has) < need {
			return n, nil
		}
		if need > 2 {
			break
		}
		if err := r.checkHead(); err != nil { // before more is waited for
			return n, err
		}
	}
	r.inside, r.maskedAt = true, 0
	return n, r.checkLength()
}

// headLength is how many bytes the head has, as far as that is known: a head with
// its mask has six at least.
func (r *FrameReader) headLength() int {
	if r.has < 2 {
		return 2
	}
	switch r.head[1] & 0x7f {
	case 126:
		return 2 + 2 + 4
	case 127:
		return 2 + 8 + 4
	}
	return 2 + 4
}

func (r *FrameReader) fin() bool      { return r.head[0]&0x80 != 0 }
func (r *FrameReader) opcode() Opcode { return Opcode(r.head[0] & 0x0f) }
func (r *FrameReader) isControl() bool {
	return r.opcode()&0x8 != 0
}

// checkHead checks the first two bytes of a frame.
func (r *FrameReader) checkHead() error {
	switch {
	case r.head[0]&0x70 != 0:
		return errReserved
	case r.head[1]&0x80 == 0:
		return errUnmasked
	}
	switch r.opcode() {
	case continuation:
		if r.kind == 0 {
			return errFragment
		}
	case TextFrame, BinaryFrame:
		if r.kind != 0 {
			return errFragment
		}
	case CloseFrame, PingFrame, PongFrame:
		if !r.fin() || r.head[1]&0x7f > maxControl {
			return errControl
		}
	default:
		return errOpcode
	}
	return nil
}

// checkLength reads how long the payload is.
func (r *FrameReader) checkLength() error {
	switch n := r.head[1] & 0x7f; n {
	case 126:
		if r.left = uint64(binary.BigEndian.Uint16(r.head[2:])); r.left < 126 {
			return errLength
		}
	case 127:
		if r.left = binary.BigEndian.Uint64(r.head[2:]); r.left <= 0xffff || r.left>>63 != 0 {
			return errLength
		}
	default:
		r.left = uint64(n)
	}
	if !r.isControl() && r.left > uint64(max(0, r.Limit-len(r.message))) {
		return errTooBig
	}
	return nil
}

// unmask takes the mask off the next bytes of the payload.
func (r *FrameReader) unmask(b []byte) {
	at := r.headLength() - 4
	mask := r.head[at : at+4]
	k := int(r.maskedAt)
	r.maskedAt = uint8((k + len(b)) & 3)
	if len(b) >= 16 {
		var key [8]byte
		for i := range key {
			key[i] = mask[(k+i)&3]
		}
		long := binary.LittleEndian.Uint64(key[:])
		for len(b) >= 8 { // k stays the same: eight is twice the mask
			binary.LittleEndian.PutUint64(b, binary.LittleEndian.Uint64(b)^long)
			b = b[8:]
		}
	}
	for i := range b {
		b[i] ^= mask[(k+i)&3]
	}
}

// keep puts away the beginning of a payload.
func (r *FrameReader) keep(part []byte) {
	if r.isControl() {
		r.control = append(r.control, part...)
		return
	}
	if r.kind == 0 {
		r.kind = r.opcode()
	}
	r.message = append(r.message, part...)
}

// end takes the last part of a frame's payload, and gives away what is whole with it.
func (r *FrameReader) end(part []byte, take func(Opcode, []byte) bool) (more bool, err error) {
	r.inside, r.has = false, 0
	if r.isControl() {
		payload := part
		if len(r.control) > 0 {
			payload, r.control = append(r.control, part...), nil
		}
		if r.opcode() == CloseFrame {
			if err := checkClose(payload); err != nil {
				return false, err
			}
		}
		return take(r.opcode(), payload), nil
	}
	if !r.fin() {
		r.keep(part)
		return true, nil
	}
	kind, payload := r.kind, part
	if kind == 0 {
		kind = r.opcode()
	}
	if len(r.message) > 0 {
		payload = append(r.message, part...)
	}
	r.kind, r.message = 0, nil
	if kind == TextFrame && !utf8.Valid(payload) {
		return false, errText
	}
	return take(kind, payload), nil
}

// checkClose checks the payload of a close frame (RFC 6455, 5.5.1 and 7.4).
func checkClose(payload []byte) error {
	if len(payload) == 0 {
		return nil
	}
	if len(payload) < 2 || !CloseCodeOf(payload).sendable() {
		return errCloseFrame
	}
	if !utf8.Valid(payload[2:]) {
		return errText
	}
	return nil
}

// CloseCodeOf is the code in the payload of a close frame that was read;
// CloseNormal if there is none.
func CloseCodeOf(payload []byte) CloseCode {
	if len(payload) < 2 {
		return CloseNormal
	}
	return CloseCode(binary.BigEndian.Uint16(payload))
}

// sendable tells whether a close frame may have the code: the others are only words
// for what has happened to a connection.
func (c CloseCode) sendable() bool {
	switch {
	case c >= 3000 && c <= 4999:
		return true
	case c == 1004, c == 1005, c == 1006:
		return false
	}
	return c >= 1000 && c <= 1014
}
