package caddymodule

import (
	"context"
	"errors"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/seed-078801ba/sidestream/caddymodule/forwardauth"
	"github.com/seed-078801ba/sidestream/stream"
	"github.com/seed-078801ba/sidestream/stream/conn"
	"github.com/seed-078801ba/sidestream/stream/event"
)

// ServeHTTP serves what is for one of our endpoints, and hands everything else
// on untouched.
func (s *Sidestream) ServeHTTP(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler) error {
	if s.serveIngest(w, r) {
		return nil
	}
	line := readLine(r)
	for _, e := range s.endpoints {
		if c := e.claims(line, r); c != notOurs {
			s.serveClaimed(w, r, e, c, line)
			return nil
		}
	}
	return next.ServeHTTP(w, r)
}

// serveClaimed serves what is for one of our endpoints. Over HTTP/1 it returns
// when the stream is open, otherwise when it has ended.
func (s *Sidestream) serveClaimed(w http.ResponseWriter, r *http.Request, e endpoint, c claim, line requestLine) {
	var responder *conn.Responder
	logged := func() {}
	defer func() { logged() }()
	open := func() {
		w, logged = s.log.masked(w, r)
		responder = s.serveStream(w, r, e, c, line)
	}
	if r.ProtoMajor == 1 {
		open()
	} else {
		apart(open)
	}
	if responder != nil {
		responder.Serve(r.Context())
	}
}

// apart runs f in a goroutine of its own and waits for it. What opens a stream
// needs more than 8 KB of stack, and a goroutine's stack does not shrink below
// 16 KB again under all that Caddy has on it: a handler that waits for the life
// of a stream had better never grow it.
func apart(f func()) {
	done := make(chan any)
	go func() {
		defer func() { done <- recover() }()
		f()
	}()
	if p := <-done; p != nil {
		panic(p) // where the server expects it
	}
}

// serveStream opens a stream, or says why not. What it returns, if anything,
// has to be served.
func (s *Sidestream) serveStream(w http.ResponseWriter, r *http.Request, e endpoint, c claim, line requestLine) *conn.Responder {
	policy := s.origins[e.name()]
	if r.Method == http.MethodOptions && c == ours {
		policy.preflight(w, r)
		return nil
	}
	policy.mark(w.Header(), r)
	if re := screen(r, c); re != nil {
		s.refuse(w, r, e, "", re)
		return nil
	}
	a, re := e.ask(line, r)
	if re != nil {
		s.refuse(w, r, e, a.formatName, re)
		return nil
	}
	a.channels = s.names.CanonicalAll(a.channels)
	responder, re := s.open(w, r, policy, &a)
	if re != nil {
		s.refuse(w, r, e, a.formatName, re)
	}
	return responder
}

// screen refuses what no endpoint takes.
func screen(r *http.Request, c claim) *refusal {
	switch {
	case c == crooked:
		return refusedLine
	case c == declined:
		return refusedMethod
	case r.Header.Get(forwardauth.CheckHeader) != "":
		return refusedLoop
	case r.ProtoMajor == 1 && r.ContentLength != 0:
		// What is not read of a body would be taken for the next request, or
		// end the stream after Caddy's deadline for bodies.
		return badRequest("a stream request has no body")
	}
	return nil
}

// open takes a request through limits, the backend's word and the log, and
// makes a stream of it. Nothing is written if it returns a refusal.
func (s *Sidestream) open(w http.ResponseWriter, r *http.Request, policy *originPolicy, a *ask) (*conn.Responder, *refusal) {
	credential, re := s.credentialOf(r, policy)
	if re != nil {
		return nil, re
	}
	client := s.auth.Client(r, credential)
	client.Address, client.Foreign = clientAddress(r), policy.otherSite(r)
	claim := stream.Claim{Address: client.Address, Channels: len(a.channels), Credential: credential.Who()}
	ticket, err := s.hub.Admit(claim)
	if err != nil {
		return nil, refusalOfLimit(err)
	}
	opened := false
	defer func() {
		if !opened {
			ticket.Release()
		}
	}()
	asked := time.Now()
	admission, re := s.admit(r.Context(), a, client)
	if re != nil {
		if re == refusedUnknown && s.Auth.Hide {
			waitForStep(r.Context(), asked)
		}
		return nil, re
	}
	if err := ticket.Grant(rooms(admission.channels)...); err != nil {
		return nil, refusalOfLimit(err)
	}
	from := a.from
	if from.Shown, err = s.shown(r.Context(), admission); err != nil {
		s.logger.Error("a stream could not be opened", "error", err)
		return nil, unavailable(0)
	}
	resolve := s.hub.Resolve
	if r.Method == http.MethodHead {
		resolve = s.hub.Preview // nothing is kept for it
	}
	start, err := resolve(admission.channels, from)
	if err != nil {
		if !errors.Is(err, event.ErrUnavailable) { // of that, the hub has told
			s.logger.Error("a stream could not be opened", "error", err)
		}
		return nil, unavailable(0)
	}
	s.writeHead(w.Header(), r, a, admission, start)
	if r.Method == http.MethodHead {
		w.WriteHeader(http.StatusOK)
		return nil, nil
	}
	opened = true
	session := newSession(s.gate, ticket, s.Auth.Filter == filterIntersect)
	if s.auth.Shows() == forwardauth.ShownSinceJoin {
		session.rights, session.user = s.hub, admission.user
	}
	responder, err := attach(w, r, s.hub, stream.Opening{
		Spec: s.specs[a.formatName], Channels: admission.channels, Start: start, Ticket: ticket, OnClose: session.close,
	}, func(st *stream.Stream) { session.watch(st, admission) })
	if err != nil {
		s.logger.Debug("a stream ended as it was opened", "error", err)
	}
	return responder, nil
}

// rooms are the channels that limits count: all but the client's own private one.
func rooms(channels []string) []string {
	return slices.DeleteFunc(slices.Clone(channels), func(name string) bool {
		return strings.HasPrefix(name, event.UserPrefix)
	})
}

// hideStep is what refusals of hidden channels are rounded up to: how fast an app
// says no must not tell whether there is such a channel.
const hideStep = 100 * time.Millisecond

// waitForStep waits until a whole number of steps has passed, or the client has
// gone.
func waitForStep(ctx context.Context, since time.Time) {
	passed := time.Since(since)
	timer := time.NewTimer(hideStep - passed%hideStep)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

// writeHead sets the headers of a stream. No proxy may store, compress or
// gather it; the connection ends with it, because clients wait for that.
func (s *Sidestream) writeHead(h http.Header, r *http.Request, a *ask, ad *admission, start stream.Start) {
	h.Set("Content-Type", s.specs[a.formatName].Format.ContentType())
	h.Set("Cache-Control", "no-cache, no-store, no-transform")
	h.Set("X-Accel-Buffering", "no")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "no-referrer") // the address may hold a token
	h.Set("Incremental", "?1")
	if r.ProtoMajor == 1 {
		h.Set("Connection", "close")
	}
	if resume := start.Resume(); resume != "" {
		h.Set("Stream-Resume", resume)
	}
	if len(ad.refused) > 0 {
		h.Set("Stream-Refused", escapedNames(ad.refused))
	}
}

// refuse answers a request that opens no stream.
func (s *Sidestream) refuse(w http.ResponseWriter, r *http.Request, e endpoint, formatName string, re *refusal) {
	s.gate.refusals.add(re.status)
	s.logger.Debug("a stream was refused", "endpoint", e.name(), "reason", re.reason, "status", re.status)
	refuse(w, r, e, formatName, re)
}

// refusalOfLimit is what a client is told when a limit is reached.
func refusalOfLimit(err error) *refusal {
	var limit *stream.LimitError
	if !errors.As(err, &limit) {
		return unavailable(0)
	}
	return tooMany(limit.Limit, limit.Policy, limit.RetryAfter)
}

// clientAddress is who asks, by Caddy's rules for trusted proxies. It is
// invalid for a unix socket.
func clientAddress(r *http.Request) netip.Addr {
	ip, _ := caddyhttp.GetVar(r.Context(), caddyhttp.ClientIPVarKey).(string)
	address, err := netip.ParseAddr(ip)
	if err != nil {
		return netip.Addr{}
	}
	return address
}
