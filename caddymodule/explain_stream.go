package caddymodule

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/seed-078801ba/sidestream/stream"
	"github.com/seed-078801ba/sidestream/stream/access"
)

// StreamExplanation is what becomes of a request for a stream, step by step.
// It holds no secret of the client.
type StreamExplanation struct {
	Hub, Endpoint, Format string
	// Channels are what the client asked for, in their canonical form; Private
	// adds its user's own.
	Channels []string
	Private  bool
	// Credential says in words what the client proves itself with.
	Credential string
	// Exchanges are the questions that were put to the backend.
	Exchanges []Exchange
	// Listens are the channels that the client would get.
	Listens []string
	// Status, Header and Body are the client's answer. With Opened, it is a
	// stream: Body is empty.
	Status int
	Header http.Header
	Body   string
	Opened bool
}

// Exchange is one question to the backend, and what was made of its answer.
type Exchange struct {
	// Channel is what was asked about; "" where the question is who the client
	// is, or which channels it has.
	Channel string
	// Method, URI, Host, Header and Form are the request, secrets masked.
	Method, URI, Host string
	Header            http.Header
	Form              string
	// Status, Answer and Body are what came back; Status is 0 if nothing did.
	Status int
	Answer http.Header
	Body   string // its beginning
	// Outcome and User are the verdict; Why are the reasons for it, in order.
	Outcome, User string
	Why           []string

	order int
}

// maxShownBody bounds what is shown of an answer's body, in bytes.
const maxShownBody = 2 << 10

// Stream explains a GET for a stream. The backend is really asked, as for a
// client on this machine.
func (x *Explainer) Stream(r *http.Request) (*StreamExplanation, error) {
	var explained *StreamExplanation
	err := x.find(r, func(s *Sidestream, r *http.Request) bool {
		line := readLine(r)
		for _, e := range s.endpoints {
			if c := e.claims(line, r); c != notOurs {
				explained = s.explain(r, e, c, line)
				return true
			}
		}
		return false
	})
	return explained, err
}

// explain goes the way of serveStream, without limits and history.
func (s *Sidestream) explain(r *http.Request, e endpoint, c claim, line requestLine) *StreamExplanation {
	x := &StreamExplanation{Hub: s.Hub, Endpoint: e.name()}
	policy := s.origins[e.name()]
	w := &capture{header: http.Header{}, limit: maxAnswer, cancel: func() {}}
	policy.mark(w.header, r)
	var a ask
	re := screen(r, c)
	if re == nil {
		a, re = e.ask(line, r)
		x.Format, x.Channels, x.Private = a.formatName, a.channels, a.private
	}
	var ad *admission
	if re == nil {
		ad, re = s.explainAccess(r, policy, &a, x)
	}
	if re != nil {
		refuse(w, r, e, a.formatName, re)
		x.Status, x.Header, x.Body = w.status, w.header, w.body.String()
		return x
	}
	s.writeHead(w.header, r, &a, ad, stream.Start{})
	x.Status, x.Header, x.Opened, x.Listens = http.StatusOK, w.header, true, ad.channels
	return x
}

func (s *Sidestream) explainAccess(r *http.Request, policy *originPolicy, a *ask, x *StreamExplanation) (*admission, *refusal) {
	credential, re := s.credentialOf(r, policy)
	x.Credential = credential.described()
	if re != nil {
		return nil, re
	}
	client := readClient(r, credential)
	rec := &recorder{s: s, order: a.channels}
	asker := &asker{auth: s.Auth, backend: s.backend, logger: s.logger}
	if s.backend != nil {
		s.backend.server = new(caddyhttp.Server)
		rec.RoundTripper, s.backend.proxy.Transport = s.backend.proxy.Transport, rec
	}
	s.gate = &pooledGate{Gate: access.New(s.Auth.gateConfig(), func(ctx context.Context, q access.Question) access.Verdict {
		if s.Auth.None {
			return asker.ask(ctx, q, client)
		}
		return rec.ask(ctx, asker, q, client)
	})}
	defer s.gate.Close()
	ad, re := s.admit(r.Context(), a, client)
	x.Exchanges = rec.inOrder()
	return ad, re
}

// described says in words what kind of credential it is.
func (c *credential) described() string {
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

func cookieNames(header string) []string {
	var names []string
	for pair := range strings.SplitSeq(header, "; ") {
		name, _, _ := strings.Cut(pair, "=")
		names = append(names, name)
	}
	return names
}

// maskedCookies is a Cookie header without values.
func maskedCookies(header string) string {
	names := cookieNames(header)
	for i := range names {
		names[i] += "=" + masked
	}
	return strings.Join(names, "; ")
}

// recorder watches the questions at the place where the proxy hands them on,
// before the secrets are added. Safe for concurrent use.
type recorder struct {
	transport
	s     *Sidestream
	order []string // of the channels

	mu        sync.Mutex
	exchanges []*Exchange
}

// recording is what was seen of one question.
type recording struct {
	*Exchange
	body bytes.Buffer
	err  error
}

type recordingKey struct{}

// ask puts a question, and keeps what was seen of it.
func (rec *recorder) ask(ctx context.Context, by *asker, q access.Question, c *client) access.Verdict {
	seen := &recording{Exchange: &Exchange{Channel: q.Channel, order: slices.Index(rec.order, q.Channel)}}
	if q.List {
		seen.Channel = ""
	}
	if seen.order < 0 {
		seen.order = len(rec.order)
	}
	v := by.ask(context.WithValue(ctx, recordingKey{}, seen), q, c)
	seen.finish(rec.s.Auth, &question{client: c, channel: q.Channel, list: q.List}, v)
	rec.mu.Lock()
	defer rec.mu.Unlock()
	rec.exchanges = append(rec.exchanges, seen.Exchange)
	return v
}

func (rec *recorder) inOrder() []Exchange {
	rec.mu.Lock()
	defer rec.mu.Unlock()
	slices.SortStableFunc(rec.exchanges, func(a, b *Exchange) int { return a.order - b.order })
	all := make([]Exchange, len(rec.exchanges))
	for i, e := range rec.exchanges {
		all[i] = *e
	}
	return all
}

// RoundTrip notes the request as it is shown, and the answer.
func (rec *recorder) RoundTrip(r *http.Request) (*http.Response, error) {
	seen, _ := r.Context().Value(recordingKey{}).(*recording)
	secret, _ := r.Context().Value(secretsKey{}).(*secrets)
	if seen == nil || secret == nil { // a health check
		return rec.RoundTripper.RoundTrip(r)
	}
	seen.Method, seen.URI, seen.Host, seen.Header = r.Method, r.URL.RequestURI(), r.Host, r.Header.Clone()
	rec.mask(seen, secret)
	resp, err := rec.RoundTripper.RoundTrip(r)
	if seen.err = err; err != nil {
		return resp, err
	}
	seen.Status, seen.Answer = resp.StatusCode, resp.Header.Clone()
	resp.Body = &recordedBody{resp.Body, seen}
	return resp, nil
}

// mask adds the names of what is secret, and no values.
func (rec *recorder) mask(seen *recording, secret *secrets) {
	a := rec.s.Auth
	shown := &client{credential: credential{token: masked, password: masked}}
	if header := secret.header["Authorization"]; len(header) > 0 {
		scheme, _, _ := strings.Cut(header[0], " ")
		shown.credential.authorization = scheme + " " + masked
	}
	if header := secret.header["Cookie"]; len(header) > 0 {
		shown.credential.cookie = maskedCookies(header[0])
	}
	_, hidden := a.secrets(a.uri, a.Method, &question{client: shown, channel: seen.Channel})
	for name := range secret.header {
		if name == "Host" && len(hidden.header[name]) > 0 {
			seen.Host = hidden.header[name][0]
			continue
		}
		seen.Header[name] = hidden.header[name]
	}
	if secret.body != "" {
		seen.Form = hidden.body
	}
}

// recordedBody keeps what is read through it.
type recordedBody struct {
	io.ReadCloser
	seen *recording
}

func (b *recordedBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	b.seen.body.Write(p[:n])
	if err != nil && err != io.EOF {
		b.seen.err = err
	}
	return n, err
}

// finish says what the answer was taken for. The asker has returned.
func (seen *recording) finish(a *Auth, q *question, v access.Verdict) {
	seen.Outcome, seen.User = v.Outcome.String(), v.User
	limit := maxAnswer
	if q.list {
		limit = maxList
	}
	body := seen.body.Bytes()
	switch {
	case seen.Method == "":
		seen.Why = []string{"nothing was asked: the channel has no {org} and {flow}, which the request needs"}
	case len(body) > limit:
		seen.Why = []string{fmt.Sprintf("the answer is larger than %d KiB", limit>>10)}
	case errors.Is(seen.err, context.DeadlineExceeded):
		seen.Why = []string{fmt.Sprintf("there was no answer within %s", time.Duration(a.Timeout))}
	case seen.err != nil:
		seen.Why = []string{"the backend cannot be reached: " + seen.err.Error()}
	default:
		seen.Why = a.why(reply{status: seen.Status, header: seen.Answer, body: body}, q)
	}
	text := string(body[:min(len(body), maxShownBody)])
	for _, secret := range []string{q.client.credential.token, q.client.credential.password, q.client.credential.cookie} {
		if len(secret) > 3 { // shorter ones are none, and would garble the text
			text = strings.ReplaceAll(text, secret, masked)
		}
	}
	seen.Body = text
}
