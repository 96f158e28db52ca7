package stream

import (
	"container/list"
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/seed-078801ba/sidestream/stream/conn"
	"github.com/seed-078801ba/sidestream/stream/event"
	"github.com/seed-078801ba/sidestream/stream/format"
	"github.com/seed-078801ba/sidestream/stream/log"
)

// Hub is a set of channels with one log, and the streams that listen. It is
// safe for concurrent use.
type Hub struct {
	name       string
	log        log.Log
	cfg        atomic.Pointer[Config]
	admissions *admissions
	counters   *counters
	shards     []*shard
	fetchers   *fetchers
	follower   *follower // of a shared log; otherwise nil
	rights     rights
	timings    atomic.Pointer[Timings]
	records    records
	words      words

	// writing is held by who appends to the log or sweeps it.
	writing sync.Mutex
	entries []event.Entry // of showAppended, for the next time
	shown   []*channel    // of show

	publications chan *publication
	closing      chan struct{} // closed when Close begins
	closed       sync.Once
	writerDone   chan struct{}
	followerDone chan struct{}

	// head is the newest entry that was handed to the channels: what is at or
	// before it is visible.
	head atomic.Pointer[event.Cursor]

	// mu orders handing entries to channels against making channels, so that
	// a new channel knows exactly from where on it hears everything.
	mu        sync.Mutex
	channels  map[string]*channel
	idle      list.List // of the channels without listeners, the longest so first
	patterns  patterns
	uncertain uncertainty
	homes     int // given out; see channel.home
	interest  Interest
	windows   atomic.Int64 // bytes of all windows together
	encodings []encoding
}

// Open starts a hub on a log, which it then owns.
func Open(name string, l log.Log, cfg Config) (*Hub, error) {
	h := &Hub{
		name:         name,
		log:          l,
		admissions:   newAdmissions(),
		counters:     newCounters(),
		publications: make(chan *publication, publicationQueue),
		closing:      make(chan struct{}),
		writerDone:   make(chan struct{}),
		followerDone: make(chan struct{}),
		channels:     map[string]*channel{},
		patterns:     patterns{},
	}
	h.records = records{hub: h, urgent: make(chan struct{}, 1)}
	h.Configure(cfg)
	head := l.Head()
	h.head.Store(&head)
	h.uncertain.begin(head)
	for i := range shardCount() {
		p, err := conn.NewPoller()
		if err != nil {
			for _, s := range h.shards {
				s.poller.Close()
			}
			return nil, fmt.Errorf("starting shard %d of hub %q: %w", i, name, err)
		}
		h.shards = append(h.shards, newShard(h, i, p))
	}
	h.fetchers = newFetchers(h)
	for _, s := range h.shards {
		go s.run()
	}
	go h.write()
	if shared, ok := l.(log.Shared); ok {
		h.follower = &follower{hub: h}
		h.follower.trouble.Store(&errDisconnected)
		go h.follow(shared)
	} else {
		close(h.followerDone)
	}
	return h, nil
}

// Name is the hub's name.
func (h *Hub) Name() string { return h.name }

// Log is what the hub writes to; others may read it.
func (h *Hub) Log() log.Log { return h.log }

// Configure changes the hub's settings, for streams that are open as well. It
// closes nothing.
func (h *Hub) Configure(cfg Config) {
	cfg = cfg.withDefaults()
	h.cfg.Store(&cfg)
}

func (h *Hub) config() *Config { return h.cfg.Load() }

// Head is the cursor of the newest event that streams can see.
func (h *Hub) Head() event.Cursor { return *h.head.Load() }

// encoding is the number of an encoding in this hub: the place of its frames in
// every item.
func (h *Hub) encoding(e encoding) (uint8, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	i := slices.Index(h.encodings, e)
	if i < 0 {
		if len(h.encodings) == maxEncodings {
			return 0, fmt.Errorf("more than %d encodings in one hub", maxEncodings)
		}
		i = len(h.encodings)
		h.encodings = append(h.encodings, e)
	}
	return uint8(i), nil
}

// Drain ends all streams, spread over the time that Config.Drain says, and
// lets no new ones in. It returns when they are closed or ctx is done.
func (h *Hub) Drain(ctx context.Context) {
	h.closed.Do(func() { close(h.closing) })
	window := h.config().Drain
	for _, s := range h.shards {
		s.post(func() { s.drain(window) })
	}
	for _, s := range h.shards {
		select {
		case <-s.drained:
		case <-ctx.Done():
			return
		}
	}
}

// Close drains the hub, stops its goroutines and closes its log. Streams that
// are still open when ctx is done are cut.
func (h *Hub) Close(ctx context.Context) error {
	h.Drain(ctx)
	for _, s := range h.shards {
		s.post(s.stop)
	}
	for _, s := range h.shards {
		<-s.done
	}
	h.fetchers.close()
	h.rights.close()
	h.records.close()
	h.uncertain.work.Wait()
	<-h.writerDone
	<-h.followerDone
	h.writing.Lock() // a sender may be at it
	defer h.writing.Unlock()
	if err := h.log.Close(); err != nil {
		return fmt.Errorf("closing the log of hub %q: %w", h.name, err)
	}
	return nil
}

// Closing tells whether the hub has begun to close.
func (h *Hub) Closing() bool {
	select {
	case <-h.closing:
		return true
	default:
		return false
	}
}

// Opening is what Attach needs to know of a stream.
type Opening struct {
	Conn conn.Conn
	Spec *Spec
	// Channels is what the stream listens to at first, without repetitions.
	Channels []string
	// Start is what Resolve said.
	Start Start
	// Standing: the stream may have no channel at first, and lives on when it
	// has none left.
	Standing bool
	// Ticket is what Admit gave. It may be nil if somebody else holds it who
	// lives longer than the stream, a session.
	Ticket *Ticket
	// Client is who has the stream, for those who operate the server; may be nil.
	Client *Client
	// Prelude is this client's own: messages of the format, each without its
	// frame, that come before everything else.
	Prelude [][]byte
	// Given are the keys (event.CreateKey) of messages in the Prelude that the log
	// may take later than Start: the stream leaves them out.
	Given map[string]struct{}
	// Input, if set, is given what the client sends. Otherwise that is thrown
	// away.
	Input Input
	// Sent is what the client has sent behind its request already. Input gets it
	// first.
	Sent []byte
	// OnClose, if set, is called once when the stream has ended. It is called
	// by a shard and must not wait.
	OnClose func(Closed)
}

// Input is given what a client sends, piece by piece as it comes: a piece may be
// half a message. It is called by the stream's shard, so it must not wait; a
// piece is valid during the call only. It may call the stream's methods, which
// do not wait either.
type Input func(s *Stream, piece []byte)

// Spec is what all streams of one endpoint and format have in common. Make it
// once and share it: it must not change.
type Spec struct {
	Format format.Format
	// Heartbeat is how often an idle stream is written to.
	Heartbeat time.Duration
}

// Attach makes a stream of a connection whose response head is written. The
// hub owns connection and ticket from then on, also after an error. The first
// heartbeat goes out at once.
func (h *Hub) Attach(o Opening) (*Stream, error) {
	fail := func(err error) (*Stream, error) {
		o.Ticket.Release()
		o.Conn.Close()
		return nil, err
	}
	if h.Closing() {
		return fail(event.ErrClosed)
	}
	number, err := h.encoding(encoding{o.Spec.Format, o.Conn.Framing()})
	if err != nil {
		return fail(err)
	}
	if len(o.Channels) == 0 {
		if !o.Standing {
			return fail(errors.New("a stream that is not standing needs a channel"))
		}
		head := h.Head()
		o.Start = Start{Seq: head.Seq, Asked: o.Start.Asked, epoch: head.Epoch}
	}
	s := &Stream{
		conn: o.Conn, spec: o.Spec, client: o.Client, ticket: o.Ticket, input: o.Input, onClose: o.OnClose, standing: o.Standing, given: o.Given,
		enc: number, framing: o.Conn.Framing(),
		began: o.Start.head, within: o.Start.epoch, cursor: o.Start.Seq, asked: o.Start.Asked || o.Spec.Format.Resumable(), oldest: o.Start.oldest, told: o.Start.told,
		opened: now(), lastTaken: now(),
	}
	if s.client == nil {
		s.client = &nobody
	}
	s.shard = h.shards[h.home(o.Channels)]
	s.subs = make([]subscription, len(o.Channels))
	for i, name := range o.Channels {
		s.subs[i] = subscription{ch: h.join(name, s.shard.index), behind: o.Start.behind[name]}
	}
	first := opener{o.Prelude, o.Start.Missing, o.Sent}
	if !s.shard.post(func() { s.shard.adopt(s, first) }) {
		for _, sub := range s.subs {
			h.leave(sub.ch, s.shard.index)
		}
		return fail(event.ErrClosed)
	}
	return s, nil
}

// crowd is how many streams of a channel share a shard. One event for them
// wakes one goroutine instead of one for each core; for more streams than that,
// the cores had better share the work.
const crowd = 64

// home chooses the shard of a stream by the first of its channels.
func (h *Hub) home(channels []string) int {
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(channels) > 0 {
		if ch := h.channel(channels[0]); ch.listeners < crowd {
			return ch.home
		}
	}
	h.homes++
	return h.homes % len(h.shards)
}

// join finds or makes a channel and counts a listener of the shard.
func (h *Hub) join(name string, shard int) *channel {
	h.mu.Lock()
	defer h.mu.Unlock()
	ch := h.channel(name)
	h.listen(ch)
	ch.listening[shard].Add(1)
	return ch
}

// listen counts a listener. Called with h.mu held.
func (h *Hub) listen(ch *channel) {
	if ch.listeners++; ch.idle != nil {
		h.idle.Remove(ch.idle)
		ch.idle = nil
	}
}

// unlisten undoes listen. A channel without listeners stays for a while, for
// those who come back; a pattern does not, it has nothing for them. Called with
// h.mu held.
func (h *Hub) unlisten(ch *channel) {
	if ch.listeners--; ch.listeners > 0 {
		return
	}
	if ch.pattern {
		delete(h.patterns, ch.name)
		h.windows.Add(-ch.forget())
		return
	}
	h.rest(ch)
}

// rest notes that nobody listens to a channel. There is a bound on how many such
// channels are kept. Called with h.mu held.
func (h *Hub) rest(ch *channel) {
	ch.idleSince = now()
	ch.idle = h.idle.PushBack(ch)
	for h.idle.Len() > h.config().IdleChannels {
		h.forget(h.idle.Front().Value.(*channel))
	}
}

// all are the channels and the patterns. Called with h.mu held.
func (h *Hub) all() iter.Seq[*channel] {
	return func(yield func(*channel) bool) {
		for _, ch := range h.channels {
			if !yield(ch) {
				return
			}
		}
		for _, ch := range h.patterns {
			if !yield(ch) {
				return
			}
		}
	}
}

// Interest is told of every channel that somebody begins to listen to, or that
// nobody has listened to for a while. What it returns is closed when everything
// that comes from then on will be heard. It is called under a lock: it must not
// wait, and not call the hub.
type Interest func(channel string, on bool) (ready []<-chan struct{})

// channel finds or makes a channel. Called with h.mu held.
func (h *Hub) channel(name string) *channel {
	ch := h.channels[name]
	if ch == nil {
		h.homes++
		ch = newChannel(name, len(h.shards), h.Head())
		ch.home = h.homes % len(h.shards)
		h.channels[name] = ch
		h.rest(ch)
		if h.interest != nil && !strings.HasPrefix(name, event.ModePrefix) { // no source brings those in
			ch.ready = h.interest(name, true)
		}
	}
	return ch
}

// OnInterest has f told, first of the channels that are listened to now. nil
// ends it.
func (h *Hub) OnInterest(f Interest) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.interest = f
	if f != nil {
		for name, ch := range h.channels {
			ch.ready = f(name, true)
		}
	}
}

// Anticipate tells whoever brings events in on demand that somebody is going to
// listen to a channel, with a cursor that was given out before. It does not wait.
func (h *Hub) Anticipate(channel string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.channel(channel)
}

// expect tells whoever brings events in on demand that somebody will listen to
// the channels, and waits a little until what comes from now on is heard, and
// until the log has the gaps for what was not. It tells whether that is so.
func (h *Hub) expect(channels []string) (heard bool) {
	var ready []<-chan struct{}
	h.mu.Lock()
	for _, name := range channels {
		ch := h.channel(name)
		ch.ready = slices.DeleteFunc(ch.ready, isClosed)
		ready = append(ready, ch.ready...)
	}
	h.mu.Unlock()
	if len(ready) == 0 {
		return true
	}
	patience := time.NewTimer(interestWait)
	defer patience.Stop()
	for _, r := range ready {
		select {
		case <-r:
		case <-patience.C:
			return false // a gap will be told when it is heard
		}
	}
	return true
}

func isClosed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

// interestWait bounds how long a client waits for that.
const interestWait = time.Second

// leave undoes join.
func (h *Hub) leave(ch *channel, shard int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	ch.listening[shard].Add(-1)
	h.unlisten(ch)
}

// now is a monotonic clock in nanoseconds; only differences mean something.
func now() int64 { return int64(time.Since(started)) }

var started = time.Now()

// ConnOptions are the bounds for connections that are to be attached.
func (h *Hub) ConnOptions() conn.Options { return h.config().Conn }
