//go:build linux

package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"time"
)

// admin is Caddy's own API, over a Unix socket.
type admin struct{ client *http.Client }

func newAdmin(socket string) *admin {
	return &admin{&http.Client{
		Timeout: time.Minute,
		Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "unix", socket)
		}},
	}}
}

// do sends one request and returns the answer's body.
func (a *admin) do(ctx context.Context, method, path, contentType string, body []byte) ([]byte, error) {
	r, err := http.NewRequestWithContext(ctx, method, "http://localhost"+path, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	r.Header.Set("Content-Type", contentType)
	answer, err := a.client.Do(r)
	if err != nil {
		return nil, fmt.Errorf("asking Caddy: %w", err)
	}
	defer answer.Body.Close()
	b, err := io.ReadAll(answer.Body)
	if err == nil && answer.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %.300s", answer.Status, b)
	}
	if err != nil {
		return nil, fmt.Errorf("asking Caddy for %s: %w", path, err)
	}
	return b, nil
}

// goroutines is how many there are.
func (a *admin) goroutines(ctx context.Context) (n int, err error) {
	b, err := a.do(ctx, http.MethodGet, "/debug/pprof/goroutine?debug=1", "", nil)
	if err == nil {
		if _, err = fmt.Sscanf(string(b), "goroutine profile: total %d", &n); err != nil {
			err = fmt.Errorf("counting goroutines: %w", err)
		}
	}
	return n, err
}

// liveBytes runs the garbage collector and tells what is in use after it, in
// heap and stacks. The process holds up to twice the heap, by Go's default.
func (a *admin) liveBytes(ctx context.Context) (int64, error) {
	b, err := a.do(ctx, http.MethodGet, "/debug/pprof/heap?gc=1&debug=1", "", nil)
	if err != nil {
		return 0, err
	}
	return parseLive(string(b))
}

// parseLive reads the runtime's figures at the end of a heap profile.
func parseLive(profile string) (int64, error) {
	var heap, stack int64
	for line := range strings.Lines(profile) {
		fmt.Sscanf(line, "# HeapAlloc = %d", &heap)
		fmt.Sscanf(line, "# Stack = %d", &stack)
	}
	if heap == 0 || stack == 0 {
		return 0, errors.New("a heap profile without the figures of the runtime")
	}
	return heap + stack, nil
}

// reload loads a Caddyfile.
func (a *admin) reload(ctx context.Context, caddyfile string) error {
	_, err := a.do(ctx, http.MethodPost, "/load", "text/caddyfile", []byte(caddyfile))
	return err
}

// saveProfile writes a profile to a file: "profile?seconds=5" is one of the
// processor, "heap" one of memory.
func (a *admin) saveProfile(ctx context.Context, kind, file string) error {
	b, err := a.do(ctx, http.MethodGet, "/debug/pprof/"+kind, "", nil)
	if err != nil {
		return err
	}
	return os.WriteFile(file, b, 0o644)
}
