package redis

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/seed-078801ba/sidestream/stream/event"
	"github.com/seed-078801ba/sidestream/webhook/decode"
)

// Options are what a Source needs from its surroundings.
type Options struct {
	// Publisher takes the events. Required.
	Publisher event.Publisher

	// Mark reads how far a source has got: the Value of the last event.Mark
	// that the log stored for it, "" if none. Nil means that the log remembers
	// nothing.
	Mark func(source string) (string, error)

	// SharedLog names the log if several nodes share it, and is the same on all
	// of them. Then nodes that hear the same agree on what is new and what is
	// missing. Empty for a log of this process alone.
	SharedLog string

	// Secret gives what all nodes that share the log know and nobody else: by it
	// they know each other on the channel of the probes. Nil means that the log is
	// not known yet. Required with SharedLog.
	Secret func() []byte

	// Revoke is told of users whose access may have ended, after the events of
	// the same message were published. It must not block for long.
	Revoke func([]decode.Revocation)

	// Unused, if set, is told of every message that cannot be read or mapped. It must
	// not block.
	Unused func(reason string)

	// Poke is told of channels in which something is new that the message does not
	// say. It must not block. Nil: nobody wants to know.
	Poke func(channel string)

	// TLS is used instead of the system's roots where the URL asks for TLS.
	TLS *tls.Config

	// Logger takes what goes wrong, at a bounded rate. Default: slog.Default().
	Logger *slog.Logger
}

// Source turns what it hears from Redis into events. Make one with New, and
// call Run once.
type Source struct {
	plan       *plan
	options    Options
	scope      string // what all nodes have in common that hear the same
	source     string // the name of the mark
	queue      *queue
	counts     counts
	trouble    *trouble
	signatures signatures
	repeats    repeats
	running    atomic.Bool
	proven     atomic.Bool  // a session has begun, and what was lost before it is told
	peerHeard  atomic.Int64 // when another node with the same log was heard, in Unix nanoseconds; 0 if never
	lostAt     atomic.Int64 // when the last loss was noticed, in Unix nanoseconds; 0 if there was none

	wantsChanged chan struct{} // has room for one

	mu    sync.Mutex
	wants map[string]want // by channel of the hub
}

// want is the interest of streams in a channel.
type want struct {
	on    bool
	since time.Time
	ready chan struct{} // closed when the channel is listened to, and was told of what was lost before
}

// isReady tells whether the channel is listened to.
func (w *want) isReady() bool {
	select {
	case <-w.ready:
		return true
	default:
		return false
	}
}

// always is the readiness of what needs no waiting.
var always = func() chan struct{} { c := make(chan struct{}); close(c); return c }()

// linger is how long OnDemand keeps a subscription that nobody needs: clients
// that reconnect then miss nothing.
const linger = 30 * time.Second

// New checks a configuration and makes a Source. Nothing is connected before
// Run, and Redis need not be there. Errors are for whoever wrote the
// configuration; they hold no secrets.
func New(cfg Config, o Options) (*Source, error) {
	p, err := newPlan(cfg)
	if err != nil {
		return nil, err
	}
	if o.Publisher == nil {
		return nil, errors.New("a Publisher is required")
	}
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	if o.TLS != nil && p.address.TLS != nil {
		p.address.TLS = o.TLS.Clone()
	}
	if o.SharedLog == "" {
		own := []byte(newToken() + newToken())
		o.Secret = func() []byte { return own }
	}
	if o.Secret == nil {
		return nil, errors.New("a shared log needs a Secret")
	}
	s := &Source{
		plan: p, options: o, queue: newQueue(p.QueueEvents, p.QueueBytes),
		trouble:      &trouble{logger: o.Logger.With("source", p.Name, "redis", p.address.String()), kinds: map[string]*troubleKind{}},
		signatures:   signatures{secret: o.Secret},
		wantsChanged: make(chan struct{}, 1), wants: map[string]want{},
	}
	s.source = "redis/" + p.Name
	if p.Stream != "" {
		s.source += "/" + p.Stream
	}
	s.scope = digest(o.SharedLog, p.Name, p.Match, fmt.Sprintf("%q %q", p.Subscribe, p.PSubscribe))
	return s, nil
}

// ErrRunning is the error of a second Run.
var ErrRunning = errors.New("the source runs already, or has run")

// Run listens and publishes until ctx ends, then stores what was heard, for at
// most drainTime, and returns nil. It returns early only with event.ErrClosed,
// when the hub is closed. Trouble with Redis or the log is counted, logged and
// overcome.
func (s *Source) Run(ctx context.Context) error {
	if s.running.Swap(true) {
		return ErrRunning
	}
	defer s.counts.connected.Store(false)
	if s.plan.Stream != "" {
		return s.follow(ctx)
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	heardAll := make(chan struct{})
	go func() {
		defer close(heardAll)
		s.listen(ctx)
	}()
	err := newWorker(s, heardAll).run()
	cancel()
	<-heardAll
	return err
}

// Interest tells that streams listen to a channel from now on, or that the last
// one has gone. It is to be called when the first stream of a channel opens,
// before the stream takes its place at the head of the log, and when its last
// one closes. It does not block, and saying the same twice does no harm. Safe
// for concurrent use.
//
// With OnDemand, nothing is heard of other channels. What it returns is closed
// when Redis has subscribed us to the channel, and the log has the gap for the
// time before: a stream that opens after that misses nothing and is told
// nothing untrue. While Redis is away it stays open; do not wait for long, the
// gap comes to the stream then.
//
// Without OnDemand, it is how streams of a channel that was silent so far learn
// of a loss. What it returns is closed when the log has the gap, at once if
// nothing was lost. Nobody knows that before the first session has begun.
func (s *Source) Interest(channel string, on bool) (ready <-chan struct{}) {
	s.mu.Lock()
	w, known := s.wants[channel]
	changed := on != w.on
	switch {
	case on && !known && (s.plan.OnDemand || s.hasLost(time.Now()) || s.plan.Stream == "" && !s.proven.Load()):
		s.wants[channel] = want{true, time.Now(), make(chan struct{})}
	case on && !known:
		s.wants[channel] = want{true, time.Now(), always}
	case !on && known && !s.plan.OnDemand:
		delete(s.wants, channel)
	case known && changed:
		s.wants[channel] = want{on, time.Now(), w.ready}
	}
	ready = always
	if on {
		ready = s.wants[channel].ready
	}
	s.mu.Unlock()
	switch {
	case !changed:
	case s.plan.OnDemand:
		select {
		case s.wantsChanged <- struct{}{}:
		default:
		}
	case on:
		s.queue.note(item{kind: followed, channel: channel})
	}
	return ready
}

// hasLost tells whether there was a loss of which channels that nobody listened
// to must still be told.
func (s *Source) hasLost(now time.Time) bool {
	at := s.lostAt.Load()
	return at != 0 && now.UnixNano()-at <= int64(gapMemory)
}

// setReady says that channels are listened to.
func (s *Source) setReady(channels ...string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, name := range channels {
		if w, ok := s.wants[name]; ok && !w.isReady() {
			close(w.ready)
		}
	}
}

// listening are the channels that streams listen to.
func (s *Source) listening() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	names := make([]string, 0, len(s.wants))
	for name, w := range s.wants {
		if w.on {
			names = append(names, name)
		}
	}
	return names
}

// wanted are the channels to be subscribed to on demand. Those that nobody has
// needed for a while are forgotten.
func (s *Source) wanted(now time.Time) map[string]struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	names := make(map[string]struct{}, len(s.wants))
	for name, w := range s.wants {
		if !w.on && now.Sub(w.since) > linger {
			delete(s.wants, name)
			continue
		}
		names[name] = struct{}{}
	}
	return names
}

// Name is the source's name, unique in its hub.
func (s *Source) Name() string { return s.plan.Name }

// unused tells whoever wants to know of a message that comes to nothing.
func (s *Source) unused(reason string) {
	if s.options.Unused != nil {
		s.options.Unused(reason)
	}
}
