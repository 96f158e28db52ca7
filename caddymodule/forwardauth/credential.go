package forwardauth

import (
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"net/textproto"
	"net/url"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/caddyserver/caddy/v2"
)

// errCredential is the error of credentials that could be understood in two
// ways. It says nothing of them.
var errCredential = errors.New("credentials are given more than once, or cannot be read")

// maxCredential bounds what of a client's credentials is kept while its stream
// is open, in bytes.
const maxCredential = 8 << 10

// Place is where an app's clients carry their token, other than Authorization,
// access_token and cookies.
type Place struct {
	// In is `header` or `query`.
	In string `json:"in"`
	// Name of the header, or of the query's parameter.
	Name string `json:"name"`
}

const (
	inHeader = "header"
	inQuery  = "query"
)

// Check says what is wrong with a place.
func (p Place) Check() error {
	switch {
	case p.In != inHeader && p.In != inQuery:
		return fmt.Errorf("a credential is in a header or in the query; write for example: credential header X-Api-Key")
	case p.Name == "" || strings.ContainsAny(p.Name, " \t\r\n:;&=?#{}"):
		return fmt.Errorf("credential %s: %q is no name", p.In, p.Name)
	case p.In == inQuery && p.Name == "access_token":
		return fmt.Errorf("access_token is read anyway")
	case p.In == inQuery:
		return nil
	}
	switch name := textproto.CanonicalMIMEHeaderKey(p.Name); name {
	case "Authorization":
		return fmt.Errorf("the header Authorization is read anyway")
	case "Cookie":
		return fmt.Errorf("cookies have their own option; write for example: cookies chat_session")
	default:
		if notYours(name) {
			return fmt.Errorf("the header %s is no place for a credential", name)
		}
	}
	return nil
}

// of are the values in the place, as a request has them.
func (p Place) of(r *http.Request, query url.Values) []string {
	values := query[p.Name]
	if p.In == inHeader {
		values = r.Header[textproto.CanonicalMIMEHeaderKey(p.Name)]
	}
	if len(values) == 1 && values[0] == "" {
		return nil // an empty one is none
	}
	return values
}

// Credential is what a client proves itself with, in the one form in which it
// is passed on. It holds secrets: it prints as a description of itself.
type Credential struct {
	// token is the client's secret: the user of Basic, what follows another
	// scheme, access_token, or what stood in the place. Empty for cookies, and
	// for schemes that have parameters instead of a token.
	token string
	// password is what stood beside a Basic user. Campfire and Flowdock ignore
	// it for tokens; a login with a name needs it.
	password string
	// authorization is the header as the backend gets it if the configuration
	// translates nothing.
	authorization string
	// place is where the token stood, if the configuration named the place.
	place Place
	// cookie is the Cookie header for the backend: the configured ones only,
	// and only if there is nothing else.
	cookie string
	// translated: the token is sent in the app's way, and nothing as it came;
	// the password only where keepsPassword says so.
	translated, keepsPassword bool
	// filled are the placeholders of Caddy that the question needs; nil if none
	// has a value.
	filled *filled
	// unused: there was an Authorization header without a token, which the
	// configured request needs.
	unused bool
}

// IsZero tells that the client gave nothing.
func (c *Credential) IsZero() bool {
	return c.token == "" && c.authorization == "" && c.cookie == "" && c.filled.identity() == nil
}

// Ambient tells that a browser sends these credentials by itself, whatever
// page asks.
func (c *Credential) Ambient() bool { return c.cookie != "" || c.filled.identity() != nil }

// Credential reads what a client proves itself with. There must be one: a
// client that sends a token in the header and another in the query is refused,
// and so is a repeated one, since two readers may not choose the same. Where
// nobody is asked about, nothing is read.
func (a *Auth) Credential(r *http.Request) (Credential, error) {
	if a.config.None {
		return Credential{}, nil
	}
	query, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return Credential{}, errCredential
	}
	c, err := readToken(r, query, a.config.Credentials)
	if err != nil {
		return Credential{}, err
	}
	if a.translates && c.token == "" {
		c = Credential{unused: c.authorization != ""}
	}
	c.translated, c.keepsPassword = a.translates, a.usesPassword
	if c.IsZero() && len(a.config.Cookies) > 0 {
		if c.cookie, err = pickCookies(r, a.config.Cookies); err != nil {
			return Credential{}, err
		}
	}
	c.filled = a.fill(r)
	if c.size() > maxCredential || a.translates && !utf8.ValidString(c.token+c.password) {
		return Credential{}, errCredential
	}
	return c, nil
}

// fill reads the placeholders of Caddy that the configuration uses.
func (a *Auth) fill(r *http.Request) *filled {
	repl, ok := r.Context().Value(caddy.ReplacerCtxKey).(*caddy.Replacer)
	if !ok {
		return nil
	}
	var f filled
	for _, name := range a.placeholders {
		if value, ok := repl.GetString(name); ok && value != "" && isToken(value) {
			f = append(f, input{name, value})
		}
	}
	if f == nil {
		return nil
	}
	return &f
}

// size is how many bytes are kept of the credential.
func (c *Credential) size() int {
	n := len(c.token) + len(c.password) + len(c.authorization) + len(c.cookie)
	if c.filled != nil {
		for _, in := range *c.filled {
			n += len(in.value)
		}
	}
	return n
}

// readToken reads the one credential that is no cookie.
func readToken(r *http.Request, query url.Values, places []Place) (Credential, error) {
	bearer := Place{inQuery, "access_token"}
	headers, tokens := r.Header["Authorization"], bearer.of(r, query)
	count := len(headers) + len(tokens)
	var c Credential
	for _, p := range places {
		if values := p.of(r, query); len(values) > 0 {
			count += len(values)
			c = Credential{token: values[0], place: p}
		}
	}
	switch {
	case count > 1:
		return Credential{}, errCredential
	case len(headers) == 1:
		return readAuthorization(headers[0])
	case len(tokens) == 1:
		c = Credential{token: tokens[0], authorization: "Bearer " + tokens[0]}
	}
	if !isToken(c.token) {
		return Credential{}, errCredential
	}
	return c, nil
}

// readAuthorization reads Basic with a token as user, with or without a colon
// and with any password, Bearer, and whatever scheme the app has: that is
// passed on as it came.
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
		c.authorization = "Basic " + base64.StdEncoding.EncodeToString([]byte(c.token+":"+c.password))
	case "bearer":
		if c.token = rest; c.token == "" {
			return Credential{}, nil
		}
		if strings.ContainsAny(c.token, " ,") {
			return Credential{}, errCredential
		}
		c.authorization = "Bearer " + c.token
	default:
		c.authorization = strings.TrimSpace(header)
		switch {
		case rest == "": // a token without a scheme
			c.token = scheme
		case isToken68(rest), strings.EqualFold(scheme, "oauth") && !strings.ContainsAny(rest, " ,="):
			c.token = rest // Salesforce's tokens have an exclamation mark
		}
	}
	if !isToken(c.token) || !isToken(c.password) || !isToken(c.authorization) {
		return Credential{}, errCredential
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

// isToken68 tells a scheme's token from its parameters (RFC 9110, 11.2).
func isToken68(text string) bool {
	text = strings.TrimRight(text, "=")
	for i := range len(text) {
		switch c := text[i]; {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', strings.IndexByte("-._~+/:", c) >= 0:
		default:
			return false
		}
	}
	return text != ""
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

// placed is what stood in a place that the configuration named.
func (c *Credential) placed() string {
	if c.place.In == "" {
		return ""
	}
	return c.token
}

// scheme is the scheme of the Authorization header, empty if it has none that
// may be shown.
func (c *Credential) scheme() string {
	scheme, rest, _ := strings.Cut(c.authorization, " ")
	if rest == "" || len(scheme) > 20 || strings.ContainsFunc(scheme, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && r != '-'
	}) {
		return ""
	}
	return scheme
}

// String says in words what kind of credential it is, and nothing that is
// secret.
func (c Credential) String() string {
	text := c.own()
	for _, in := range c.filled.identity() {
		if text == "none" {
			text = ""
		} else {
			text += "; "
		}
		text += "{" + in.name + "}"
		if isChecked(in.name) {
			text += " is " + strconv.Quote(in.value)
		}
	}
	return text
}

// own says what the client itself sent.
func (c *Credential) own() string {
	switch scheme := c.scheme(); {
	case c.place.In == inHeader:
		return fmt.Sprintf("a token of %d characters, in the header %s", len(c.token), c.place.Name)
	case c.place.In == inQuery:
		return fmt.Sprintf("a token of %d characters, in the query as %s", len(c.token), c.place.Name)
	case scheme == "Basic":
		return fmt.Sprintf("a token of %d characters as the user of Basic, a password of %d", len(c.token), len(c.password))
	case scheme == "Bearer":
		return fmt.Sprintf("a token of %d characters, as Bearer or access_token", len(c.token))
	case scheme != "":
		return fmt.Sprintf("an Authorization header of %d characters with the scheme %s, as it came", len(c.authorization), scheme)
	case c.authorization != "":
		return fmt.Sprintf("an Authorization header of %d characters without a scheme, as it came", len(c.authorization))
	case c.cookie != "":
		return "by cookie: " + strings.Join(cookieNames(c.cookie), ", ")
	case c.unused:
		return "none: there is an Authorization header, but no token in it for {token}"
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
	h := Credential{place: c.place, filled: c.filled.hidden()}
	if c.token != "" {
		h.token, h.password = Masked, Masked
	}
	if c.authorization != "" {
		h.authorization = strings.TrimSpace(c.scheme() + " " + Masked)
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
	secrets := []string{c.authorization, c.token, c.password, c.cookie}
	for pair := range strings.SplitSeq(c.cookie, "; ") {
		_, value, _ := strings.Cut(pair, "=")
		secrets = append(secrets, value)
	}
	for _, secret := range secrets {
		if len(secret) > 3 { // shorter ones are none, and would garble the text
			text = strings.ReplaceAll(text, secret, Masked)
		}
	}
	return text
}
