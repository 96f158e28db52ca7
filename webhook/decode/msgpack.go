package decode

import (
	"bytes"
	"encoding/base64"
	"math"
	"strconv"
	"time"

	"github.com/vmihailenco/msgpack/v5"
	"github.com/vmihailenco/msgpack/v5/msgpcode"
)

var (
	errMsgpack         = malformed("not MessagePack")
	errMsgpackTrailing = malformed("data after the MessagePack value")
	errMsgpackKey      = malformed("a MessagePack map with a key that JSON has no word for")
	errMsgpackDepth    = malformed("the MessagePack is nested too deeply")
)

// appendMsgpack appends a MessagePack value as JSON. Integers keep all digits.
// Binary data becomes base64 text, an extension its data in base64 but for a
// timestamp, which becomes RFC 3339; NaN and infinity become null. Keys may be
// texts, binaries that are UTF-8, and integers.
func appendMsgpack(dst, b []byte) (doc []byte, halves bool, err error) {
	r := bytes.NewReader(b)
	m := msgpackReader{dec: msgpack.NewDecoder(r), left: r}
	dst, err = m.value(dst, 0)
	switch {
	case err != nil:
		return nil, false, err
	case r.Len() > 0:
		return nil, false, errMsgpackTrailing
	}
	return dst, m.halves, nil
}

// msgpackReader walks a value with the decoder's own steps, so that nothing is
// built in memory but the JSON.
type msgpackReader struct {
	dec  *msgpack.Decoder
	left *bytes.Reader

	values int
	halves bool
}

func (m *msgpackReader) value(dst []byte, depth int) ([]byte, error) {
	code, err := m.dec.PeekCode()
	if err != nil {
		return nil, errMsgpack
	}
	if m.values++; m.values > maxValues {
		return nil, errValues
	}
	switch {
	case code == msgpcode.Nil:
		return append(dst, "null"...), m.fault(m.dec.DecodeNil())
	case code == msgpcode.True, code == msgpcode.False:
		v, err := m.dec.DecodeBool()
		return strconv.AppendBool(dst, v), m.fault(err)
	case code == msgpcode.Float:
		v, err := m.dec.DecodeFloat32()
		return appendFloat(dst, float64(v), 32), m.fault(err)
	case code == msgpcode.Double:
		v, err := m.dec.DecodeFloat64()
		return appendFloat(dst, v, 64), m.fault(err)
	case isMsgpackInteger(code):
		return m.integer(dst, code)
	case msgpcode.IsString(code):
		s, err := m.text()
		if err != nil {
			return nil, err
		}
		return m.appendText(dst, s)
	case msgpcode.IsBin(code):
		s, err := m.text()
		if err != nil {
			return nil, err
		}
		return appendBase64(dst, []byte(s)), nil
	case msgpcode.IsExt(code):
		return m.extension(dst)
	case msgpcode.IsFixedArray(code), code == msgpcode.Array16, code == msgpcode.Array32:
		return m.array(dst, depth)
	case msgpcode.IsFixedMap(code), code == msgpcode.Map16, code == msgpcode.Map32:
		return m.object(dst, depth)
	}
	return nil, errMsgpack
}

func (m *msgpackReader) fault(err error) error {
	if err != nil {
		return errMsgpack
	}
	return nil
}

func isMsgpackInteger(code byte) bool {
	return msgpcode.IsFixedNum(code) || (code >= msgpcode.Uint8 && code <= msgpcode.Int64)
}

func (m *msgpackReader) integer(dst []byte, code byte) ([]byte, error) {
	if code == msgpcode.Uint64 {
		v, err := m.dec.DecodeUint64()
		return strconv.AppendUint(dst, v, 10), m.fault(err)
	}
	v, err := m.dec.DecodeInt64()
	return strconv.AppendInt(dst, v, 10), m.fault(err)
}

// text reads a string or binary. The decoder itself reads at most a megabyte
// ahead of what is there, whatever length is announced.
func (m *msgpackReader) text() (string, error) {
	n, err := m.dec.DecodeBytesLen()
	if err != nil || n < 0 || n > m.left.Len() {
		return "", errMsgpack
	}
	b := make([]byte, n)
	if err := m.dec.ReadFull(b); err != nil {
		return "", errMsgpack
	}
	return string(b), nil
}

// appendText appends a text as a JSON string.
func (m *msgpackReader) appendText(dst []byte, s string) ([]byte, error) {
	s, halves, ok := mendText(s)
	if !ok {
		return nil, errUTF8
	}
	m.halves = m.halves || halves
	return AppendJSONString(dst, s), nil
}

func (m *msgpackReader) array(dst []byte, depth int) ([]byte, error) {
	n, err := m.dec.DecodeArrayLen()
	switch {
	case err != nil || n > m.left.Len():
		return nil, errMsgpack // each element takes a byte at least
	case depth == maxDepth:
		return nil, errMsgpackDepth
	}
	dst = append(dst, '[')
	for i := range n {
		if i > 0 {
			dst = append(dst, ',')
		}
		if dst, err = m.value(dst, depth+1); err != nil {
			return nil, err
		}
	}
	return append(dst, ']'), nil
}

func (m *msgpackReader) object(dst []byte, depth int) ([]byte, error) {
	n, err := m.dec.DecodeMapLen()
	switch {
	case err != nil || n > m.left.Len()/2:
		return nil, errMsgpack
	case depth == maxDepth:
		return nil, errMsgpackDepth
	}
	dst = append(dst, '{')
	for i := range n {
		if i > 0 {
			dst = append(dst, ',')
		}
		if dst, err = m.key(dst); err != nil {
			return nil, err
		}
		dst = append(dst, ':')
		if dst, err = m.value(dst, depth+1); err != nil {
			return nil, err
		}
	}
	return append(dst, '}'), nil
}

func (m *msgpackReader) key(dst []byte) ([]byte, error) {
	code, err := m.dec.PeekCode()
	if err != nil {
		return nil, errMsgpack
	}
	switch {
	case msgpcode.IsString(code), msgpcode.IsBin(code):
		s, err := m.text()
		if err != nil {
			return nil, err
		}
		return m.appendText(dst, s)
	case isMsgpackInteger(code):
		dst, err := m.integer(append(dst, '"'), code)
		return append(dst, '"'), err
	}
	return nil, errMsgpackKey
}

// msgpackTimestamp is the extension of the specification.
const msgpackTimestamp = -1

func (m *msgpackReader) extension(dst []byte) ([]byte, error) {
	id, n, err := m.dec.DecodeExtHeader()
	if err != nil || n < 0 || n > m.left.Len() {
		return nil, errMsgpack
	}
	data := make([]byte, n)
	if err := m.dec.ReadFull(data); err != nil {
		return nil, errMsgpack
	}
	if id != msgpackTimestamp {
		return appendBase64(dst, data), nil
	}
	t, ok := msgpackTime(data)
	if !ok {
		return nil, errMsgpack
	}
	return AppendJSONString(dst, t.UTC().Format(time.RFC3339Nano)), nil
}

// msgpackTime reads the 4, 8 and 12 bytes of a timestamp.
func msgpackTime(b []byte) (t time.Time, ok bool) {
	var seconds, nanos int64
	switch len(b) {
	case 4:
		seconds = int64(bigEndian(b))
	case 8:
		v := bigEndian(b)
		seconds, nanos = int64(v&(1<<34-1)), int64(v>>34)
	case 12:
		nanos, seconds = int64(bigEndian(b[:4])), int64(bigEndian(b[4:]))
	default:
		return t, false
	}
	t = time.Unix(seconds, nanos).UTC()
	return t, nanos < 1e9 && t.Year() >= 0 && t.Year() <= 9999
}

func bigEndian(b []byte) (v uint64) {
	for _, c := range b {
		v = v<<8 | uint64(c)
	}
	return v
}

func appendBase64(dst, data []byte) []byte {
	dst = append(dst, '"')
	dst = base64.StdEncoding.AppendEncode(dst, data)
	return append(dst, '"')
}

func appendFloat(dst []byte, v float64, bits int) []byte {
	if math.IsNaN(v) || math.IsInf(v, 0) {
		return append(dst, "null"...)
	}
	return strconv.AppendFloat(dst, v, 'g', -1, bits)
}
