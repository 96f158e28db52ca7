package bayeux

import "strings"

// maxChannel is the length of the longest name of a channel, in bytes.
const maxChannel = 255

// validName tells whether text names one channel: parts of letters, digits and
// -_!~()$@ with a slash before each (Faye: src/protocol/grammar.js, CHANNEL_NAME).
func validName(text string) bool {
	if len(text) < 2 || len(text) > maxChannel || text[0] != '/' {
		return false
	}
	for part := range strings.SplitSeq(text[1:], "/") {
		if !validPart(part) {
			return false
		}
	}
	return true
}

// validPattern tells whether text names many channels: it ends in /* or /**, and
// has no other wildcard (Faye: CHANNEL_PATTERN).
func validPattern(text string) bool {
	stem, ok := patternStem(text)
	return ok && len(text) <= maxChannel && (stem == "" || validName(stem))
}

// patternStem is what stands before the wildcard; false if there is none.
func patternStem(text string) (string, bool) {
	if stem, ok := strings.CutSuffix(text, "/**"); ok {
		return stem, true
	}
	return strings.CutSuffix(text, "/*")
}

func validPart(part string) bool {
	for i := range len(part) {
		c := part[i]
		if (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && strings.IndexByte("-_!~()$@", c) < 0 {
			return false
		}
	}
	return part != ""
}

// isMeta tells whether a channel is the protocol's own.
func isMeta(name string) bool { return name == "/meta" || strings.HasPrefix(name, "/meta/") }

// isService tells whether a channel is for messages between one client and the
// server: nothing on it is ever passed on.
func isService(name string) bool { return name == "/service" || strings.HasPrefix(name, "/service/") }

// validCallback tells whether text may be called with what JSONP brings: a name, or
// several with dots between them (Faye: src/adapters/node_adapter.js). Anything
// else could be a program.
func validCallback(text string) bool {
	if len(text) > maxCallback {
		return false
	}
	for part := range strings.SplitSeq(text, ".") {
		for i := range len(part) {
			c := part[i]
			digit := c >= '0' && c <= '9'
			if (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && c != '_' && c != '$' && (!digit || i == 0) {
				return false
			}
		}
		if part == "" {
			return false
		}
	}
	return true
}

const maxCallback = 64
