package forwardauth

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/tls"
	"net/http"
	"net/netip"

	"github.com/seed-078801ba/sidestream/stream/access"
)

// Client is who asks, and whence: all that the backend is told of a stream's
// request.
type Client struct {
	Credential Credential
	// Address is where it asks from, by the rules for trusted proxies; invalid
	// if it has none.
	Address netip.Addr
	// Foreign says that a web page of another site made a browser ask.
	Foreign bool

	scope  string // of the Auth that it came to
	remote string // address as net/http has it
	tls    bool
	uri    string // of the stream, secrets masked
	// forwarded are X-Forwarded-For and -Proto as they came in; the proxy keeps
	// them only if they come from a trusted proxy. X-Forwarded-Host is none of
	// them: apps take it for the Host.
	forwarded http.Header
}

// Client takes from a request what the backend may learn.
func (a *Auth) Client(r *http.Request, c Credential) *Client {
	mask := a.Mask()
	cl := &Client{
		Credential: c, scope: a.scope, remote: r.RemoteAddr, tls: r.TLS != nil,
		uri: mask.uri(r.URL),
	}
	for _, name := range []string{"X-Forwarded-For", "X-Forwarded-Proto"} {
		if values := r.Header[name]; len(values) > 0 {
			if cl.forwarded == nil {
				cl.forwarded = make(http.Header, 2)
			}
			cl.forwarded[name] = values
		}
	}
	return cl
}

// tlsState is what makes the proxy say X-Forwarded-Proto: https.
func (c *Client) tlsState() *tls.ConnectionState {
	if !c.tls {
		return nil
	}
	return &tls.ConnectionState{HandshakeComplete: true}
}

// hidden is the client with its secrets masked.
func (c *Client) hidden() *Client {
	h := *c
	h.Credential = c.Credential.hidden()
	return &h
}

// Inputs are all that tells two clients apart for the backend, and nothing that it
// does not see: TOKEN:1 and TOKEN:2 are one where only the token is sent.
func (c *Client) Inputs() access.Credential {
	own := &c.Credential
	sent := []access.Input{
		{Name: "authorization", Value: own.authorization}, // has token and password
		{Name: own.place.In + ":" + own.place.Name, Value: own.placed()},
		{Name: "cookie", Value: own.cookie},
	}
	if own.translated {
		sent = []access.Input{{Name: "token", Value: own.token}, {Name: "password", Value: own.password}, {Name: "cookie", Value: own.cookie}}
		if !own.keepsPassword {
			sent[1].Value = ""
		}
	}
	inputs := make([]access.Input, 0, 4)
	for _, in := range sent {
		if in.Value != "" {
			inputs = append(inputs, in)
		}
	}
	if c.Credential.filled != nil {
		for _, in := range *c.Credential.filled {
			inputs = append(inputs, access.Input{Name: "{" + in.name + "}", Value: in.value})
		}
	}
	return access.NewCredential(inputs...)
}

// Digest stands for all that tells the client apart, see Inputs, under a key that is
// secret: it is the same on every machine, and nobody can learn from it what the
// client presents.
func (c *Client) Digest(key string) string {
	h := hmac.New(sha256.New, []byte(key))
	c.Inputs().WriteTo(h)
	return string(h.Sum(nil))
}
