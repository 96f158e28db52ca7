package redis

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/rueidis"

	"github.com/seed-078801ba/sidestream/stream/redisconn"
)

const (
	// settleTime is how long other nodes may take to answer whether they have
	// been listening. That a node is slow must not look as if there was none: where
	// somebody else listens to the signals, it may take othersTime, and where one that
	// has the same log was heard, peerTime. Messages wait so long.
	settleTime = time.Second
	othersTime = 3 * time.Second
	peerTime   = 15 * time.Second
	// secretWait is the pause before the secret of the log is asked for again.
	secretWait = 200 * time.Millisecond
	// unheardProbes is how many probes in a row may not have come back. They are
	// counted, and no time is taken: a process that was halted, or that a busy machine
	// let wait, finds a long silence behind it, and what was said in it still to be read.
	unheardProbes = 2
	// namesAtOnce bounds the names in one SUBSCRIBE.
	namesAtOnce = 512
	// troubleConnection is the kind of trouble that ends sessions.
	troubleConnection = "not listening to Redis; trying again"
)

var (
	errSilent       = errors.New("the subscription does not hear what Redis is sent any more")
	errHalted       = errors.New("this process was halted for so long that the signals of other nodes are out of date")
	errUnsubscribed = errors.New("the subscriptions were not confirmed in time")
)

// session is one subscription, from connecting to whatever ends it.
type session struct {
	s        *Source
	link     *link
	ears     rueidis.DedicatedClient
	token    string // its name for other nodes
	question string // the token of its question to them
	say      chan signal

	opened  chan struct{} // closed when its question came back
	settled chan struct{} // closed when it is known whether others covered the time before
	told    chan struct{} // closed when the log has the gaps for the time before
	done    chan struct{} // closed when it is over
	settle  sync.Once
	covered bool   // another node has stored everything up to now; valid once settled
	gap     string // the last loss of that node

	confirmed chan struct{} // closed when all subscriptions are
	unheard   atomic.Int32  // probes that were due since the last one came back
	others    atomic.Bool   // somebody else has got its question
	peerAsks  atomic.Bool   // another node has begun anew as well, as after a restart of Redis

	demandedFirst []string // on demand: the channels of the hub that it began with

	// Of the goroutine that reads the connection.
	window      string
	ordinals    map[string]uint64
	unconfirmed map[string]struct{}
	fresh       map[string]demanded // subscribed within this window, so not counted by all
	isOpen      bool
	lastRead    time.Time // by the wall clock, which goes on while a machine is suspended

	cancel context.CancelCauseFunc

	mu       sync.Mutex
	names    map[string]demanded // on demand, by the name in Redis
	channels map[string]struct{}
}

// demanded is what a name in Redis stands for.
type demanded struct {
	channel string // of the hub
	first   bool   // of the channel's names, which are all subscribed to at once
}

// listen keeps a subscription until ctx ends.
func (s *Source) listen(ctx context.Context) {
	var b redisconn.Backoff
	for s.signatures.current() == nil { // the log cannot be reached yet
		if !redisconn.Pause(ctx, secretWait) {
			return
		}
	}
	for {
		err := s.session(ctx, &b)
		s.counts.connected.Store(false)
		if ctx.Err() != nil {
			return
		}
		s.counts.reconnects.Add(1)
		s.trouble.reportCause(troubleConnection, s.plan.address.Explain(err).Text)
		if !b.Wait(ctx) {
			return
		}
	}
}

// session subscribes, and returns why the subscription has ended.
func (s *Source) session(ctx context.Context, b *redisconn.Backoff) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	link, err := s.connect(ctx)
	if err != nil {
		return err
	}
	defer link.close()
	stop := context.AfterFunc(ctx, link.Cut)
	defer stop()
	ears, err := link.listener(ctx)
	if err != nil {
		return err
	}
	n := &session{
		s: s, link: link, cancel: cancel, ears: ears, token: newToken(), question: newToken(), say: make(chan signal, 64),
		opened: make(chan struct{}), settled: make(chan struct{}), told: make(chan struct{}), done: make(chan struct{}), confirmed: make(chan struct{}),
		ordinals: map[string]uint64{}, unconfirmed: map[string]struct{}{}, fresh: map[string]demanded{},
		names: map[string]demanded{}, channels: map[string]struct{}{},
	}
	defer close(n.done)
	if s.options.SharedLog == "" {
		n.window = n.token
	}
	var speaking sync.WaitGroup
	speaking.Go(func() { n.speak(ctx, cancel) })
	defer speaking.Wait()
	defer cancel(nil)
	err = n.subscribeAndWatch(ctx, b)
	if cause := context.Cause(ctx); cause != nil && err != nil {
		err = cause
	}
	return link.Explain(err)
}

func (n *session) subscribeAndWatch(ctx context.Context, b *redisconn.Backoff) error {
	first := [][]string{{n.s.plan.ProbeChannel}}
	if n.s.plan.OnDemand {
		wanted := n.s.wanted(time.Now())
		n.demandedFirst = slices.Collect(maps.Keys(wanted))
		first = append(first, n.demand(wanted)...)
	} else {
		first = append(first, n.s.plan.Subscribe)
	}
	for _, names := range first {
		for _, name := range names {
			n.unconfirmed["subscribe "+name] = struct{}{}
		}
	}
	for _, pattern := range n.s.plan.PSubscribe {
		n.unconfirmed["psubscribe "+pattern] = struct{}{}
	}
	ended := n.ears.SetPubSubHooks(rueidis.PubSubHooks{OnMessage: n.onMessage, OnSubscription: n.onSubscription})
	n.s.queue.note(item{kind: began, session: n})
	if err := n.subscribe(ctx, first, n.s.plan.PSubscribe); err != nil {
		return err
	}
	timeout := time.NewTimer(connectTimeout)
	defer timeout.Stop()
	select {
	case <-n.confirmed:
	case err := <-ended:
		return lostConnection(err)
	case <-ctx.Done():
		return ctx.Err()
	case <-timeout.C:
		return errUnsubscribed
	}
	n.heard()
	n.speakUp(signal{kind: askSignal, token: n.question})
	return n.watch(ctx, b, ended)
}

// lostConnection is why the connection is gone.
func lostConnection(err error) error {
	if err == nil {
		return errors.New("the connection was closed")
	}
	return fmt.Errorf("the connection was lost: %w", err)
}

// watch probes the subscription and follows the wishes of streams.
func (n *session) watch(ctx context.Context, b *redisconn.Backoff, ended <-chan error) error {
	probe := time.NewTimer(n.s.plan.probe)
	defer probe.Stop()
	opened, told := n.opened, n.told
	var settle <-chan time.Time
	var asked time.Time
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case err := <-ended:
			return lostConnection(err)
		case <-opened:
			opened = nil
			b.Reset()
			if n.s.options.SharedLog == "" || n.s.plan.OnDemand {
				n.settleAs(false, "")
				continue
			}
			t := time.NewTicker(settleTime)
			defer t.Stop() // this case comes once
			settle, asked = t.C, time.Now()
		case <-told:
			told = nil
			n.s.counts.connected.Store(true)
			n.s.trouble.over(troubleConnection, "listening to Redis again")
		case <-settle:
			if time.Since(asked) >= n.patience() {
				settle = nil
				n.settleAs(false, "")
			}
		case <-probe.C:
			if n.unheard.Add(1) > unheardProbes {
				return errSilent
			}
			probe.Reset(n.s.plan.probe)
			n.speakUp(signal{kind: probeSignal, token: newToken()})
			if err := n.follow(ctx); err != nil {
				return err
			}
		case <-n.s.wantsChanged:
			if err := n.follow(ctx); err != nil {
				return err
			}
		}
	}
}

func (n *session) settleAs(covered bool, gap string) {
	n.settle.Do(func() {
		n.covered, n.gap = covered, gap
		close(n.settled)
	})
}

// patience is how long other nodes may take to answer.
func (n *session) patience() time.Duration {
	peer := n.s.peerHeard.Load()
	switch {
	case n.peerAsks.Load(): // and so has not been listening all along
		return othersTime
	case peer != 0 && time.Since(time.Unix(0, peer)) < max(time.Minute, 3*n.s.plan.probe):
		return peerTime
	case n.others.Load():
		return othersTime
	}
	return settleTime
}

// heard notes that a probe came back.
func (n *session) heard() { n.unheard.Store(0) }

// speakUp sends a signal soon. When too many wait, none is needed: each opens a
// window, and a probe that is not sent is one that does not come back.
func (n *session) speakUp(g signal) {
	g.scope, g.session = n.s.scope, n.token
	select {
	case n.say <- g:
	default:
	}
}

// speak publishes signals. It has a goroutine of its own, because Redis may
// hang.
func (n *session) speak(ctx context.Context, cancel context.CancelCauseFunc) {
	for {
		select {
		case <-ctx.Done():
			return
		case g := <-n.say:
			attempt, stop := context.WithTimeout(ctx, 2*n.s.plan.probe)
			g.sent = time.Now().Unix()
			text, err := n.s.signatures.sign(&g)
			if err == nil {
				b := n.link.Client.B()
				var listening int64
				listening, err = n.link.Client.Do(attempt, b.Publish().Channel(n.s.plan.ProbeChannel).Message(text).Build()).AsInt64()
				if g.kind == askSignal && listening > 1 {
					n.others.Store(true)
				}
			}
			stop()
			if errors.Is(err, context.DeadlineExceeded) && g.kind == probeSignal {
				continue // whether it has come back is known soon; it may have
			}
			if err != nil && ctx.Err() == nil {
				cancel(fmt.Errorf("publishing a probe to %q: %w", n.s.plan.ProbeChannel, err))
				return
			}
		}
	}
}
