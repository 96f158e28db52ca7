package caddymodule

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"slices"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/seed-078801ba/sidestream/stream"
	"github.com/seed-078801ba/sidestream/stream/bus"
	"github.com/seed-078801ba/sidestream/stream/log"
	"github.com/seed-078801ba/sidestream/stream/log/memory"
	"github.com/seed-078801ba/sidestream/stream/presence"
)

// onlyChecks tells whether this process only looks whether a configuration is right.
// Caddy then sets up everything but does not start it, and says nothing of that. Such
// a process must touch nothing: it may run as another user, beside the server.
func onlyChecks() bool {
	return len(os.Args) > 1 && slices.Contains([]string{"validate", "adapt"}, os.Args[1])
}

// errOnlyChecked is the error of a hub that was made to check a configuration.
var errOnlyChecked = errors.New("this process only checks configurations")

// checkedHub stands for a hub while a configuration is checked. No file is opened, and
// no server is asked.
func checkedHub(name string, history *History) (*pooledHub, error) {
	if history.Store == storeRedis {
		if _, err := history.address(); err != nil {
			return nil, err
		}
	}
	return closedHub(name, errOnlyChecked)
}

// closedHub stands for a hub that cannot be opened here. A configuration with it does
// not start, and can be checked.
func closedHub(name string, why error) (*pooledHub, error) {
	h, err := stream.Open(name, memory.New(log.Retention{}, time.Now), stream.Config{})
	if err != nil {
		return nil, err
	}
	alone := bus.NewMemory()
	p := &pooledHub{Hub: h, locked: why, bus: alone, roster: presence.New(alone, presence.Config{}), times: newTimes(name)}
	p.keepEpochs()
	return p, h.Close(context.Background())
}

// warnOfServers tells what about the servers around the handlers will be missed.
func warnOfServers(ctx caddy.Context, logger *slog.Logger) {
	v, err := ctx.AppIfConfigured("http")
	if err != nil {
		return
	}
	app, ok := v.(*caddyhttp.App)
	if !ok {
		return
	}
	for name, server := range app.Servers {
		var w routeWalk
		w.list(server.Routes, true)
		if len(w.handlers) == 0 {
			continue
		}
		if server.WriteTimeout > 0 {
			logger.Warn("the servers option `timeouts write` ends every stream over HTTP/2 and HTTP/3 when it is over: leave it out",
				"server", name, "timeout", time.Duration(server.WriteTimeout).String(), "at", w.handlers[0].writtenAt(""))
		}
	}
}
