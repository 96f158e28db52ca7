package caddymodule

import (
	"context"
	"errors"
	"net/http"
	"os"
	"sync/atomic"
	"time"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp/reverseproxy"

	"github.com/seed-078801ba/sidestream/caddymodule/forwardauth"
	"github.com/seed-078801ba/sidestream/stream"
	"github.com/seed-078801ba/sidestream/stream/event"
	"github.com/seed-078801ba/sidestream/webhook/decode"
	"github.com/seed-078801ba/sidestream/webhook/tap"
)

// tapWay is the way in of all taps of a hub.
const tapWay = "tap"

// readOn is how long an answer is waited for whose client has hung up.
const readOn = 5 * time.Second

func (s *Sidestream) provisionTaps() error {
	if len(s.Taps)+len(s.RevokeTaps) == 0 {
		return nil
	}
	var err error
	s.taps, err = tap.Compile(s.Taps, s.RevokeTaps)
	return err
}

// hubTap is the tap of a hub, which outlives configurations, as the hub does.
type hubTap struct {
	*tap.Tap
	untapped *shapes
	// revoke is what the configuration that runs does about revocations.
	revoke atomic.Pointer[func(decode.Revocation)]
}

// joinTaps gives the handler the tap of its hub.
func (s *Sidestream) joinTaps(p *pooledHub) {
	if s.taps == nil {
		return
	}
	p.tapOnce.Do(func() {
		in := p.wayIn(tapWay)
		in.Publisher, in.unrepeated = latePublisher{p.Hub}, true
		node, _ := os.Hostname() // without one, all nodes are one
		t := &hubTap{untapped: &p.untapped}
		t.Tap = tap.New(tap.Options{
			Publisher: in, Mark: p.Log().Mark, Node: node, Find: p.FindMessage, Poke: p.Poke,
			Interrupted: func() { p.InterruptedAlone(tapWay) },
			Revoke: func(r decode.Revocation) {
				if revoke := t.revoke.Load(); revoke != nil {
					(*revoke)(r)
				}
			},
			Logger: hubLogger(),
		})
		p.tap.Store(t)
	})
	s.hubTap = p.tap.Load()
}

// latePublisher publishes also while the hub closes: what the app has answered is
// answered, and nobody repeats it.
type latePublisher struct{ *stream.Hub }

// Publish implements event.Publisher.
func (l latePublisher) Publish(ctx context.Context, b event.Batch) ([]event.Receipt, error) {
	receipts, err := l.Hub.Publish(ctx, b)
	if errors.Is(err, event.ErrClosed) {
		return l.PublishLate(b)
	}
	return receipts, err
}

// startTaps is called when the handler's configuration begins to run.
func (s *Sidestream) startTaps() {
	if s.taps == nil {
		return
	}
	t := s.hubTap
	revoke := func(r decode.Revocation) {
		_, _ = s.revoke(context.Background(), r.User, r.Channel) // it has logged the error
	}
	t.revoke.Store(&revoke)
	t.Start()
}

// pass hands a request on that is none of ours. If a tap is for it, what is answered is
// looked at on its way.
func (s *Sidestream) pass(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler) error {
	if s.taps == nil {
		return next.ServeHTTP(w, r)
	}
	route := s.taps.Find(r)
	if route == nil {
		if tap.Writes(r) {
			s.hubTap.untapped.add(r.Method, r.URL.Path)
		}
		return next.ServeHTTP(w, r)
	}
	return s.serveTapped(w, r, next, route)
}

// serveTapped hands a request on whose answer a tap is for. If the client hangs up, the
// answer is still waited for: the app may have done what it was asked.
func (s *Sidestream) serveTapped(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler, route *tap.Route) error {
	client := r.Context()
	ctx, cancel := context.WithCancel(context.WithoutCancel(client))
	defer cancel()
	stop := context.AfterFunc(client, func() { time.AfterFunc(readOn, cancel) })
	defer stop()
	through := r.WithContext(ctx)
	a := s.hubTap.Begin(route, route.Prepare(through), &tapClient{s, r})
	tw := &tapWriter{ResponseWriterWrapper: &caddyhttp.ResponseWriterWrapper{ResponseWriter: w}, answer: a, client: client}
	clean, unknown := false, true // if the handler panics
	defer func() { a.End(clean, unknown) }()
	err := next.ServeHTTP(tw, through)
	if err == nil {
		a.Head(http.StatusOK, w.Header()) // if nothing was written
	}
	clean, unknown = err == nil, mayHaveReached(err) || ctx.Err() != nil
	return err
}

// mayHaveReached tells whether the app may have got a request that failed.
func mayHaveReached(err error) bool {
	var failed caddyhttp.HandlerError
	var dial reverseproxy.DialError
	return errors.As(err, &failed) && !errors.As(err, &dial) &&
		(failed.StatusCode == http.StatusBadGateway || failed.StatusCode == http.StatusGatewayTimeout)
}

// tapClient is who has sent a request whose answer is looked at.
type tapClient struct {
	s *Sidestream
	r *http.Request // only its head is used
}

// client is who asks, as the app is asked about it; nil if it has no credential.
func (c *tapClient) client() *forwardauth.Client {
	credential, err := c.s.auth.Credential(c.r)
	if err != nil || credential.IsZero() || c.s.auth.None() {
		return nil
	}
	client := c.s.auth.Client(c.r, credential)
	client.Address = c.s.clientAddress(c.r)
	return client
}

// User implements tap.Client.
func (c *tapClient) User(ctx context.Context, channel string) string {
	client := c.client()
	if client == nil {
		return ""
	}
	gate := c.s.gate
	if user := gate.User(client.Inputs()); user != "" {
		return user
	}
	if c.s.auth.AsksIdentity() {
		return gate.Check(ctx, c.s.auth.WhoIs(client)).User
	}
	if channel == "" {
		return ""
	}
	q := c.s.auth.MayListen(client)
	q.Channel = c.s.names.Canonical(channel)
	return gate.Check(ctx, q).User
}

// Recheck implements tap.Client.
func (c *tapClient) Recheck() {
	client := c.client()
	if client == nil {
		return
	}
	user := c.s.gate.User(client.Inputs())
	c.s.gate.RevokeCredential(client.Inputs())
	if user != "" { // other nodes know the client by that
		_, _ = c.s.revoke(context.Background(), user, "") // it has logged the error
	}
}

// closeTap publishes what taps have seen, and ends them.
func (p *pooledHub) closeTap(ctx context.Context) {
	if t := p.tap.Load(); t != nil {
		t.Close(ctx)
	}
}

// tapStats are the counts of the hub's taps; ok is false if it has none.
func (p *pooledHub) tapStats() (st tap.Stats, ok bool) {
	t := p.tap.Load()
	if t == nil {
		return st, false
	}
	return t.Stats(), true
}
