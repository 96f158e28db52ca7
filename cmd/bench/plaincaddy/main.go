// Command plaincaddy is Caddy without Sidestream, for the benchmark: what a
// stream, a POST and a connect cost in Caddy itself.
//
// The directive bench_stream holds a response open with the handler's
// goroutine, as a handler without tricks does; bench_beats also writes to it
// every two seconds, as Campfire's streams do; bench_take reads a body and
// answers 204.
package main

import (
	"io"
	"net/http"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"
	caddycmd "github.com/caddyserver/caddy/v2/cmd"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	_ "github.com/caddyserver/caddy/v2/modules/standard"
)

func main() {
	caddy.RegisterModule(holder{})
	caddy.RegisterModule(beater{})
	caddy.RegisterModule(taker{})
	register("bench_stream", holder{})
	register("bench_beats", beater{})
	register("bench_take", taker{})
	caddycmd.Main()
}

func register(directive string, h caddyhttp.MiddlewareHandler) {
	httpcaddyfile.RegisterHandlerDirective(directive, func(p httpcaddyfile.Helper) (caddyhttp.MiddlewareHandler, error) {
		p.Next()
		if p.NextArg() {
			return nil, p.ArgErr()
		}
		return h, nil
	})
	httpcaddyfile.RegisterDirectiveOrder(directive, httpcaddyfile.Before, "respond")
}

// holder is the plain handler of a stream.
type holder struct{}

// CaddyModule returns the Caddy module information.
func (holder) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "http.handlers.bench_stream", New: func() caddy.Module { return new(holder) }}
}

// ServeHTTP writes the head and waits for the client to go.
func (holder) ServeHTTP(w http.ResponseWriter, r *http.Request, _ caddyhttp.Handler) error {
	if err := writeHead(w); err != nil {
		return err
	}
	<-r.Context().Done()
	return nil
}

func writeHead(w http.ResponseWriter) error {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-cache, no-transform")
	w.WriteHeader(http.StatusOK)
	return http.NewResponseController(w).Flush()
}

// beater is the plain handler of a stream that is kept alive.
type beater struct{}

// CaddyModule returns the Caddy module information.
func (beater) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "http.handlers.bench_beats", New: func() caddy.Module { return new(beater) }}
}

// ServeHTTP writes the head, and a space now and then until the client goes.
func (beater) ServeHTTP(w http.ResponseWriter, r *http.Request, _ caddyhttp.Handler) error {
	if err := writeHead(w); err != nil {
		return err
	}
	out := http.NewResponseController(w)
	beat := time.NewTicker(2 * time.Second)
	defer beat.Stop()
	for {
		if _, err := io.WriteString(w, " "); err != nil {
			return nil
		}
		if err := out.Flush(); err != nil {
			return nil
		}
		select {
		case <-beat.C:
		case <-r.Context().Done():
			return nil
		}
	}
}

// taker is the plain handler of a POST.
type taker struct{}

// CaddyModule returns the Caddy module information.
func (taker) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "http.handlers.bench_take", New: func() caddy.Module { return new(taker) }}
}

// ServeHTTP reads the body and says that it was taken.
func (taker) ServeHTTP(w http.ResponseWriter, r *http.Request, _ caddyhttp.Handler) error {
	if _, err := io.ReadAll(http.MaxBytesReader(w, r.Body, 1<<20)); err != nil {
		return caddyhttp.Error(http.StatusBadRequest, err)
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// Interface guards
var (
	_ caddyhttp.MiddlewareHandler = holder{}
	_ caddyhttp.MiddlewareHandler = beater{}
	_ caddyhttp.MiddlewareHandler = taker{}
)
