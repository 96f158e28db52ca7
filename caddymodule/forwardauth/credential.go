package forwardauth

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
)

// errCredential is the error of credentials that could be understood in two
// ways. It says nothing of them.
var errCredential = errors.New("credentials are given more than once, or cannot be read")

// maxCredential bounds what of a client's credentials is kept while its stream
// is open, in bytes.
const maxCredential = 8 << 10

// Credential is what a client proves itself with, in the one form that the
// configuration lets pass. It holds secrets: it is never logged, and what is
// counted or cached is its digest.
type Credential struct {
	// token is the client's secret: the user of Basic, what follows Bearer,
	// or access_token. Empty for cookies.
	token string
	// password is what stood beside a Basic user. Campfire and Flowdock ignore
	// it for tokens; a login with a name needs it.
	password string
	// authorization is the header as the backend gets it if the configuration
	// translates nothing.
	authorization string
	// cookie is the Cookie header for the backend: the configured ones only,
	// and only if there is no token.
	cookie string
}

// IsZero tells that the client gave nothing.
func (c *Credential) IsZero() bool { return c.token == "" && c.cookie == "" }

// Ambient tells that a browser sends these credentials by itself, whatever
// page asks.
func (c *Credential) Ambient() bool { return c.cookie != "" }

// readCredential reads a request's credentials. There must be one kind: a
// client that sends a token in the header and another in the query is refused,
// and so is a repeated one, since two readers may not choose the same.
func readCredential(r *http.Request, cookies []string) (Credential, error) {
	tokens, err := accessTokens(r.URL.RawQuery)
	if err != nil {
		return Credential{}, errCredential
	}
	headers := r.Header["Authorization"]
	if len(headers)+len(tokens) > 1 {
		return Credential{}, errCredential
	}
	var c Credential
	switch {
	case len(headers) == 1:
		if c, err = readAuthorization(headers[0]); err != nil {
			return Credential{}, err
		}
	case len(tokens) == 1:
		if !isToken(tokens[0]) {
			return Credential{}, errCredential
		}
		c.token, c.authorization = tokens[0], "Bearer "+tokens[0]
	}
	if c.IsZero() && len(cookies) > 0 {
		if c.cookie, err = pickCookies(r, cookies); err != nil {
			return Credential{}, err
		}
	}
	if len(c.token)+len(c.password)+len(c.cookie) > maxCredential {
		return Credential{}, errCredential
	}
	return c, nil
}

// accessTokens are the non-empty values of access_token, read without losing
// one to a parameter next to it that cannot be parsed.
func accessTokens(raw string) ([]string, error) {
	values, err := url.ParseQuery(raw)
	if err != nil {
		return nil, err
	}
	tokens := values["access_token"]
	if len(tokens) == 1 && tokens[0] == "" {
		return nil, nil
	}
	return tokens, nil
}

// readAuthorization reads Basic with a token as user, with or without a colon
// and with any password, and Bearer, in any case.
func readAuthorization(header string) (Credential, error) {
	scheme, rest, _ := strings.Cut(strings.TrimSpace(header), " ")
	rest = strings.TrimSpace(rest)
	var c Credential
	switch strings.ToLower(scheme) {
	case "":
		return c, nil // an empty header is none
	case "basic":
		plain, err := base64.StdEncoding.DecodeString(rest)
		if err != nil {
			if plain, err = base64.RawStdEncoding.DecodeString(rest); err != nil {
				return c, errCredential
			}
		}
		c.token, c.password, _ = strings.Cut(string(plain), ":")
		if c.token == "" {
			return Credential{}, nil
		}
		if !isToken(c.token) || !isToken(c.password) {
			return Credential{}, errCredential
		}
		c.authorization = "Basic " + base64.StdEncoding.EncodeToString([]byte(c.token+":"+c.password))
	case "bearer":
		if c.token = rest; c.token == "" {
			return Credential{}, nil
		}
		if !isToken(c.token) || strings.ContainsAny(c.token, " ,") {
			return Credential{}, errCredential
		}
		c.authorization = "Bearer " + c.token
	default:
		return c, nil // a scheme that we do not pass on is no credential
	}
	return c, nil
}

// isToken tells whether text may become part of a header.
func isToken(text string) bool {
	for i := range len(text) {
		if text[i] < ' ' || text[i] == 0x7f {
			return false
		}
	}
	return true
}

// pickCookies makes a Cookie header of the named cookies. One that comes twice
// is refused: which of them counts differs between servers.
func pickCookies(r *http.Request, names []string) (string, error) {
	var picked []string
	for _, name := range names {
		switch found := r.CookiesNamed(name); len(found) {
		case 0:
		case 1:
			if !isToken(found[0].Value) || strings.ContainsAny(found[0].Value, ";") {
				return "", errCredential
			}
			value := found[0].Value
			if found[0].Quoted {
				value = `"` + value + `"`
			}
			picked = append(picked, name+"="+value)
		default:
			return "", errCredential
		}
	}
	return strings.Join(picked, "; "), nil
}

// digestKey makes the digests worthless outside of this process. It is one for
// all configurations, so that a stream counts as the same client after a
// reload.
var digestKey = sync.OnceValue(func() []byte {
	key := make([]byte, sha256.Size)
	rand.Read(key) // never fails (crypto/rand)
	return key
})

// Who is a digest of who the client is, as far as it cannot vary that for free:
// its token or its cookies, but not the password that stands beside a token, nor
// the way in which the token was sent. Limits and turns go by it. It is empty
// for a client without credentials. Every part is written with its length, so
// that no two clients make the same bytes.
func (c *Credential) Who() string {
	if c.IsZero() {
		return ""
	}
	h := hmac.New(sha256.New, digestKey())
	var size [8]byte
	for _, part := range []string{c.token, c.cookie} {
		binary.BigEndian.PutUint64(size[:], uint64(len(part)))
		h.Write(size[:])
		io.WriteString(h, part)
	}
	return string(h.Sum(nil))
}

// String says in words what kind of credential it is, and nothing that is
// secret.
func (c Credential) String() string {
	switch {
	case c.token != "" && strings.HasPrefix(c.authorization, "Basic"):
		return fmt.Sprintf("a token of %d characters as the user of Basic, a password of %d", len(c.token), len(c.password))
	case c.token != "":
		return fmt.Sprintf("a token of %d characters, as Bearer or access_token", len(c.token))
	case c.cookie != "":
		return "by cookie: " + strings.Join(cookieNames(c.cookie), ", ")
	}
	return "none"
}

// GoString is String: no way of printing shows a secret.
func (c Credential) GoString() string { return c.String() }

// cookieNames lists the cookies of a header.
func cookieNames(header string) []string {
	var names []string
	for pair := range strings.SplitSeq(header, "; ") {
		name, _, _ := strings.Cut(pair, "=")
		names = append(names, name)
	}
	return names
}

// hidden is the credential with its secrets masked: what is made of it may be
// shown.
func (c *Credential) hidden() Credential {
	h := Credential{token: Masked, password: Masked}
	if c.authorization != "" {
		scheme, _, _ := strings.Cut(c.authorization, " ")
		h.authorization = scheme + " " + Masked
	}
	if c.cookie != "" {
		names := cookieNames(c.cookie)
		for i := range names {
			names[i] += "=" + Masked
		}
		h.cookie = strings.Join(names, "; ")
	}
	return h
}

// mask takes the credential's secrets out of a text.
func (c *Credential) mask(text string) string {
	for _, secret := range []string{c.token, c.password, c.cookie} {
		if len(secret) > 3 { // shorter ones are none, and would garble the text
			text = strings.ReplaceAll(text, secret, Masked)
		}
	}
	return text
}
