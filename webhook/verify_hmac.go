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
)

// hmacVerifier checks an HMAC over a text made of the raw body and of headers.
// Slack, GitHub and Discourse sign so, each in its own spelling.
type hmacVerifier struct {
	keys      [][]byte
	header    string
	prefix    string
	decode    func(string) ([]byte, error)
	hash      func() hash.Hash
	signed    *template
	timestamp *template // nil: there is none
	tolerance time.Duration
}

var hashes = map[string]func() hash.Hash{"": sha256.New, "sha256": sha256.New, "sha512": sha512.New, "sha384": sha512.New384, "sha1": sha1.New}

var encodings = map[string]func(string) ([]byte, error){
	"": hex.DecodeString, "hex": hex.DecodeString, "base64": base64.StdEncoding.DecodeString,
	"base64url": func(s string) ([]byte, error) {
		return base64.RawURLEncoding.DecodeString(strings.TrimRight(s, "="))
	},
}

func newHMACVerifier(v *Verify, secrets []string, tolerance time.Duration) (*hmacVerifier, error) {
	h := &hmacVerifier{
		keys: keysOf(secrets), header: v.Header, prefix: v.Prefix, decode: encodings[v.Encoding], hash: hashes[v.Algorithm],
		tolerance: tolerance,
	}
	switch {
	case h.header == "":
		return nil, fmt.Errorf("verify hmac: which header holds the signature? Write for example: verify hmac header X-Signature")
	case h.decode == nil:
		return nil, fmt.Errorf("verify hmac: unknown encoding %q; the encodings are hex, base64 and base64url", v.Encoding)
	case h.hash == nil:
		return nil, fmt.Errorf("verify hmac: unknown algorithm %q; the algorithms are sha256, sha384, sha512 and sha1", v.Algorithm)
	}
	signed := v.Signed
	if signed == "" {
		signed = "{body}"
	}
	var err error
	if h.signed, err = parseTemplate(signed); err != nil {
		return nil, fmt.Errorf("verify hmac: %w", err)
	}
	if !h.signed.uses(sourceBody) {
		return nil, fmt.Errorf("verify hmac: signed %q leaves the body out; write for example signed {header.X-Timestamp}.{body}", signed)
	}
	if err := onlyRaw(h.signed); err != nil {
		return nil, fmt.Errorf("verify hmac: signed %q: %w", signed, err)
	}
	if v.Timestamp != "" {
		if h.timestamp, err = parseTemplate(v.Timestamp); err != nil {
			return nil, fmt.Errorf("verify hmac: %w", err)
		}
		if err := onlyRaw(h.timestamp); err != nil || h.timestamp.single() == nil {
			return nil, fmt.Errorf("verify hmac: %q is no place of the timestamp; write for example {header.X-Timestamp}", v.Timestamp)
		}
	}
	return h, nil
}

// onlyRaw tells whether a template can be read before the body was decoded, and
// so that no two deliveries have the same text by alternatives or filters.
func onlyRaw(t *template) error {
	for _, p := range t.parts {
		if p.hole == nil {
			continue
		}
		if len(p.hole.refs) != 1 || len(p.hole.filters) != 0 {
			return fmt.Errorf("neither ?? nor filters can be signed")
		}
		switch p.hole.refs[0].source {
		case sourceBody, sourceHeader, sourceQuery, sourcePath:
		default:
			return fmt.Errorf("only {body}, {header.NAME}, {query.NAME} and {path.NAME} can be signed")
		}
	}
	return nil
}

func (*hmacVerifier) needs() stage { return stageBody }

func (h *hmacVerifier) verify(s *scope, now time.Time) error {
	header, ok := one(s.in.Header, h.header)
	if !ok {
		return errNoSignature
	}
	encoded, ok := strings.CutPrefix(header, h.prefix)
	if !ok {
		return errWrongSignature
	}
	given, err := h.decode(encoded)
	if err != nil {
		return errWrongSignature
	}
	if h.timestamp != nil {
		v, err := h.timestamp.eval(s, true)
		if err != nil || v.kind != text {
			return errTimestamp
		}
		if err := checkTimestamp(v.text, now, h.tolerance); err != nil {
			return err
		}
	}
	texts, ok := h.texts(s)
	if !ok {
		return errWrongSignature
	}
	if !anyEqual(h.keys, given, func(key []byte) []byte {
		mac := hmac.New(h.hash, key)
		for _, t := range texts {
			mac.Write(t)
		}
		return mac.Sum(nil)
	}) {
		return errWrongSignature
	}
	return nil
}

// texts are the pieces of what is signed; the body is not copied.
func (h *hmacVerifier) texts(s *scope) ([][]byte, bool) {
	texts := make([][]byte, 0, 4)
	for _, p := range h.signed.parts {
		switch {
		case p.hole == nil:
			texts = append(texts, []byte(p.text))
		case p.hole.refs[0].source == sourceBody:
			texts = append(texts, s.in.Body)
		default:
			v, err := p.hole.eval(s)
			if err != nil || v.kind == missing {
				return nil, false
			}
			texts = append(texts, []byte(v.text))
		}
	}
	return texts, true
}

// stripeVerifier checks Stripe-Signature: t=TIME,v1=HEX[,v1=HEX].
type stripeVerifier struct {
	keys      [][]byte
	tolerance time.Duration
}

func (*stripeVerifier) needs() stage { return stageBody }

func (v *stripeVerifier) verify(s *scope, now time.Time) error {
	header, ok := one(s.in.Header, "Stripe-Signature")
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
		mac.Write(s.in.Body)
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
