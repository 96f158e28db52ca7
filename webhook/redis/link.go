package redis

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"slices"
	"sync"

	"github.com/redis/rueidis"
)

// link is one client of Redis and all connections that it has opened. Redis may
// hang, and then so would a client that is closed politely: cut closes the
// connections under it, which ends every call.
type link struct {
	client rueidis.Client
	ears   rueidis.DedicatedClient // what listener made, if it was called

	mu    sync.Mutex
	conns map[net.Conn]struct{}
	cutOf bool
}

var errCut = errors.New("the link is closed")

// connect resolves the address anew and makes a client. It ends early when ctx
// does.
func connect(ctx context.Context, a *address) (*link, error) {
	l := &link{conns: map[net.Conn]struct{}{}}
	option := a.option
	option.DialCtxFn = func(ctx context.Context, addr string, d *net.Dialer, t *tls.Config) (net.Conn, error) {
		return l.dial(ctx, a.network, addr, d, t)
	}
	stop := context.AfterFunc(ctx, l.cut)
	defer stop()
	client, err := rueidis.NewClient(option)
	if err == nil && ctx.Err() != nil {
		client.Close()
		err = ctx.Err()
	}
	if err != nil {
		l.cut()
		return nil, fmt.Errorf("connecting to %s: %w", a.shown, err)
	}
	l.client = client
	return l, nil
}

func (l *link) dial(ctx context.Context, network, addr string, d *net.Dialer, t *tls.Config) (net.Conn, error) {
	raw, err := d.DialContext(ctx, network, addr)
	if err != nil {
		return nil, err
	}
	conn := &linkConn{Conn: raw, link: l}
	l.mu.Lock()
	if l.cutOf {
		l.mu.Unlock()
		raw.Close()
		return nil, errCut
	}
	l.conns[conn] = struct{}{}
	l.mu.Unlock()
	if t == nil {
		return conn, nil
	}
	if t.ServerName == "" {
		t = t.Clone()
		t.ServerName = host(addr)
	}
	secure := tls.Client(conn, t)
	if err := secure.HandshakeContext(ctx); err != nil {
		conn.Close()
		return nil, fmt.Errorf("TLS: %w", err)
	}
	return secure, nil
}

// linkConn is forgotten by its link when it is closed.
type linkConn struct {
	net.Conn
	link *link
}

func (c *linkConn) Close() error {
	c.link.mu.Lock()
	delete(c.link.conns, c)
	c.link.mu.Unlock()
	return c.Conn.Close()
}

// cut closes all connections, and lets no new ones be made.
func (l *link) cut() {
	l.mu.Lock()
	l.cutOf = true
	conns := l.conns
	l.conns = map[net.Conn]struct{}{}
	l.mu.Unlock()
	for c := range conns {
		c.(*linkConn).Conn.Close()
	}
}

// close ends the link and waits for the client's goroutines.
func (l *link) close() {
	l.cut()
	if l.ears != nil {
		l.ears.Close()
	}
	l.client.Close()
}

// listener is a connection for subscriptions. On a cluster, every server hears
// every PUBLISH; all nodes of ours listen at the first by name that answers, so
// that all hear the same order.
func (l *link) listener(ctx context.Context) (rueidis.DedicatedClient, error) {
	if l.client.Mode() != rueidis.ClientModeCluster {
		l.ears, _ = l.client.Dedicate()
		return l.ears, nil
	}
	nodes := l.client.Nodes()
	names := make([]string, 0, len(nodes))
	for name := range nodes {
		names = append(names, name)
	}
	slices.Sort(names)
	err := errors.New("the cluster has no servers")
	for _, name := range names {
		c, _ := nodes[name].Dedicate()
		attempt, cancel := context.WithTimeout(ctx, connectTimeout/2)
		err = c.Do(attempt, c.B().Ping().Build()).Error()
		cancel()
		if err == nil {
			l.ears = c
			return c, nil
		}
		c.Close()
	}
	return nil, fmt.Errorf("listening at a server of the cluster: %w", err)
}
