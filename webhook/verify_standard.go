package webhook

import (
	"crypto/ed25519"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/seed-078801ba/sidestream/webhook/decode"
)

// standardVerifier checks deliveries that follow Standard Webhooks
// (standard-webhooks/standard-webhooks spec/standard-webhooks.md), v1 with a
// shared key and v1a with a public one, under its own header names or Svix's.
type standardVerifier struct {
	keys      [][]byte            // whsec_
	public    []ed25519.PublicKey // whpk_
	tolerance time.Duration
}

const (
	// maxSignatures is how many signatures one delivery may carry.
	maxSignatures = 16
	// maxDeliveryID is the length of the longest id of a delivery, in bytes.
	maxDeliveryID = 256
	// minStandardKey is the shortest key, in bytes.
	minStandardKey = 16
)

func newStandardVerifier(secrets []string, tolerance time.Duration) (*standardVerifier, error) {
	v := &standardVerifier{tolerance: tolerance}
	for i, secret := range secrets {
		encoded, public := strings.CutPrefix(secret, "whpk_")
		encoded = strings.TrimPrefix(encoded, "whsec_")
		key, err := base64.StdEncoding.DecodeString(encoded)
		if err != nil {
			key, err = base64.RawStdEncoding.DecodeString(encoded)
		}
		switch {
		case err != nil:
			return nil, fmt.Errorf("secret %d is no key of Standard Webhooks; it looks like whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw: whsec_ (or whpk_ for a public key) and base64", i+1)
		case public && len(key) != ed25519.PublicKeySize:
			return nil, fmt.Errorf("secret %d is a public key of %d bytes; ed25519 has %d", i+1, len(key), ed25519.PublicKeySize)
		case public:
			v.public = append(v.public, key)
		case len(key) < minStandardKey:
			return nil, fmt.Errorf("secret %d is a key of %d bytes; take 24 to 64 random ones: echo whsec_$(openssl rand -base64 32)", i+1, len(key))
		default:
			v.keys = append(v.keys, key)
		}
	}
	return v, nil
}

func (*standardVerifier) needs() stage { return stageBody }

func (v *standardVerifier) verify(s *decode.Payload, now time.Time) error {
	prefix := standardPrefix(s.In.Header)
	id, ok := one(s.In.Header, prefix+"id")
	if !ok || !validDeliveryID(id) || strings.Contains(id, ".") {
		return errDeliveryID // a dot would let parts of the signed text move
	}
	timestamp, ok := one(s.In.Header, prefix+"timestamp")
	if !ok {
		return errTimestamp
	}
	if err := checkTimestamp(timestamp, now, v.tolerance); err != nil {
		return err
	}
	header, ok := one(s.In.Header, prefix+"signature")
	if !ok {
		return errNoSignature
	}
	signatures := strings.Fields(header)
	if len(signatures) > maxSignatures {
		return errManySignatures
	}
	signed := make([]byte, 0, len(id)+len(timestamp)+2+len(s.In.Body))
	signed = append(append(append(append(append(signed, id...), '.'), timestamp...), '.'), s.In.Body...)
	var sums [][]byte
	for _, key := range v.keys {
		mac := hmac.New(sha256.New, key)
		mac.Write(signed)
		sums = append(sums, mac.Sum(nil))
	}
	found := false
	for _, signature := range signatures {
		version, encoded, _ := strings.Cut(signature, ",")
		given, err := base64.StdEncoding.DecodeString(encoded)
		if err != nil {
			continue
		}
		switch version {
		case "v1":
			for _, sum := range sums {
				if hmac.Equal(sum, given) {
					found = true
				}
			}
		case "v1a":
			for _, key := range v.public {
				if ed25519.Verify(key, signed, given) {
					found = true
				}
			}
		}
	}
	if !found {
		return errWrongSignature
	}
	return nil
}

// standardPrefix is how the names of the headers begin.
func standardPrefix(h http.Header) string {
	if h.Get("Webhook-Id") == "" && h.Get("Svix-Id") != "" {
		return "Svix-"
	}
	return "Webhook-"
}

func validDeliveryID(id string) bool {
	return len(id) <= maxDeliveryID && decode.ValidName(id)
}
