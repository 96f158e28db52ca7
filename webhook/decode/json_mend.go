package decode

import (
	"bytes"
	"unicode/utf8"
)

// isHalf tells whether b begins with half a surrogate pair as some encoders write
// it, in the three bytes that UTF-8 does not have.
func isHalf(b []byte) bool {
	return len(b) >= 3 && b[0] == 0xed && b[1] >= 0xa0 && b[1] <= 0xbf && b[2] >= 0x80 && b[2] <= 0xbf
}

// mendHalves is JSON that was checked with U+FFFD in place of
// each half of a surrogate pair. The length stays.
func mendHalves(b []byte) []byte {
	out := bytes.Clone(b)
	for i := 0; i < len(b); {
		switch {
		case b[i] == '\\':
			end, half, err := checkEscape(b, i)
			if err != nil {
				return out // cannot be: it was checked
			}
			if half {
				copy(out[i:], `\ufffd`)
			}
			i = end
		case isHalf(b[i:]):
			copy(out[i:], "\ufffd")
			i += 3
		default:
			i++
		}
	}
	return out
}

// mendText is text that is no JSON, without halves of surrogate pairs; ok is false
// if it is not UTF-8 even so.
func mendText(s string) (mended string, halves, ok bool) {
	if utf8.ValidString(s) {
		return s, false, true
	}
	b := []byte(s)
	for i := 0; i < len(b); i++ {
		if isHalf(b[i:]) {
			copy(b[i:], "\ufffd")
		}
	}
	return string(b), true, utf8.Valid(b)
}
