package format

import (
	"strings"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/seed-078801ba/sidestream/stream/event"
)

// Everything that formats write is printable ASCII between the delimiters.
// Clients that decode each read on its own (em-eventsource, JSONStream) lose
// characters that a read cuts in two, and a control character that is not
// escaped could pass for a delimiter.

const hexDigits = "0123456789abcdef"

// appendUnicode appends r as \uXXXX, as a surrogate pair where it needs one.
func appendUnicode(dst []byte, r rune) []byte {
	if r > 0xffff {
		high, low := utf16.EncodeRune(r)
		return appendUnicode(appendUnicode(dst, high), low)
	}
	return append(dst, '\\', 'u', hexDigits[r>>12&15], hexDigits[r>>8&15], hexDigits[r>>4&15], hexDigits[r&15])
}

// appendText appends s as a JSON string. Bytes that are not UTF-8 become
// U+FFFD.
func appendText(dst []byte, s string) []byte {
	dst = append(dst, '"')
	done := 0
	for i := 0; i < len(s); {
		c := s[i]
		if ' ' <= c && c <= '~' && c != '"' && c != '\\' {
			i++
			continue
		}
		dst = append(dst, s[done:i]...)
		if c >= utf8.RuneSelf {
			r, size := utf8.DecodeRuneInString(s[i:])
			dst = appendUnicode(dst, r)
			i += size
			done = i
			continue
		}
		switch c {
		case '"', '\\':
			dst = append(dst, '\\', c)
		case '\n':
			dst = append(dst, '\\', 'n')
		case '\r':
			dst = append(dst, '\\', 'r')
		case '\t':
			dst = append(dst, '\\', 't')
		default:
			dst = appendUnicode(dst, rune(c))
		}
		i++
		done = i
	}
	dst = append(dst, s[done:]...)
	return append(dst, '"')
}

// appendPayload appends JSON as the backend wrote it: key order, duplicate
// keys, number literals and escapes stay. White space between tokens goes, and
// inside strings what is not printable ASCII is escaped, so that no payload,
// JSON or not, can bring a delimiter of its own.
func appendPayload(dst, payload []byte) []byte {
	inString, done := false, 0
	for i := 0; i < len(payload); {
		c := payload[i]
		switch {
		case c >= utf8.RuneSelf:
			dst = append(dst, payload[done:i]...)
			r, size := utf8.DecodeRune(payload[i:])
			dst = appendUnicode(dst, r)
			i += size
			done = i
			continue
		case c == '"':
			inString = !inString
		case inString && c == '\\':
			if i+1 < len(payload) && (payload[i+1] == '"' || payload[i+1] == '\\') {
				i++
			}
		case inString && (c < ' ' || c == 0x7f):
			dst = append(dst, payload[done:i]...)
			dst = appendUnicode(dst, rune(c))
			done = i + 1
		case c <= ' ' || c == 0x7f:
			if !inString {
				dst = append(dst, payload[done:i]...)
				done = i + 1
			}
		}
		i++
	}
	return append(dst, payload[done:]...)
}

// appendScalar appends an identifier as the backend wrote it: a number as the
// same literal, text as a string, nothing as null.
func appendScalar(dst []byte, s event.Scalar) []byte {
	switch {
	case s.IsZero():
		return append(dst, "null"...)
	case s.Number && isNumber(s.Text):
		return append(dst, s.Text...)
	default:
		return appendText(dst, s.Text)
	}
}

// isNumber tells whether s is a JSON number literal.
func isNumber(s string) bool {
	if s != "" && s[0] == '-' {
		s = s[1:]
	}
	n := digits(s)
	if n == 0 || (n > 1 && s[0] == '0') {
		return false
	}
	s = s[n:]
	if s != "" && s[0] == '.' {
		n = digits(s[1:])
		if n == 0 {
			return false
		}
		s = s[1+n:]
	}
	if s != "" && s[0]|0x20 == 'e' {
		s = s[1:]
		if s != "" && (s[0] == '+' || s[0] == '-') {
			s = s[1:]
		}
		n = digits(s)
		return n > 0 && n == len(s)
	}
	return s == ""
}

// isInteger tells whether s is written as a plain integer: as JSON writes one,
// without zeros in front.
func isInteger(s string) bool {
	return isNumber(s) && digits(strings.TrimPrefix(s, "-")) == len(strings.TrimPrefix(s, "-"))
}

// digits counts the decimal digits that s begins with.
func digits(s string) int {
	n := 0
	for n < len(s) && '0' <= s[n] && s[n] <= '9' {
		n++
	}
	return n
}

// appendXMLText appends s as character data. What XML 1.0 cannot hold, bytes
// that are not UTF-8 included, becomes U+FFFD. Markup, CR, LF and everything
// beyond ASCII become references, so neither "]]>" nor a delimiter can stand
// in the text.
func appendXMLText(dst []byte, s string) []byte {
	done := 0
	for i := 0; i < len(s); {
		c := s[i]
		if ' ' <= c && c <= '~' && c != '<' && c != '>' && c != '&' && c != '"' && c != '\'' {
			i++
			continue
		}
		dst = append(dst, s[done:i]...)
		r, size := utf8.DecodeRuneInString(s[i:])
		i += size
		done = i
		switch {
		case r == '<':
			dst = append(dst, "&lt;"...)
		case r == '>':
			dst = append(dst, "&gt;"...)
		case r == '&':
			dst = append(dst, "&amp;"...)
		case r == '"':
			dst = append(dst, "&quot;"...)
		case !isXML(r):
			dst = appendReference(dst, utf8.RuneError)
		default:
			dst = appendReference(dst, r)
		}
	}
	return append(dst, s[done:]...)
}

// isXML tells whether XML 1.0 has the character (its production Char). Lone
// surrogates never reach it: they are not UTF-8.
func isXML(r rune) bool {
	return r == '\t' || r == '\n' || r == '\r' || (r >= ' ' && r != 0xfffe && r != 0xffff)
}

func appendReference(dst []byte, r rune) []byte {
	dst = append(dst, "&#x"...)
	shift := 0
	for r>>shift > 15 {
		shift += 4
	}
	for ; shift >= 0; shift -= 4 {
		dst = append(dst, hexDigits[r>>shift&15])
	}
	return append(dst, ';')
}
