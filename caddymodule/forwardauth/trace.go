package forwardauth

import (
	"fmt"
	"net/http"
	"strings"
)

// Trace is how a verdict came about. The code that decides leaves it, so that
// it cannot say something else than what was done. What it shows has no secret
// in it.
type Trace struct {
	// Steps are what was looked at, in order. The last one decided.
	Steps []string

	request *request // nil if nothing was asked
	answer  *reply   // nil if nothing came back
}

func (t *Trace) step(format string, args ...any) {
	t.Steps = append(t.Steps, fmt.Sprintf(format, args...))
}

// last is the step that decided.
func (t *Trace) last() string {
	if len(t.Steps) == 0 {
		return ""
	}
	return t.Steps[len(t.Steps)-1]
}

// Exchange is a question as it went to the backend, and the answer to it.
type Exchange struct {
	// Method, URI, Host, Header and Form are the request, secrets masked.
	// Without a Method, nothing was sent.
	Method, URI, Host string
	Header            http.Header
	Form              string
	// Status, Answer and Body are what came back; Status is 0 if nothing did.
	Status int
	Answer http.Header
	Body   string // its beginning
}

// maxShownBody bounds what is shown of an answer's body, in bytes.
const maxShownBody = 2 << 10

// Exchange is what went to the backend, and came from it.
func (t *Trace) Exchange() Exchange {
	var x Exchange
	if t.request == nil || t.request.sent == nil {
		return x
	}
	r, sent := t.request, t.request.sent
	x.Method, x.URI, x.Host, x.Header = sent.Method, sent.URL.RequestURI(), sent.Host, sent.Header.Clone()
	header, form := r.auth.secrets(r.method, r.channel, r.client.hidden())
	for name := range r.secret.header {
		switch values := header[name]; {
		case strings.EqualFold(name, "Host") && len(values) > 0:
			x.Host = values[0]
		default:
			x.Header[name] = values
		}
	}
	if r.secret.body != "" {
		x.Form = form
	}
	if t.answer != nil {
		x.Status, x.Answer = t.answer.status, t.answer.header
		body := r.client.Credential.mask(string(t.answer.body))
		x.Body = body[:min(len(body), maxShownBody)]
	}
	return x
}
