package forwardauth

import (
	"crypto/sha256"
	"crypto/subtle"
	"net/http"
	"strings"
)

// Secrets are those by which the app is known, when it calls us. Only digests of them
// are kept.
type Secrets [][sha256.Size]byte

// NewSecrets takes the secrets. Several are for rotation.
func NewSecrets(secrets []string) Secrets {
	s := make(Secrets, 0, len(secrets))
	for _, secret := range secrets {
		s = append(s, sha256.Sum256([]byte(secret)))
	}
	return s
}

// Presented tells whether a request has one of the secrets, as in
// "Authorization: Bearer <secret>". It takes a time that says nothing of them.
func (s Secrets) Presented(r *http.Request) bool {
	scheme, secret, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if !strings.EqualFold(scheme, "Bearer") || len(r.Header["Authorization"]) > 1 {
		return false
	}
	digest, found := sha256.Sum256([]byte(strings.TrimSpace(secret))), 0
	for _, known := range s {
		found |= subtle.ConstantTimeCompare(digest[:], known[:])
	}
	return found == 1
}
