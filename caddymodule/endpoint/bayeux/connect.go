package bayeux

import (
	"context"
	"slices"
	"time"
)

// unconnected is how long a session lives whose client has not connected yet.
const unconnected = 20 * time.Second

// meetConnect checks a connect, and sets what waits for it.
func (x *exchange) meetConnect(ctx context.Context, m *message) {
	s := x.session(ctx, m)
	if s == nil {
		return
	}
	kind := text(m.Get("connectionType"))
	switch {
	case kind == "":
		x.fail(m, errMissing("connectionType"))
		return
	case !slices.Contains(connectionTypes, kind):
		x.fail(m, errConnectionTypes(kind))
		return
	}
	c := &connect{s: s, id: m.id, hold: x.holds(m), acked: readAck(extOf(m, "ack")), sync: x.timesyncOf(m), advice: x.again()}
	switch {
	case x.socket != nil:
		x.pending = c
		return
	case kind == eventSource:
		x.meetEvents(c)
		return
	}
	x.connect = func(ctx context.Context) { x.wait(ctx, c) }
}

// connect is what a /meta/connect says.
type connect struct {
	s     *Session
	id    []byte
	hold  time.Duration
	acked func(*given) bool
	sync  *timesync
	// advice of the reply.
	advice *advice
}

// meetEvents answers a connect of a client that has an EventSource: the events come
// there, and the client is to come back later.
func (x *exchange) meetEvents(c *connect) {
	if !c.s.alive() {
		x.replies.add(reply{channel: "/meta/connect", id: c.id, err: errUnknownClient(c.s.id), advice: anew()})
		return
	}
	c.advice.interval, c.advice.timeout = min(x.timeout, x.expire/2), 0
	a := reply{channel: "/meta/connect", id: c.id, client: c.s.id, advice: c.advice}
	a.ext = c.sync.append(a.ext, time.Now())
	x.replies.add(a)
}

// alive puts off the end of a session that has an EventSource, and has that written to
// again if a poll was held meanwhile; false if the end has come.
func (s *Session) alive() bool {
	s.mu.Lock()
	source := s.source
	s.await(s.expire)
	closed := s.closed
	s.mu.Unlock()
	if source != nil && !closed {
		s.bind(source)
		s.ready()
	}
	return !closed
}

// holds is how long a connect is held: as long as the client wants, but no longer than
// we do, and not at all if other replies wait for it.
func (x *exchange) holds(m *message) time.Duration {
	if x.together {
		return 0
	}
	if v := m.Get("advice", "timeout"); v != nil {
		if ms, err := v.Float64(); err == nil && ms >= 0 && ms < float64(x.timeout.Milliseconds()) {
			return time.Duration(ms) * time.Millisecond
		}
	}
	return x.timeout
}

// wait holds a connect until there is something for the client, and answers it.
func (x *exchange) wait(ctx context.Context, c *connect) {
	ctx, p, open := c.s.begin(ctx, c.id, c.acked)
	if !open {
		x.replies.add(reply{channel: "/meta/connect", id: c.id, err: errUnknownClient(c.s.id), advice: anew()})
		return
	}
	defer c.s.finish(p)
	if x.server.Ending != nil {
		stop := context.AfterFunc(x.server.Ending, func() { p.cancel(errEnding) })
		defer stop()
	}
	timer := time.AfterFunc(c.hold, func() { p.cancel(errTime) })
	defer timer.Stop()
	if c.hold == 0 {
		p.cancel(errTime)
	}
	if c.s.outdated() {
		c.s.save(context.WithoutCancel(ctx))
	}
	taken, err := c.s.take(ctx, p)
	if taken.batch > 0 && taken.any() && !c.s.save(context.WithoutCancel(ctx)) {
		c.s.moved()
		taken = takenFor{}
	}
	a := reply{channel: "/meta/connect", id: c.id, client: c.s.id, advice: c.advice}
	if err != nil {
		a.advice.interval = time.Second // the hub ends; another one may begin
	}
	if context.Cause(ctx) == errLeft {
		a.advice = &advice{reconnect: none}
	}
	c.s.mu.Lock()
	a.ext = c.s.acknowledge(c.s.number(&taken), a.ext)
	c.s.mu.Unlock()
	a.ext = c.sync.append(a.ext, time.Now())
	x.replies.add(a)
	c.s.append(&x.replies, &taken)
}
