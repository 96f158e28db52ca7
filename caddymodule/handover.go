package caddymodule

import (
	"context"
	"net"
	"reflect"
	"slices"
	"sync"
	"syscall"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyevents"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

// handover spares webhooks of senders that never send again, while a reload takes the
// old servers away. A server that shuts down resets connections that wait to be
// accepted, and drops requests that it has just read. So once the new servers listen,
// new connections are led to them, and the old ones get a moment to answer what they
// have: as each of their answers to such a sender ends its connection, none is left
// then.
type handover struct {
	mu      sync.Mutex
	servers []*caddyhttp.Server
	gone    int  // how many of them listen no more
	spares  bool // one of them has a webhook whose sender never sends again
}

// handoverTime is how long old servers go on when new connections come to the new
// ones. A sender's request follows its handshake at once; most answers take a few
// milliseconds.
const handoverTime = 500 * time.Millisecond

// add takes part in the handovers of a server. spares: it has a webhook whose sender
// never sends again.
func (h *handover) add(server *caddyhttp.Server, spares bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.spares = h.spares || spares
	if slices.Contains(h.servers, server) {
		return
	}
	h.servers = append(h.servers, server)
	server.RegisterOnShutdown(h.closed) // when its listeners are
}

// closed is called when one of the servers listens no more. Before all are closed,
// none of them may get a new connection.
func (h *handover) closed() {
	h.mu.Lock()
	h.gone++
	last := h.gone == len(h.servers)
	h.mu.Unlock()
	if last {
		h.end()
	}
}

// subscribe has Handle called before servers are stopped. Caddy waits for it.
func (h *handover) subscribe(ctx caddy.Context) error {
	events, err := ctx.App("events")
	if err != nil {
		return err
	}
	return events.(*caddyevents.App).On("stopping", h)
}

// Handle implements caddyevents.Handler: a configuration is about to be stopped, and
// another one runs already.
func (h *handover) Handle(context.Context, caddy.Event) error {
	if caddy.Exiting() || !h.spares {
		return nil
	}
	led := false
	for _, socket := range h.sockets() {
		led = leadToNewest(socket) == nil || led
	}
	if led {
		time.Sleep(handoverTime) // in the goroutine of the reload
	}
	return nil
}

// release lets new connections come to any server again that listens. Call it on the
// handover of servers that run.
func (h *handover) release() {
	for _, socket := range h.sockets() {
		_ = leadToAny(socket) // where there is no such thing, nothing was led anywhere
	}
}

// sockets are those that the servers listen on.
func (h *handover) sockets() (sockets []syscall.RawConn) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, server := range h.servers {
		for _, listener := range server.Listeners() {
			if socket, ok := innermostListener(listener).(*net.TCPListener); ok {
				if raw, err := socket.SyscallConn(); err == nil {
					sockets = append(sockets, raw)
				}
			}
		}
	}
	return sockets
}

// innermostListener is a listener without what wraps it. Caddy, crypto/tls and others
// embed it, or have it in a field of that name.
func innermostListener(l net.Listener) net.Listener {
	for range 16 {
		v := reflect.Indirect(reflect.ValueOf(l))
		if _, ok := l.(*net.TCPListener); ok || v.Kind() != reflect.Struct {
			break
		}
		field := v.FieldByName("Listener")
		if !field.IsValid() || !field.CanInterface() {
			break
		}
		inner, ok := field.Interface().(net.Listener)
		if !ok {
			break
		}
		l = inner
	}
	return l
}

// running is the handover of the configuration that was started last.
var running struct {
	mu sync.Mutex
	h  *handover
}

// begin makes it that of the configuration that runs.
func (h *handover) begin() {
	running.mu.Lock()
	defer running.mu.Unlock()
	running.h = h
}

// end is called when its servers listen no more.
func (h *handover) end() {
	running.mu.Lock()
	defer running.mu.Unlock()
	if running.h == h {
		running.h = nil
	} else if running.h != nil {
		running.h.release()
	}
}
