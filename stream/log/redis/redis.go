// Package redis keeps a hub's log in a Redis server that several processes share.
// Scripts in Redis make its order (the .lua files beside this one); every process
// follows it to learn what the others have appended.
package redis

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/seed-078801ba/sidestream/stream/event"
	"github.com/seed-078801ba/sidestream/stream/log"
	"github.com/seed-078801ba/sidestream/stream/redisconn"
)

// Options say where a log in Redis is, and how it is kept.
type Options struct {
	// Address is how to reach Redis. In a Cluster, all of a hub is kept in one
	// slot, and so by one of its masters. Required.
	Address redisconn.Address

	// Hub names the log: processes with the same Hub and Prefix in one Redis
	// share one. Required.
	Hub string
	// Prefix begins the names of all keys. Default: sidestream.
	Prefix string

	Retention log.Retention
	// FeedEvents and FeedBytes bound how much of the newest a node that was
	// away can catch up on; beyond that it is told of a gap. Defaults: 10,000
	// events, 64 MiB. Retained events are kept besides.
	FeedEvents int
	FeedBytes  int64

	// Timeout bounds every call. Default: 5 s.
	Timeout time.Duration
	// Probe is how often Follow proves that Redis takes writes and answers.
	// Default: 1 s.
	Probe time.Duration
	// Replicas is how many replicas must have an event before Append returns
	// (WAIT); Append fails, with an unknown outcome, if too few have it in time.
	// Nodes that follow see an event without waiting for that.
	Replicas int
	// Durable states that what this Redis has acknowledged survives its crash:
	// appendonly yes and appendfsync always. Redis does not tell that to a user
	// with few rights, so whoever configures it does.
	Durable bool

	// Now, if set, gives the time of entries, for tests. Default: the time of
	// the Redis server, so that all nodes have one clock.
	Now func() time.Time
}

func (o Options) withDefaults() Options {
	if o.Prefix == "" {
		o.Prefix = "sidestream"
	}
	if o.FeedEvents <= 0 {
		o.FeedEvents = 10_000
	}
	if o.FeedBytes <= 0 {
		o.FeedBytes = 64 << 20
	}
	if o.Timeout <= 0 {
		o.Timeout = 5 * time.Second
	}
	if o.Probe <= 0 {
		o.Probe = time.Second
	}
	return o
}

// Log is a log in a Redis server that several processes share. Its order is
// made by scripts in Redis; see the .lua files beside this one.
//
// The log has a new epoch when Redis has lost it or a part of it, and when a
// process shows that it has seen an entry that Redis does not know: then
// clients may hold positions that another entry has taken, or will take.
//
// Tags are random, so that two histories of one log, as after a failover that
// lost the newest entries, differ at every position behind their fork.
//
// The times of entries are those of the Redis server, but never go back.
//
// Redis must be 6.2 or newer, and must not evict keys (maxmemory-policy
// noeviction, the default): a log that lost a key begins anew. Beside the
// retained events, it keeps a few hundred bytes for each event of the time for which
// keys are remembered.
type Log struct {
	options Options
	keys    []string
	records []string // the keys of the records
	started time.Time

	upgraded bool

	life context.Context // ends with Close, and every call with it
	end  context.CancelFunc

	secret  atomic.Pointer[string] // nil until Redis has told it
	dialing sync.Mutex             // held while a client is made

	mu        sync.Mutex
	link      *redisconn.Link  // nil until Redis was reached first
	lost      *redisconn.Cause // why Follow is not connected, nil if it is
	head      event.Cursor     // the newest position known, of the epoch announced
	retention log.Retention
	stats     log.Stats
	clock     serverClock
	scan      string // where Sweep goes on looking at channels, "" if nowhere
}

var _ log.Shared = (*Log)(nil)

// errOptions is the error of options that cannot work.
var errOptions = errors.New("a log in Redis needs the address of a Redis and the name of the hub")

// Open makes a log of what is in Redis. It tries to reach Redis, for as
// long as the shorter of two seconds and the timeout, but succeeds without it:
// until Follow has reached it, Head is zero and everything else fails.
func Open(o Options) (*Log, error) {
	o = o.withDefaults()
	if len(o.Address.Addrs) == 0 || o.Hub == "" {
		return nil, errOptions
	}
	r := &Log{
		options: o, keys: keyNames(o.Prefix, o.Hub), records: recordKeyNames(o.Prefix, o.Hub), started: time.Now(), retention: o.Retention, scan: "0",
	}
	if o.Now != nil {
		r.started = o.Now()
	}
	r.life, r.end = context.WithCancel(context.Background())
	ctx, cancel := context.WithTimeout(r.life, min(openPatience, o.Timeout))
	defer cancel()
	link, err := r.dial(ctx)
	if err == nil {
		var s answer
		if s, err = r.state(ctx, link.Client, event.Cursor{}); err == nil {
			r.announce(s)
			r.upgraded = s.upgraded
			_, err = r.state(ctx, link.Client, s.head) // tells the secret
		}
	}
	r.lose(err)
	return r, nil
}

const openPatience = 2 * time.Second

// Head is the cursor of the newest entry that this process knows of.
func (r *Log) Head() event.Cursor {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.head
}

// Upgraded tells whether Open has brought the log from an older format to the one
// of today, which gave it a new epoch: clients that come back are told of a gap.
func (r *Log) Upgraded() bool { return r.upgraded }

// Secret implements log.Shared.
func (r *Log) Secret() []byte {
	if s := r.secret.Load(); s != nil {
		return []byte(*s)
	}
	return nil
}

// SetRetention implements Log. Each process enforces its own: where they
// differ, the least is kept.
func (r *Log) SetRetention(retention log.Retention) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.retention, r.scan = retention, "0"
}

// Stats implements Log. They are as of the last answer of Redis.
func (r *Log) Stats() log.Stats {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.stats
}

// Durable implements Log.
func (r *Log) Durable() bool { return r.options.Durable }

// Grouped implements Log: an Append is a round trip.
func (r *Log) Grouped() bool { return true }

// Close ends all connections. What is in Redis stays.
func (r *Log) Close() error {
	r.end()
	r.dialing.Lock() // whoever dials gives up now
	defer r.dialing.Unlock()
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.link != nil {
		r.link.Close()
		r.link = nil
	}
	return nil
}
