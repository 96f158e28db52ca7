package redis

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"strings"
)

// newToken is a name that nobody can guess and nobody else has: 16 characters
// of base64url.
func newToken() string {
	var b [12]byte
	rand.Read(b[:]) // never fails (crypto/rand)
	return base64.RawURLEncoding.EncodeToString(b[:])
}

const tokenLen = 16

func isToken(s string) bool {
	return len(s) == tokenLen && strings.Trim(s, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_") == ""
}

// digest is a token made of the parts, so that no choice of parts can look like
// another one.
func digest(parts ...string) string {
	h := sha256.New()
	var size [8]byte
	for _, part := range parts {
		binary.BigEndian.PutUint64(size[:], uint64(len(part)))
		h.Write(size[:])
		h.Write([]byte(part))
	}
	return base64.RawURLEncoding.EncodeToString(h.Sum(nil)[:12])
}

// deliveryID is what a message is known by that has no id of its own: the same
// on every node that heard it, and the same when it is published again.
func deliveryID(window, channel, ordinal, payload string) string {
	return "redis:" + digest(window, channel, ordinal, payload)
}
