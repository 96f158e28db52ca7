package caddymodule

import (
	"context"
	"net/http"
	"slices"
	"sync"

	"github.com/seed-078801ba/sidestream/caddymodule/forwardauth"
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
	forwardauth.Exchange
	// Outcome and User are the verdict; Why are the reasons for it, in order.
	Outcome, User string
	Why           []string

	order int
}

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
	w := &writer{header: http.Header{}}
	policy.mark(w.header, r)
	var a ask
	re := screen(r, c)
	if re == nil {
		a, re = e.ask(line, r)
		a.channels = s.names.CanonicalAll(a.channels)
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
	x.Credential = credential.String()
	if re != nil {
		return nil, re
	}
	rec := &recorder{order: a.channels}
	s.gate = &pooledGate{Gate: &forwardauth.Gate{Gate: access.New(s.Auth.gateConfig(), func(ctx context.Context, q access.Question) access.Verdict {
		v := s.auth.Ask(ctx, q)
		rec.add(q, v)
		return v.Verdict
	})}}
	defer s.gate.Close()
	ad, re := s.admit(r.Context(), a, s.auth.Client(r, credential))
	if !s.Auth.None {
		x.Exchanges = rec.inOrder()
	}
	return ad, re
}

// recorder keeps what was asked. Safe for concurrent use.
type recorder struct {
	order []string // of the channels

	mu        sync.Mutex
	exchanges []Exchange
}

// add keeps a question, with the trace of its verdict.
func (rec *recorder) add(q access.Question, v forwardauth.Verdict) {
	x := Exchange{
		Channel: q.Channel, Exchange: v.Trace.Exchange(), Outcome: v.Outcome.String(), User: v.User, Why: v.Trace.Steps,
		order: slices.Index(rec.order, q.Channel),
	}
	if q.List {
		x.Channel = ""
	}
	if x.order < 0 {
		x.order = len(rec.order)
	}
	rec.mu.Lock()
	defer rec.mu.Unlock()
	rec.exchanges = append(rec.exchanges, x)
}

func (rec *recorder) inOrder() []Exchange {
	rec.mu.Lock()
	defer rec.mu.Unlock()
	slices.SortStableFunc(rec.exchanges, func(a, b Exchange) int { return a.order - b.order })
	return rec.exchanges
}
