package webhook

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"strings"
	"time"

	"github.com/seed-078801ba/sidestream/webhook/decode"
)

// stripeVerifier checks Stripe-Signature: t=TIME,v1=HEX[,v1=HEX].
type stripeVerifier struct {
	keys      [][]byte
	tolerance time.Duration
}

func (*stripeVerifier) needs() stage { return stageBody }

func (v *stripeVerifier) verify(s *decode.Payload, now time.Time) error {
	header, ok := one(s.In.Header, "Stripe-Signature")
	if !ok {
		return errNoSignature
	}
	timestamp, count := "", 0
	var signatures [][]byte
	for item := range strings.SplitSeq(header, ",") {
		key, text, _ := strings.Cut(strings.TrimSpace(item), "=")
		switch {
		case key == "t" && timestamp != "":
			return errTimestamp
		case key == "t":
			timestamp = text
		case key == "v1":
			if signature, err := hex.DecodeString(text); err == nil {
				signatures = append(signatures, signature)
			}
		}
		if count++; count > maxSignatures {
			return errManySignatures
		}
	}
	if err := checkTimestamp(timestamp, now, v.tolerance); err != nil {
		return err
	}
	if len(signatures) == 0 {
		return errNoSignature
	}
	found := false
	for _, key := range v.keys {
		mac := hmac.New(sha256.New, key)
		mac.Write([]byte(timestamp + "."))
		mac.Write(s.In.Body)
		sum := mac.Sum(nil)
		for _, given := range signatures {
			if hmac.Equal(sum, given) {
				found = true
			}
		}
	}
	if !found {
		return errWrongSignature
	}
	return nil
}
