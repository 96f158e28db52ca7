package bayeux

import (
	"strings"

	"github.com/seed-078801ba/sidestream/caddymodule/forwardauth"
)

// Mask implements endpoint.Masking: the id of a session stands in the path of an
// EventSource, and in the messages of callback-polling.
func (e *bayeux) Mask(uri string) string {
	path, query, found := strings.Cut(uri, "?")
	parts := strings.Split(path, "/")
	for i, part := range parts {
		if isSessionID(part) {
			parts[i] = forwardauth.Masked
		}
	}
	shown := strings.Join(parts, "/")
	if !found {
		return shown
	}
	var m forwardauth.Mask
	m.AddQuery("message")
	return shown + "?" + m.Query(query)
}

// isSessionID tells whether a text looks like the id of a session.
func isSessionID(text string) bool {
	return len(text) == idLength && strings.Trim(text, "abcdefghijklmnopqrstuvwxyz234567") == ""
}

// idLength is the length of what newID makes.
const idLength = 32
