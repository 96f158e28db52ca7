package webhook

import (
	"crypto/hmac"
	"crypto/sha1" //nolint:gosec // for senders that know nothing better
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"hash"
	"strings"
	"time"

	"github.com/seed-078801ba/sidestream/webhook/decode"
)

// hmacVerifier checks an HMAC over a text made of the raw body and of headers.
// Slack, GitHub and Discourse sign so, each in its own spelling.
type hmacVerifier struct {
	keys      [][]byte
	header    string
	prefix    string
	decode    func(string) ([]byte, error)
	encode    func([]byte) string
	hash      func() hash.Hash
	size      int                // of what hash makes, in bytes
	signed    []*decode.Template // the body stands between them
	timestamp *decode.Template   // nil: there is none
	tolerance time.Duration
}

var hashes = map[string]func() hash.Hash{"": sha256.New, "sha256": sha256.New, "sha512": sha512.New, "sha384": sha512.New384, "sha1": sha1.New}

var encodings = map[string]func(string) ([]byte, error){
	"": hex.DecodeString, "hex": hex.DecodeString, "base64": base64.StdEncoding.DecodeString,
	"base64url": func(s string) ([]byte, error) {
		return base64.RawURLEncoding.DecodeString(strings.TrimRight(s, "="))
	},
}

// head is what can be read before the body is. Alternatives and filters have no
// place in what is signed: two deliveries could have the same text by them.
var head = &decode.Vocabulary{Groups: []string{"header", "query", "path"}}

func newHMACVerifier(v *Verify, secrets []string, tolerance time.Duration) (*hmacVerifier, error) {
	h := &hmacVerifier{
		header: v.Header, prefix: v.Prefix, decode: encodings[v.Encoding], encode: encoders[v.Encoding], hash: hashes[v.Algorithm],
		tolerance: tolerance,
	}
	switch {
	case h.header == "":
		return nil, fmt.Errorf("verify hmac: which header holds the signature? Write for example: verify hmac header X-Signature")
	case !isName(h.header):
		return nil, fmt.Errorf("verify hmac: %q is no name of a header; write it alone, as in header X-Signature", v.Header)
	case h.decode == nil:
		return nil, fmt.Errorf("verify hmac: unknown encoding %q; the encodings are hex, base64 and base64url", v.Encoding)
	case h.hash == nil:
		return nil, fmt.Errorf("verify hmac: unknown algorithm %q; the algorithms are sha256, sha384, sha512 and sha1", v.Algorithm)
	}
	h.size = h.hash().Size()
	if err := h.setKeys(v.Key, secrets); err != nil {
		return nil, err
	}
	signed := v.Signed
	if signed == "" {
		signed = "{body}"
	}
	texts := strings.Split(signed, "{body}")
	for _, text := range texts {
		t, err := head.Template(text)
		if err != nil || !t.IsPlain() {
			return nil, fmt.Errorf("verify hmac: signed %q: only {body}, {header.NAME}, {query.NAME} and {path.NAME} can be signed, with neither ?? nor filters", signed)
		}
		h.signed = append(h.signed, t)
	}
	if len(texts) == 1 {
		return nil, fmt.Errorf("verify hmac: signed %q leaves the body out; write for example signed {header.X-Timestamp}.{body}", signed)
	}
	if v.Timestamp != "" {
		var err error
		if h.timestamp, err = head.Template(v.Timestamp); err != nil || !h.timestamp.IsHole() || !h.timestamp.IsPlain() {
			return nil, fmt.Errorf("verify hmac: %q is no place of the timestamp; write for example {header.X-Timestamp}", v.Timestamp)
		}
	}
	return h, nil
}

// setKeys makes keys of the secrets, which may be written in an encoding.
func (h *hmacVerifier) setKeys(encoding string, secrets []string) error {
	switch encoding {
	case "", "text":
		h.keys = keysOf(secrets)
		return nil
	case "hex", "base64", "base64url":
	default:
		return fmt.Errorf("verify hmac: unknown key %q; a key is written as text, hex, base64 or base64url", encoding)
	}
	for i, secret := range secrets {
		key, err := encodings[encoding](secret)
		switch {
		case err != nil:
			return fmt.Errorf("verify hmac: secret %d is no %s, which key says it is", i+1, encoding)
		case len(key) < minSecret:
			return fmt.Errorf("verify hmac: secret %d is a key of %d bytes; use at least 16 random ones: openssl rand -%s 32", i+1, len(key), strings.TrimSuffix(encoding, "url"))
		}
		h.keys = append(h.keys, key)
	}
	return nil
}

func (*hmacVerifier) needs() stage { return stageBody }

func (h *hmacVerifier) verify(s *decode.Payload, now time.Time) error {
	header, ok := one(s.In.Header, h.header)
	if !ok {
		return errNoSignature
	}
	encoded, ok := strings.CutPrefix(header, h.prefix)
	if !ok {
		return errSignatureForm
	}
	given, err := h.decode(encoded)
	if err != nil || len(given) != h.size {
		return errSignatureForm
	}
	if h.timestamp != nil {
		t, ok, err := h.timestamp.Text(s)
		if err != nil || !ok {
			return errTimestamp
		}
		if err := checkTimestamp(t, now, h.tolerance); err != nil {
			return err
		}
	}
	texts := make([]string, len(h.signed))
	for i, t := range h.signed {
		if texts[i], ok, err = t.Text(s); !ok || err != nil {
			return errWrongSignature
		}
	}
	if !anyEqual(h.keys, given, func(key []byte) []byte {
		mac := hmac.New(h.hash, key)
		for i, text := range texts {
			if i > 0 {
				mac.Write(s.In.Body)
			}
			mac.Write([]byte(text))
		}
		return mac.Sum(nil)
	}) {
		return errWrongSignature
	}
	return nil
}
