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
	return digest(c.who())
}

// Proofs are digests of each of several cookies by itself, for limits by client: any
// of them may be the one that the app goes by, and what a client puts into the others
// must not make it another client. Short ones are no secrets, and may be the same for
// many. They are empty where one thing proves who the client is.
func (c *Credential) Proofs() (proofs []string) {
	who := c.who()
	if len(who) != 2 || who[0] != "cookie" {
		return nil
	}
	pairs := strings.Split(who[1], "; ")
	if len(pairs) < 2 {
		return nil
	}
	for _, pair := range pairs {
		if _, value, _ := strings.Cut(pair, "="); len(value) >= shortestProof {
			proofs = append(proofs, digest([]string{"cookie", pair}))
		}
	}
	return proofs
}

// shortestProof is how long a cookie is at least that may be a secret.
const shortestProof = 16

func digest(parts []string) string {
	h := hmac.New(sha256.New, digestKey())
	var size [8]byte
	// Every part is written with its length, so that no two make the same bytes.
	for _, part := range parts {
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
