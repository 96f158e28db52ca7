package redis

import (
	"context"
	"crypto/tls"
	"net"
	"time"

	"github.com/redis/rueidis"

	"github.com/seed-078801ba/sidestream/stream/event"
	"github.com/seed-078801ba/sidestream/stream/log"
)

const (
	dialTimeout = 2 * time.Second
	// connBuffer is the size of a connection's buffers: commands are few and
	// large here, and there are several connections.
	connBuffer = 64 << 10
)

func (r *Log) clientOption() rueidis.ClientOption {
	o := &r.options
	option := rueidis.ClientOption{
		InitAddress: o.Addrs, Username: o.Username, Password: o.Password, SelectDB: o.DB, TLSConfig: o.TLS,
		ClientName: "sidestream", ClientSetInfo: rueidis.DisableClientSetInfo, DisableCache: true,
		ForceSingleClient:  !o.Cluster && o.Master == "",
		Dialer:             net.Dialer{Timeout: min(dialTimeout, o.Timeout), KeepAlive: time.Second},
		DialCtxFn:          r.dialConn,
		ConnWriteTimeout:   o.Timeout,
		ReadBufferEachConn: connBuffer, WriteBufferEachConn: connBuffer,
		PipelineMultiplex: -1, // one connection, beside the one that follows
	}
	if o.Master != "" {
		option.Sentinel = rueidis.SentinelOption{
			MasterSet: o.Master, Username: o.SentinelUsername, Password: o.SentinelPassword,
			Dialer: option.Dialer, TLSConfig: o.TLS, TopologyRefreshInterval: o.Probe,
		}
	}
	if o.Cluster {
		option.ClusterOption.ShardsRefreshInterval = 5 * o.Probe
	}
	return option
}

// dialConn is rueidis's own way to dial, but ends with the log.
func (r *Log) dialConn(ctx context.Context, addr string, dialer *net.Dialer, config *tls.Config) (net.Conn, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(r.life, cancel)()
	if config != nil {
		if config.ServerName == "" {
			host, _, err := net.SplitHostPort(addr)
			if err != nil {
				return nil, err
			}
			config = config.Clone()
			config.ServerName = host
		}
		return (&tls.Dialer{NetDialer: dialer, Config: config}).DialContext(ctx, "tcp", addr)
	}
	return dialer.DialContext(ctx, "tcp", addr)
}

// dial gives the client, and makes one if there is none yet.
func (r *Log) dial(ctx context.Context) (rueidis.Client, error) {
	r.dialing.Lock()
	defer r.dialing.Unlock()
	r.mu.Lock()
	client := r.client
	r.mu.Unlock()
	if client != nil {
		return client, nil
	}
	if r.life.Err() != nil {
		return nil, errNotConnected
	}
	client, err := rueidis.NewClient(r.clientOption())
	if err != nil {
		return nil, r.wrap("connecting to Redis", err)
	}
	r.mu.Lock()
	r.client = client
	r.mu.Unlock()
	return client, ctx.Err()
}

// redial drops the client, so that names are resolved and masters are looked up
// again.
func (r *Log) redial() {
	r.dialing.Lock()
	defer r.dialing.Unlock()
	r.mu.Lock()
	client := r.client
	r.client = nil
	r.mu.Unlock()
	if client != nil {
		client.Close()
	}
}

// connected gives the client if calls have a chance.
func (r *Log) connected() (rueidis.Client, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.client == nil || r.lost || r.head.Epoch == (event.Epoch{}) {
		return nil, &callError{doing: "asking Redis", text: errNotConnected.Error(), kind: log.ErrFailed}
	}
	return r.client, nil
}
