package redisconn

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"

	"github.com/redis/rueidis"
)

// Tuning is how a client is to behave. The zero value is good.
type Tuning struct {
	// Timeout bounds one attempt to connect: looking up the name, connecting and
	// TLS together, and then the login. Default: 5 s.
	Timeout time.Duration
	// Call bounds every write, and every answer that the caller does not bound.
	// Default: Timeout.
	Call time.Duration
	// Refresh is how often sentinels, or nodes of a Cluster, are asked who serves,
	// in case that an announcement was missed. Default: 5 s.
	Refresh time.Duration
	// Detect: a single address may be a node of a Cluster. It is asked.
	Detect bool
	// Retry: commands that may be repeated are, when their connection breaks.
	Retry bool
	// ReadBuffer and WriteBuffer are in bytes, for each connection. Default: 64 KiB.
	ReadBuffer, WriteBuffer int
	// Pipeline is how many commands may wait on a connection, as a power of two.
	// Default: what the library takes.
	Pipeline int
}

const (
	defaultTimeout = 5 * time.Second
	defaultBuffer  = 64 << 10
	// keepAlive is how often an idle connection is pinged.
	keepAlive = time.Second
)

func (t Tuning) withDefaults() Tuning {
	set(&t.Timeout, defaultTimeout)
	set(&t.Call, t.Timeout)
	set(&t.Refresh, defaultTimeout)
	set(&t.ReadBuffer, defaultBuffer)
	set(&t.WriteBuffer, defaultBuffer)
	return t
}

func set[T int | time.Duration](v *T, def T) {
	if *v <= 0 {
		*v = def
	}
}

// Link is one client of Redis and all connections that it has opened. Redis may
// hang, and then so would a client that is closed politely: Cut closes the
// connections under it, which ends every call.
type Link struct {
	// Client is what to call.
	Client rueidis.Client

	address *Address
	timeout time.Duration

	mu     sync.Mutex
	conns  map[net.Conn]struct{}
	cutOff bool
	failed error // of the last attempt to dial, nil once one succeeds
}

var errCut = errors.New("the link is closed")

// Connect looks the address up anew and makes a client. It ends early when ctx
// does. Its errors are Causes.
func (a *Address) Connect(ctx context.Context, t Tuning) (*Link, error) {
	t = t.withDefaults()
	l := &Link{address: a, timeout: t.Timeout, conns: map[net.Conn]struct{}{}}
	stop := context.AfterFunc(ctx, l.Cut)
	defer stop()
	client, err := rueidis.NewClient(a.option(t, l))
	if err == nil && ctx.Err() != nil {
		client.Close()
		err = ctx.Err()
	}
	if err != nil {
		l.Cut()
		return nil, l.Explain(err)
	}
	l.Client = client
	return l, nil
}

// option is what the library wants to know.
func (a *Address) option(t Tuning, l *Link) rueidis.ClientOption {
	o := rueidis.ClientOption{
		InitAddress: a.Addrs, Username: a.Username, Password: a.Password, SelectDB: a.DB, TLSConfig: a.TLS,
		ClientName: a.ClientName, AlwaysRESP2: a.RESP2, ClientSetInfo: rueidis.DisableClientSetInfo, DisableCache: true, DisableRetry: !t.Retry,
		ForceSingleClient:  !a.Cluster && a.Master == "" && len(a.Addrs) == 1 && !t.Detect,
		Dialer:             net.Dialer{Timeout: t.Timeout, KeepAlive: keepAlive},
		DialCtxFn:          l.dial,
		ConnWriteTimeout:   t.Call,
		ReadBufferEachConn: t.ReadBuffer, WriteBufferEachConn: t.WriteBuffer,
		PipelineMultiplex: -1, // one connection, beside dedicated ones
		RingScaleEachConn: t.Pipeline,
	}
	if o.ClientName == "" {
		o.ClientName = "sidestream"
	}
	switch {
	case a.Master != "":
		o.Sentinel = rueidis.SentinelOption{
			MasterSet: a.Master, Username: a.SentinelUsername, Password: a.SentinelPassword,
			Dialer: o.Dialer, TLSConfig: a.TLS, TopologyRefreshInterval: t.Refresh,
		}
	case !o.ForceSingleClient:
		o.ClusterOption.ShardsRefreshInterval = t.Refresh
	}
	return o
}

// What a server may be too slow for.
const (
	doingDial = "connecting"
	doingTLS  = "agreeing on TLS"
)

// dial makes one connection, within the timeout, and remembers what went wrong.
func (l *Link) dial(ctx context.Context, addr string, d *net.Dialer, config *tls.Config) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, l.timeout)
	defer cancel()
	conn, err := l.open(ctx, addr, d, config)
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.cutOff {
		l.failed = err
	}
	return conn, err
}

func (l *Link) open(ctx context.Context, addr string, d *net.Dialer, config *tls.Config) (net.Conn, error) {
	network := "tcp"
	if l.address.Unix {
		network = "unix"
	}
	raw, err := d.DialContext(ctx, network, addr)
	if err != nil {
		return nil, tooSlow(ctx, err, doingDial)
	}
	conn := &linkConn{Conn: raw, link: l}
	if !l.add(conn) {
		raw.Close()
		return nil, errCut
	}
	if config == nil {
		return conn, nil
	}
	if config.ServerName == "" {
		config = config.Clone()
		config.ServerName = hostOf(addr)
	}
	secure := tls.Client(conn, config)
	if err := secure.HandshakeContext(ctx); err != nil {
		conn.Close()
		return nil, tooSlow(ctx, fmt.Errorf("TLS: %w", err), doingTLS)
	}
	return secure, nil
}

// tooSlow says what took too long, if that is what went wrong.
func tooSlow(ctx context.Context, err error, doing string) error {
	var timeout net.Error
	var dns *net.DNSError
	if errors.As(err, &dns) {
		return err
	}
	if errors.Is(ctx.Err(), context.DeadlineExceeded) || errors.As(err, &timeout) && timeout.Timeout() {
		return &slowError{doing}
	}
	return err
}

// hostOf is the name that a certificate of the server at addr must have.
func hostOf(addr string) string {
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return addr
	}
	return host
}

// Explain is the cause of an error of this link. Where the client only knows that
// a connection is gone, it is why there is no new one.
func (l *Link) Explain(err error) *Cause {
	if err == nil {
		return nil
	}
	if vague(err) {
		l.mu.Lock()
		if l.failed != nil {
			err = l.failed
		}
		l.mu.Unlock()
	}
	return l.address.Explain(err)
}

func (l *Link) add(c *linkConn) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.cutOff {
		return false
	}
	l.conns[c] = struct{}{}
	return true
}

// linkConn is forgotten by its link when it is closed.
type linkConn struct {
	net.Conn
	link *Link
}

func (c *linkConn) Close() error {
	c.link.mu.Lock()
	delete(c.link.conns, c)
	c.link.mu.Unlock()
	return c.Conn.Close()
}

// Cut closes all connections, and lets no new ones be made.
func (l *Link) Cut() {
	l.mu.Lock()
	l.cutOff = true
	conns := l.conns
	l.conns = map[net.Conn]struct{}{}
	l.mu.Unlock()
	for c := range conns {
		c.(*linkConn).Conn.Close()
	}
}

// Close ends the link and waits for the client's goroutines.
func (l *Link) Close() {
	l.Cut()
	l.Client.Close()
}
