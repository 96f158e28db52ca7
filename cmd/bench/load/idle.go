package load

import (
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

// Idle are streams over TLS that are held open and not read: heartbeats stay in
// the kernel's buffers for as long as a measurement of memory takes.
type Idle struct {
	mu      sync.Mutex
	closers []io.Closer
}

// Close ends them.
func (i *Idle) Close() {
	for _, c := range i.closers {
		c.Close()
	}
}

func (i *Idle) add(c io.Closer) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.closers = append(i.closers, c)
}

// handshakes is how many are made at a time.
const handshakes = 32

// unverified is for the certificates that the benchmark's own servers make.
func unverified(protocol string) *tls.Config {
	return &tls.Config{InsecureSkipVerify: true, MinVersion: tls.VersionTLS13, NextProtos: []string{protocol}}
}

// OpenTLS opens n streams over TLS 1.3 and HTTP/1.1. Close what it returns also
// after an error.
func OpenTLS(ctx context.Context, addr string, n int, request []byte) (*Idle, error) {
	idle := new(Idle)
	return idle, inParallel(n, func(i int) error {
		src := source(i)
		dialer := tls.Dialer{
			NetDialer: &net.Dialer{Timeout: postTimeout, LocalAddr: &net.TCPAddr{IP: src[:]}},
			Config:    unverified("http/1.1"),
		}
		c, err := dialer.DialContext(ctx, "tcp", addr)
		if err != nil {
			return fmt.Errorf("connecting: %w", err)
		}
		idle.add(c)
		c.SetDeadline(time.Now().Add(postTimeout))
		if _, err := c.Write(request); err != nil {
			return fmt.Errorf("sending the request: %w", err)
		}
		var head []byte
		for buf := make([]byte, 1024); !bytes.Contains(head, []byte("\r\n\r\n")); {
			k, err := c.Read(buf)
			if err != nil {
				return fmt.Errorf("reading the response head: %w", err)
			}
			head = append(head, buf[:k]...)
		}
		if !bytes.HasPrefix(head, []byte("HTTP/1.1 200 ")) {
			return fmt.Errorf("refused: %.40q", head)
		}
		return nil
	})
}

// OpenHTTP2 opens streams over HTTP/2, so many on each of so many connections.
// Close what it returns also after an error.
func OpenHTTP2(ctx context.Context, url string, connections, perConnection int) (*Idle, error) {
	idle := new(Idle)
	ctx, cancel := context.WithCancel(ctx)
	idle.add(closerFunc(cancel))
	return idle, inParallel(connections, func(int) error {
		// A transport of its own, and the first stream alone: those behind it
		// find the connection that it made.
		t := &http.Transport{ForceAttemptHTTP2: true, TLSClientConfig: unverified("h2"), ResponseHeaderTimeout: postTimeout}
		idle.add(closerFunc(t.CloseIdleConnections))
		for range perConnection {
			r, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
			if err != nil {
				return err
			}
			answer, err := t.RoundTrip(r)
			if err != nil {
				return fmt.Errorf("opening a stream: %w", err)
			}
			idle.add(answer.Body)
			if answer.StatusCode != http.StatusOK || answer.ProtoMajor != 2 {
				return fmt.Errorf("refused: %s %s", answer.Proto, answer.Status)
			}
		}
		return nil
	})
}

type closerFunc func()

func (f closerFunc) Close() error {
	f()
	return nil
}

// inParallel calls open for 0 to n-1, some at a time. After the first error it
// starts no more.
func inParallel(n int, open func(i int) error) error {
	var (
		wg    sync.WaitGroup
		next  atomic.Int64
		once  sync.Once
		first error
	)
	for range min(n, handshakes) {
		wg.Go(func() {
			for {
				i := int(next.Add(1)) - 1
				if i >= n {
					return
				}
				if err := open(i); err != nil {
					next.Add(int64(n))
					once.Do(func() { first = fmt.Errorf("opening %d: %w", i, err) })
				}
			}
		})
	}
	wg.Wait()
	return first
}
