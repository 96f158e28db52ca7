package load

import (
	"bytes"
	"strconv"
)

// AppendMessage appends one chat message in the schema of the old Campfire API,
// padded to size bytes if it is shorter. Its body begins with the mark that
// Marks looks for: when it was sent, and its number.
func AppendMessage(dst []byte, channel int, sent int64, number uint64, size int) []byte {
	start := len(dst)
	dst = append(dst, `{"room_id":`...)
	dst = strconv.AppendInt(dst, int64(channel), 10)
	dst = append(dst, `,"created_at":"2026/01/02 03:04:05 +0000","id":`...)
	dst = strconv.AppendUint(dst, number, 10)
	dst = append(dst, `,"user_id":1,"type":"TextMessage","starred":false,"body":"@`...)
	dst = strconv.AppendInt(dst, sent, 10)
	dst = append(dst, ',')
	dst = strconv.AppendUint(dst, number, 10)
	dst = append(dst, ';')
	for len(dst)-start < size-len(`"}`) {
		dst = append(dst, 'x')
	}
	return append(dst, `"}`...)
}

// markSize is the longest that a mark can be.
const markSize = len("@9223372036854775807,18446744073709551615;")

// Marks finds the marks of messages in a stream that comes in pieces. The zero
// value is ready. It does not care what is around a mark, so chunk heads and
// the framing of formats need no undoing.
type Marks struct {
	carry [markSize]byte // the beginning of a mark whose end is yet to come
	n     uint8
}

// Scan calls found for each mark that ends in b.
func (m *Marks) Scan(b []byte, found func(sent int64, number uint64)) {
	if m.n > 0 {
		var joint [2 * markSize]byte
		n := copy(joint[:], m.carry[:m.n])
		fresh := copy(joint[n:n+markSize], b)
		sent, number, size := readMark(joint[:n+fresh])
		switch {
		case size > 0:
			found(sent, number)
			b = b[max(0, size-n):]
			m.n = 0
		case size == 0 && n+fresh < markSize: // still too short, so all of b is in it
			m.n = uint8(copy(m.carry[:], joint[:n+fresh]))
			return
		default:
			m.n = 0
		}
	}
	for {
		at := bytes.IndexByte(b, '@')
		if at < 0 {
			return
		}
		b = b[at:]
		sent, number, size := readMark(b)
		switch {
		case size > 0:
			found(sent, number)
			b = b[size:]
		case size == 0 && len(b) < markSize:
			m.n = uint8(copy(m.carry[:], b))
			return
		default:
			b = b[1:]
		}
	}
}

// readMark reads the mark at the beginning of b. Its size is 0 if b ends before
// the mark does, and -1 if there is none.
func readMark(b []byte) (sent int64, number uint64, size int) {
	first, i := digits(b, 1)
	if i == len(b) {
		return 0, 0, 0
	}
	if i == 1 || b[i] != ',' {
		return 0, 0, -1
	}
	second, j := digits(b, i+1)
	if j == len(b) {
		return 0, 0, 0
	}
	if j == i+1 || b[j] != ';' {
		return 0, 0, -1
	}
	return int64(first), second, j + 1
}

// digits reads a number from b[i:] and returns where it ends.
func digits(b []byte, i int) (v uint64, end int) {
	for ; i < len(b) && b[i] >= '0' && b[i] <= '9'; i++ {
		v = v*10 + uint64(b[i]-'0')
	}
	return v, i
}
