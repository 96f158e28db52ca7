package redis

import (
	"context"
	"time"

	"github.com/redis/rueidis"

	"github.com/seed-078801ba/sidestream/stream/event"
	"github.com/seed-078801ba/sidestream/stream/log"
	"github.com/seed-078801ba/sidestream/stream/redisconn"
)

// dialTimeout bounds one attempt to connect.
const dialTimeout = 2 * time.Second

// tuning is how a log uses its connections: commands are few and large here.
func (o *Options) tuning() redisconn.Tuning {
	t := redisconn.Tuning{Timeout: min(dialTimeout, o.Timeout), Call: o.Timeout, Retry: true, Refresh: o.Probe}
	if o.Address.Master == "" {
		t.Refresh = 5 * o.Probe
	}
	return t
}

// dial gives the link, and makes one if there is none yet.
func (r *Log) dial(ctx context.Context) (*redisconn.Link, error) {
	r.dialing.Lock()
	defer r.dialing.Unlock()
	r.mu.Lock()
	link := r.link
	r.mu.Unlock()
	if link != nil {
		return link, nil
	}
	if r.life.Err() != nil {
		return nil, errClosed
	}
	link, err := r.options.Address.Connect(r.life, r.options.tuning())
	if err != nil {
		return nil, err
	}
	r.mu.Lock()
	r.link = link
	r.mu.Unlock()
	return link, ctx.Err()
}

// redial drops the link, so that names are resolved and masters are looked up
// again.
func (r *Log) redial() {
	r.dialing.Lock()
	defer r.dialing.Unlock()
	r.mu.Lock()
	link := r.link
	r.link = nil
	r.mu.Unlock()
	if link != nil {
		link.Close()
	}
}

// lose notes why Redis cannot be used; nil if it can.
func (r *Log) lose(err error) *redisconn.Cause {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case err == nil:
		r.lost = nil
	case r.link != nil:
		r.lost = r.link.Explain(err)
	default:
		r.lost = r.options.Address.Explain(err)
	}
	return r.lost
}

// connected gives the client if calls have a chance.
func (r *Log) connected() (rueidis.Client, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.link == nil || r.lost != nil || r.head.Epoch == (event.Epoch{}) {
		text := errNotConnected.Error()
		if r.lost != nil {
			text += ": " + r.lost.Error()
		}
		return nil, &callError{doing: "calling Redis", text: text, kind: log.ErrFailed}
	}
	return r.link.Client, nil
}
