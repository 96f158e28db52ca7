package decode

// appendCompact appends JSON that was checked, without the white space between
// its values. Every value stays as it was written.
func appendCompact(dst, b []byte) []byte {
	start, quoted := 0, false
	for i := 0; i < len(b); i++ {
		switch b[i] {
		case '"':
			quoted = !quoted
		case '\\':
			i++ // only in strings
		case ' ', '\n', '\r', '\t':
			if !quoted {
				dst = append(dst, b[start:i]...)
				start = i + 1
			}
		}
	}
	return append(dst, b[start:]...)
}

// AppendJSONString appends s, which is valid UTF-8, as a JSON string. Letters beyond
// ASCII stay as they are: what is written is read here again, and stored. For clients,
// stream/format escapes them.
func AppendJSONString(dst []byte, s string) []byte {
	const digits = "0123456789abcdef"
	dst = append(dst, '"')
	start := 0
	for i := range len(s) {
		c := s[i]
		if c >= ' ' && c != '"' && c != '\\' {
			continue
		}
		dst = append(dst, s[start:i]...)
		start = i + 1
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
			dst = append(dst, '\\', 'u', '0', '0', digits[c>>4], digits[c&15])
		}
	}
	dst = append(dst, s[start:]...)
	return append(dst, '"')
}
