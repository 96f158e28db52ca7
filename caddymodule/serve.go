package caddymodule

import (
	"context"
	"errors"
	"net/http"
	"net/netip"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/seed-078801ba/sidestream/caddymodule/endpoint"
)

// ServeHTTP serves what is for one of our endpoints, and hands everything else
// on untouched.
func (s *Sidestream) ServeHTTP(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler) error {
	if s.explainer != nil {
		return s.explainer.reached(s, w, r, next)
	}
	if s.serveIngest(w, r) {
		return nil
	}
	if claimed, ok := s.server.Claim(r); ok {
		s.serveClaimed(w, r, claimed)
		return nil
	}
	if len(r.Header["Upgrade"]) > 0 {
		s.noteUpgrade(r)
	}
	w = s.positioned(w, r)
	if url, name, ok := s.announced(r); ok {
		app := next
		next = caddyhttp.HandlerFunc(func(w http.ResponseWriter, r *http.Request) error {
			return announce(w, r, app, url, name)
		})
	}
	shown, refuse := s.astray(r)
	if shown == "" {
		shown = s.log.passing(r)
	}
	if shown == "" {
		return s.pass(w, r, next)
	}
	w, logged := s.log.maskedAs(w, r, shown)
	defer logged()
	if refuse {
		w.Header().Set("Cache-Control", "no-store")
		w.WriteHeader(http.StatusNotFound)
		return nil
	}
	err := s.pass(w, r, next)
	var failed caddyhttp.HandlerError
	if counted, ok := w.(*countedWriter); ok && errors.As(err, &failed) && counted.status == 0 {
		counted.status = failed.StatusCode // what Caddy will answer
	}
	return err
}

// serveClaimed serves what is for one of our endpoints. Over HTTP/1 it returns
// when the stream is open, otherwise when it has ended.
func (s *Sidestream) serveClaimed(w http.ResponseWriter, r *http.Request, claimed endpoint.Claimed) {
	var wait func(context.Context)
	logged := func() {}
	defer func() { logged() }()
	open := func() {
		w, logged = s.log.maskedBy(w, r, claimed.Mask)
		claimed, told := s.traced(claimed, r)
		wait = claimed.Serve(w, r)
		told()
	}
	if r.ProtoMajor == 1 {
		open()
	} else {
		apart(open)
	}
	if wait != nil {
		wait(r.Context())
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

// forwardedHeaders are what a proxy says of its clients' addresses.
var forwardedHeaders = []string{"X-Forwarded-For", "Forwarded", "X-Real-Ip"}

// clientAddress is who asks, by Caddy's rules for trusted proxies. It is
// invalid for a unix socket. Behind a proxy that is not trusted everybody has
// the proxy's address, and limits by address are one for all: the log says so
// once.
func (s *Sidestream) clientAddress(r *http.Request) netip.Addr {
	if trusted, _ := caddyhttp.GetVar(r.Context(), caddyhttp.TrustedProxyVarKey).(bool); !trusted && !s.untrusted.Load() {
		for _, name := range forwardedHeaders {
			if r.Header.Get(name) != "" && s.untrusted.CompareAndSwap(false, true) {
				s.logger.Warn("a client's address was forwarded by an address that is not trusted, so that limits by address count everybody behind it as one; "+
					"if it is a proxy of yours, name it in trusted_proxies, a global option of Caddy",
					"header", name, "address", r.RemoteAddr)
			}
		}
	}
	ip, _ := caddyhttp.GetVar(r.Context(), caddyhttp.ClientIPVarKey).(string)
	address, err := netip.ParseAddr(ip)
	if err != nil {
		return netip.Addr{}
	}
	return address
}
