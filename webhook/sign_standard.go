package webhook

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"net/http"
	"strconv"
	"time"
)

// StandardSigner signs what we send to the app, as Standard Webhooks says
// (standard-webhooks/standard-webhooks spec/standard-webhooks.md), v1. It is safe for
// concurrent use.
type StandardSigner struct{ keys [][]byte }

// NewStandardSigner takes the secrets, whsec_ and base64. With several, each
// delivery has a signature for every one, so that the app can change its own.
func NewStandardSigner(secrets []string) (*StandardSigner, error) {
	v, err := newStandardVerifier(secrets, 0)
	switch {
	case err != nil:
		return nil, err
	case len(v.public) > 0:
		return nil, errors.New("nothing can be signed with a public key (whpk_); take a secret: echo whsec_$(openssl rand -base64 32)")
	}
	return &StandardSigner{v.keys}, nil
}

// Sign sets the headers of a delivery that is sent now.
func (s *StandardSigner) Sign(h http.Header, id string, now time.Time, body []byte) {
	timestamp := strconv.FormatInt(now.Unix(), 10)
	signed := append([]byte(id+"."+timestamp+"."), body...)
	signatures := ""
	for i, key := range s.keys {
		if i > 0 {
			signatures += " "
		}
		mac := hmac.New(sha256.New, key)
		mac.Write(signed)
		signatures += "v1," + base64.StdEncoding.EncodeToString(mac.Sum(nil))
	}
	h.Set("Webhook-Id", id)
	h.Set("Webhook-Timestamp", timestamp)
	h.Set("Webhook-Signature", signatures)
}
