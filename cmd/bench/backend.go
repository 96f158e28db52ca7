//go:build linux

package main

import (
	"context"
	"net"
	"net/http"
	"sync/atomic"
	"time"
)

// backend is the app that Sidestream asks who may listen: it says yes to
// everybody, after a while.
type backend struct {
	addr  string
	calls atomic.Int64
	http  http.Server
}

// backendTime is how long it takes to say so.
const backendTime = 5 * time.Millisecond

func startBackend() (*backend, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	a := &backend{addr: l.Addr().String()}
	a.http.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		a.calls.Add(1)
		pause(r.Context(), backendTime)
		w.Header().Set("Content-Type", "application/json")
		w.Write([]byte("{}"))
	})
	go a.http.Serve(l)
	return a, nil
}

func (a *backend) stop(ctx context.Context) { a.http.Shutdown(ctx) }
