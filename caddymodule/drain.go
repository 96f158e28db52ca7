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
