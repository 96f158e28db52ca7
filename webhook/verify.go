package webhook

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/seed-078801ba/sidestream/webhook/decode"
)

// verifier checks where a delivery comes from.
type verifier interface {
	// needs says how far the delivery must have been read.
	needs() stage
	// verify is nil or a *Refusal. It reads each header that it uses once: a
	// header that comes twice is refused, since readers differ in which counts.
	verify(s *decode.Payload, now time.Time) error
}

// stage is a point of a delivery's way.
type stage uint8

const (
	stageHead stage = iota // the headers are there
	stageBody              // the raw body is there
)

var (
	errNoSecret       = unauthorized("the token is missing")
	errWrongSecret    = unauthorized("the token is wrong")
	errNoSignature    = unauthorized("the signature is missing")
	errWrongSignature = unauthorized("the signature is wrong")
	errSignatureForm  = unauthorized("the signature is not written as verify says: look at its prefix, encoding and algorithm")
	errManySignatures = unauthorized("too many signatures")
	errTimestamp      = unauthorized("the timestamp is missing or no plain number")
	errStale          = unauthorized("the timestamp is too far from now")
	errDeliveryID     = unauthorized("the delivery id is missing or malformed")
	// errPathSecret looks like any address that does not exist.
	errPathSecret = &Refusal{http.StatusNotFound, "the secret in the path is wrong"}
)

// schemes are the names of all ways to verify.
var schemes = []string{"standardwebhooks", "slack", "github", "stripe", "discourse", "hmac", "token", "bearer", "path", "none"}

func newVerifier(cfg *Config, sender *decode.Sender, decoder *decode.Decoder) (verifier, error) {
	v := cfg.Verify
	if v == nil && sender.Scheme != "" {
		v = &Verify{Scheme: sender.Scheme, Query: sender.Query}
	}
	if v == nil {
		return nil, fmt.Errorf("nothing says how deliveries are verified; write verify and one of %s", strings.Join(schemes, ", "))
	}
	if v.Scheme == "none" {
		if len(cfg.Secrets) > 0 {
			return nil, errors.New("verify none and a secret contradict each other; leave one of them out")
		}
		return noVerifier{}, nil
	}
	if len(cfg.Secrets) == 0 {
		return nil, fmt.Errorf("verify %s needs a secret; write secret {env.HOOK_SECRET}, or verify none if anybody may post", v.Scheme)
	}
	for i, secret := range cfg.Secrets {
		if err := CheckSecret(secret); err != nil {
			return nil, fmt.Errorf("secret %d: %w", i+1, err)
		}
	}
	tolerance := time.Duration(cfg.Tolerance)
	switch {
	case tolerance < 0:
		return nil, fmt.Errorf("the tolerance is %s; it must be positive", tolerance)
	case tolerance == 0:
		tolerance = DefaultTolerance
	}
	switch v.Scheme {
	case "standardwebhooks":
		return newStandardVerifier(cfg.Secrets, tolerance)
	case "stripe":
		return &stripeVerifier{keys: keysOf(cfg.Secrets), tolerance: tolerance}, nil
	case "slack":
		return newHMACVerifier(&Verify{
			Header: "X-Slack-Signature", Prefix: "v0=", Signed: "v0:{header.X-Slack-Request-Timestamp}:{body}",
			Timestamp: "{header.X-Slack-Request-Timestamp}",
		}, cfg.Secrets, tolerance)
	case "github":
		return newHMACVerifier(&Verify{Header: "X-Hub-Signature-256", Prefix: "sha256="}, cfg.Secrets, tolerance)
	case "discourse":
		return newHMACVerifier(&Verify{Header: "X-Discourse-Event-Signature", Prefix: "sha256="}, cfg.Secrets, tolerance)
	case "hmac":
		return newHMACVerifier(v, cfg.Secrets, tolerance)
	case "token":
		return newTokenVerifier(v, cfg.Secrets, decoder)
	case "bearer":
		query := v.Query
		if query == "" && sender.Scheme == "bearer" {
			query = sender.Query
		}
		if query != "" && !isName(query) {
			return nil, fmt.Errorf("verify bearer: %q is no name of a parameter; write it alone, as in query access_token", query)
		}
		if err := hide(decoder, "header", "Authorization", "query", query); err != nil {
			return nil, err
		}
		return &bearerVerifier{tokens: digestsOf(cfg.Secrets), query: query}, nil
	case "path":
		return newPathVerifier(v, cfg.Secrets, decoder)
	}
	return nil, fmt.Errorf("unknown way to verify, %q; the ways are %s", v.Scheme, strings.Join(schemes, ", "))
}

// isName tells whether a text is the bare name of a header or parameter.
func isName(s string) bool { return s != "" && !strings.ContainsAny(s, " \t{}:=&?/\"") }

// hide refuses rules that read where the secret stands, in pairs of group and
// name.
func hide(decoder *decode.Decoder, places ...string) error {
	for i := 0; i < len(places); i += 2 {
		if err := decoder.Hide(places[i], places[i+1]); err != nil {
			return err
		}
	}
	return nil
}

// digests are secrets in a form whose comparison takes the same time whatever
// the length and the content of what is compared.
type digests [][sha256.Size]byte

func digestsOf(secrets []string) digests {
	d := make(digests, len(secrets))
	for i, s := range secrets {
		d[i] = sha256.Sum256([]byte(s))
	}
	return d
}

// match tells whether the text is one of the secrets. All are compared.
func (d digests) match(text string) bool {
	sum := sha256.Sum256([]byte(text))
	found := 0
	for i := range d {
		found |= subtle.ConstantTimeCompare(d[i][:], sum[:])
	}
	return found == 1
}

func keysOf(secrets []string) [][]byte {
	keys := make([][]byte, len(secrets))
	for i, s := range secrets {
		keys[i] = []byte(s)
	}
	return keys
}

type noVerifier struct{}

func (noVerifier) needs() stage                            { return stageHead }
func (noVerifier) verify(*decode.Payload, time.Time) error { return nil }

// checkTimestamp reads seconds since 1970 and compares them with now.
func checkTimestamp(s string, now time.Time, tolerance time.Duration) error {
	if strings.Trim(s, "0123456789") != "" || len(s) > 12 {
		return errTimestamp // a sign, for example
	}
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil {
		return errTimestamp
	}
	if off := now.Sub(time.Unix(n, 0)); off > tolerance || off < -tolerance {
		return errStale
	}
	return nil
}

// one is the only value of a header; ok is false if there is none or several.
func one(h http.Header, name string) (string, bool) {
	values := h.Values(name)
	if len(values) != 1 || values[0] == "" {
		return "", false
	}
	return values[0], true
}

// anyEqual compares a signature with those that the keys make, all of them.
func anyEqual(keys [][]byte, given []byte, sign func(key []byte) []byte) bool {
	found := false
	for _, key := range keys {
		if hmac.Equal(sign(key), given) {
			found = true
		}
	}
	return found
}
