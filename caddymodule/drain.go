package caddymodule

import (
	"context"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/seed-078801ba/sidestream/stream"
)

// drainOnExit ends a hub's streams when the server shuts down because the
// process exits. Without it a stream over HTTP/2 or 3 would hold up the exit
// for as long as Caddy's grace period says, which is for ever by default.
//
// A reload shuts down the old servers as well; that ends no stream.
func drainOnExit(srv *caddyhttp.Server, hub *stream.Hub) {
	srv.RegisterOnShutdown(func() {
		if caddy.Exiting() {
			ctx, cancel := context.WithTimeout(context.Background(), closeWait)
			defer cancel()
			hub.Drain(ctx)
		}
	})
}
