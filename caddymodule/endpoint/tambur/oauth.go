package tambur

import (
	"crypto/hmac"
	"crypto/sha1"
	"crypto/subtle"
	"encoding/base64"
	"net"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Publishers sign with OAuth 1.0a, without a token, with the parameters in the body
// (RFC 5849). Each of the public clients deviates from that in its own way, and all
// have to be understood:
//
//   - JavaScript does not escape its body, but for the signature: a plus is a plus or
//     a space, a percent sign may be alone, and an ampersand may be part of a message.
//   - JavaScript appends ?debug=true to the address after signing.
//   - PHP and Ruby sign an address without its port, Python and JavaScript with it.
//   - Behind a proxy that ends TLS the address was signed as https; PHP signs https
//     and posts to http.
//   - PHP's nonce is random bytes, and no text.
//   - Ruby leaves ! ' ( ) unescaped in what it signs.
//   - The stream stands in the signed address as it was written, escaped or not.
//
// So the verifier tries what a client may have meant. That makes nothing forgeable:
// whatever reading has the right signature is one that somebody signed who has the
// secret.

// signed is a request to publish.
type signed struct {
	scheme, host, path string   // as they are seen here
	paths              []string // other spellings of the path
	body               string
}

// fields are the parameters of a body, in one reading, as bytes.
type fields map[string]string

// known are the parameters that publishers send.
var known = []string{
	"api_version", "message", "oauth_consumer_key", "oauth_nonce", "oauth_signature", "oauth_signature_method", "oauth_timestamp", "oauth_version",
}

// maxParameters bounds what is sorted for somebody who may have signed nothing.
const maxParameters = 64

// readings are the ways to read a body, without repetitions, the usual one first.
func readings(body string) []fields {
	var all []fields
	for _, read := range []func(string) (fields, bool){
		func(b string) (fields, bool) { return decoded(b, url.QueryUnescape) },
		func(b string) (fields, bool) { return decoded(b, url.PathUnescape) }, // a plus is a plus
		unescaped,
	} {
		f, ok := read(body)
		if ok && !slices.ContainsFunc(all, func(other fields) bool { return equal(f, other) }) {
			all = append(all, f)
		}
	}
	return all
}

func equal(a, b fields) bool {
	if len(a) != len(b) {
		return false
	}
	for k, v := range a {
		if w, ok := b[k]; !ok || v != w {
			return false
		}
	}
	return true
}

// decoded reads a body whose values are escaped.
func decoded(body string, unescape func(string) (string, error)) (fields, bool) {
	f := fields{}
	for pair := range strings.SplitSeq(body, "&") {
		if pair == "" {
			continue
		}
		key, value, _ := strings.Cut(pair, "=")
		key, err := unescape(key)
		value, err2 := unescape(value)
		if _, twice := f[key]; err != nil || err2 != nil || twice || len(f) == maxParameters {
			return nil, false
		}
		f[key] = value
	}
	return f, true
}

// unescaped reads a body as JavaScript's publisher writes it: only the signature is
// escaped, and a value ends where the next known parameter begins.
func unescaped(body string) (fields, bool) {
	f := fields{}
	last, from := "", 0 // the parameter whose value begins there
	for at := 0; at <= len(body); {
		end := len(body)
		if i := strings.IndexByte(body[at:], '&'); i >= 0 {
			end = at + i
		}
		key, _, found := strings.Cut(body[at:end], "=")
		if found && slices.Contains(known, key) {
			if _, twice := f[key]; twice {
				return nil, false
			}
			last, from = key, at+len(key)+1
		} else if last == "" {
			return nil, false
		}
		f[last] = body[from:end]
		at = end + 1
	}
	signature, err := url.PathUnescape(f["oauth_signature"])
	if err != nil || signature == "" {
		return nil, false
	}
	f["oauth_signature"] = signature
	return f, true
}

// verify returns the parameters as their publisher signed them, with one of the
// secrets; false if nobody has.
func (s *signed) verify(secrets []string) (fields, bool) {
	addresses := s.addresses()
	for _, f := range readings(s.body) {
		if f["oauth_signature_method"] != "HMAC-SHA1" {
			continue
		}
		// A plus that was not escaped has become a space.
		got, err := base64.StdEncoding.DecodeString(strings.ReplaceAll(f["oauth_signature"], " ", "+"))
		if err != nil || len(got) != sha1.Size {
			continue
		}
		for _, escape := range []escaping{escape, escapeRuby} {
			params := escape(nil, f.normalized(escape))
			for _, address := range addresses {
				base := append(append(escape([]byte("POST&"), address), '&'), params...)
				if slices.ContainsFunc(secrets, func(secret string) bool { return signs(secret, base, got) }) {
					return f, true
				}
			}
		}
	}
	return nil, false
}

// signs tells whether a signature was made with a secret.
func signs(secret string, base, signature []byte) bool {
	h := hmac.New(sha1.New, append(escape(nil, secret), '&'))
	h.Write(base)
	return subtle.ConstantTimeCompare(h.Sum(nil), signature) == 1
}

// addresses are those that the publisher may have signed.
func (s *signed) addresses() []string {
	schemes := []string{s.scheme, "https", "http"}
	hosts := []string{s.host}
	if name, _, err := net.SplitHostPort(s.host); err == nil {
		if strings.Contains(name, ":") {
			name = "[" + name + "]"
		}
		hosts = append(hosts, name)
	}
	var all []string
	for _, scheme := range schemes {
		for _, host := range hosts {
			for _, path := range append([]string{s.path}, s.paths...) {
				address := scheme + "://" + strings.ToLower(host) + path
				if !slices.Contains(all, address) {
					all = append(all, address)
				}
			}
		}
	}
	return all
}

// normalized are the parameters as they are signed (RFC 5849, 3.4.1.3.2).
func (f fields) normalized(escape escaping) string {
	pairs := make([]string, 0, len(f))
	for k, v := range f {
		if k != "oauth_signature" {
			pairs = append(pairs, string(escape(append(escape(nil, k), '='), v)))
		}
	}
	slices.Sort(pairs)
	return strings.Join(pairs, "&")
}

// escaping appends text in the way in which it is signed.
type escaping func(dst []byte, text string) []byte

// escape is RFC 5849, 3.6.
func escape(dst []byte, s string) []byte { return appendEscaped(dst, s, "-._~") }

// escapeRuby is what the Ruby client does (its oauth_util.rb).
func escapeRuby(dst []byte, s string) []byte { return appendEscaped(dst, s, "-._~!'()") }

func appendEscaped(dst []byte, s, unreserved string) []byte {
	const digits = "0123456789ABCDEF"
	for i := range len(s) {
		c := s[i]
		if c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.IndexByte(unreserved, c) >= 0 {
			dst = append(dst, c)
			continue
		}
		dst = append(dst, '%', digits[c>>4], digits[c&15])
	}
	return dst
}

// timely tells whether a request was signed now, as far as clocks agree. Any time is
// if the tolerance is zero.
func (f fields) timely(now time.Time, tolerance time.Duration) bool {
	seconds, err := strconv.ParseInt(f["oauth_timestamp"], 10, 64)
	if err != nil || seconds < 0 || seconds > 1<<40 {
		return false
	}
	return tolerance == 0 || now.Sub(time.Unix(seconds, 0)).Abs() <= tolerance
}
