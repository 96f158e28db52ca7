package forwardauth

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"io"
	"strings"
	"sync"
)

// digestKey makes the digests worthless outside of this process. It is one for
// all configurations, so that a stream counts as the same client after a
// reload.
var digestKey = sync.OnceValue(func() []byte {
	key := make([]byte, sha256.Size)
	rand.Read(key) // never fails (crypto/rand)
	return key
})

// Who is a digest of who the client is, for limits by client; empty for one
// that presented nothing. What a client can vary for free is no part of it: the
// password beside a token, whether the token comes as Basic, as Bearer or in
// the query, the spelling of a scheme or of the host.
func (c *Credential) Who() string {
	if c.IsZero() {
		return ""
	}
	h := hmac.New(sha256.New, digestKey())
	var size [8]byte
	// Every part is written with its length, so that no two make the same bytes.
	for _, part := range c.who() {
		binary.BigEndian.PutUint64(size[:], uint64(len(part)))
		h.Write(size[:])
		io.WriteString(h, part)
	}
	return string(h.Sum(nil))
}

func (c *Credential) who() []string {
	var known []string
	checked := false
	for _, in := range c.filled.identity() {
		known, checked = append(known, in.name, in.value), isChecked(in.name)
	}
	switch {
	case checked: // what else it sends is up to the client
		return known
	case c.token != "":
		return []string{"token", c.token}
	case c.authorization != "":
		scheme, rest, _ := strings.Cut(c.authorization, " ")
		return []string{"authorization", strings.ToLower(scheme), strings.TrimSpace(rest)}
	}
	return append(known, "cookie", strings.ReplaceAll(c.cookie, `"`, ""))
}
