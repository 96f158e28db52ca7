package caddymodule

import (
	"context"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/seed-078801ba/sidestream/stream"
)

// drainOnExit ends a hub's streams when the server shuts down because the process
// exits. Otherwise a stream over HTTP/2 or 3 would delay the exit by Caddy's grace
// period, which has no end by default.
//
// A reload shuts down the old servers as well, and ends no stream.
func drainOnExit(srv *caddyhttp.Server, hub *stream.Hub) {
	srv.RegisterOnShutdown(func() {
		if caddy.Exiting() {
			ctx, cancel := context.WithTimeout(context.Background(), closeWait)
			defer cancel()
			hub.Drain(ctx)
		}
	})
}

// ending is done when the server shuts down, in a reload as well: requests that are
// held would keep it waiting.
func ending(srv *caddyhttp.Server) context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	srv.RegisterOnShutdown(cancel)
	return ctx
}
