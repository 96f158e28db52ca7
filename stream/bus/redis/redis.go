// Package redis carries words between the nodes of a hub by the publish and
// subscribe of Redis. Redis keeps nothing of them.
//
// All words of a hub go through one channel of Redis, so that they keep their order
// and a node needs one subscription however many topics there are.
package redis

import (
	"bytes"
	"context"
	"crypto/rand"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/rueidis"

	"github.com/seed-078801ba/sidestream/stream/bus"
	"github.com/seed-078801ba/sidestream/stream/redisconn"
)

// Options say where the bus is.
type Options struct {
	// Address is how to reach Redis. Required.
	Address redisconn.Address
	// Channel is the channel of Redis, the same for all nodes of a hub and for no
	// other hub. Required.
	Channel string
	// Timeout bounds every call. Default: 5 s.
	Timeout time.Duration
	// Report, if set, is told when the bus is connected (nil), and why it is not. It
	// must not wait.
	Report func(cause error)
}

const (
	// queued bounds how many words wait for Redis, and queuedBytes their size.
	// Beyond that the oldest are thrown away.
	queued      = 4096
	queuedBytes = 8 << 20
	// batch is how many words go to Redis together at most.
	batch = 256
	// unheard is how long a node may wait for a word of its own: longer, and what
	// it listens to is not what it speaks to.
	unheard = 10 * time.Second
)

// Bus is a bus over Redis. It connects when somebody uses it first.
type Bus struct {
	options Options
	node    []byte // tells own words from those of others
	topics  bus.Topics
	life    context.Context
	end     context.CancelFunc
	begun   sync.Once
	running sync.WaitGroup
	more    chan struct{} // there are words to say

	mu    sync.Mutex
	words []string
	size  int

	connected atomic.Bool
	said      atomic.Int64 // when the oldest own word was said that was not heard; 0 if there is none
	stats     stats
}

type stats struct{ published, dropped atomic.Uint64 }

// Stats are counted since the bus was made.
type Stats struct {
	Connected bool
	// Published are the commands that Redis has taken.
	Published uint64
	// Dropped are words that were thrown away, because Redis was not there.
	Dropped uint64
}

var _ bus.Bus = (*Bus)(nil)

// Open makes a bus.
func Open(o Options) *Bus {
	if o.Timeout <= 0 {
		o.Timeout = 5 * time.Second
	}
	b := &Bus{options: o, node: []byte(rand.Text()), more: make(chan struct{}, 1)}
	b.life, b.end = context.WithCancel(context.Background())
	return b
}

// Stats tells how the bus does.
func (b *Bus) Stats() Stats {
	return Stats{Connected: b.connected.Load(), Published: b.stats.published.Load(), Dropped: b.stats.dropped.Load()}
}

// Alone implements bus.Bus.
func (*Bus) Alone() bool { return false }

// Listen implements bus.Bus. The listeners are called by one goroutine.
func (b *Bus) Listen(topic string, f bus.Listener) (stop func()) {
	stop = b.topics.Add(topic, f)
	b.begin()
	return stop
}

// Publish implements bus.Bus.
func (b *Bus) Publish(topic string, word []byte) {
	b.begin()
	text := string(b.node) + "\x00" + topic + "\x00" + string(word)
	b.mu.Lock()
	b.words = append(b.words, text)
	b.size += len(text)
	for len(b.words) > queued || b.size > queuedBytes {
		b.size -= len(b.words[0])
		b.words = b.words[1:]
		b.stats.dropped.Add(1)
	}
	b.mu.Unlock()
	select {
	case b.more <- struct{}{}:
	default:
	}
}

// Close implements bus.Bus. Words that wait are said first, if Redis takes them at
// once.
func (b *Bus) Close() {
	b.begun.Do(func() {}) // nothing begins any more
	b.end()
	b.running.Wait()
}

func (b *Bus) begin() {
	b.begun.Do(func() {
		b.running.Add(1)
		go b.run()
	})
}

// run connects again and again.
func (b *Bus) run() {
	defer b.running.Done()
	var backoff redisconn.Backoff
	for b.life.Err() == nil {
		link, err := b.options.Address.Connect(b.life, redisconn.Tuning{Timeout: min(2*time.Second, b.options.Timeout), Call: b.options.Timeout})
		if err == nil {
			if b.session(link) {
				backoff.Reset()
			}
		} else if b.life.Err() == nil {
			b.report(err)
		}
		if !backoff.Wait(b.life) {
			return
		}
	}
}

func (b *Bus) report(cause error) {
	b.connected.Store(cause == nil)
	if b.options.Report != nil {
		b.options.Report(cause)
	}
}

// session hears and says over one link until it fails, and tells whether it has
// worked.
func (b *Bus) session(link *redisconn.Link) (worked bool) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	var subscribed atomic.Bool
	ready, heard := make(chan struct{}), make(chan error, 1)
	go func() {
		hooked := rueidis.WithOnSubscriptionHook(ctx, func(s rueidis.PubSubSubscription) {
			if s.Kind == "subscribe" && subscribed.CompareAndSwap(false, true) {
				close(ready)
			}
		})
		heard <- link.Client.Receive(hooked, link.Client.B().Subscribe().Channel(b.options.Channel).Build(), func(m rueidis.PubSubMessage) {
			b.hear([]byte(m.Message))
		})
	}()
	var err error
	hearing := true
	patience := time.NewTimer(b.options.Timeout)
	select {
	case <-ready:
		worked = true
		b.said.Store(0)
		b.report(nil)
		err, hearing = b.say(ctx, link, heard)
	case err = <-heard:
		hearing = false
	case <-patience.C:
		err = context.DeadlineExceeded
	case <-b.life.Done():
	}
	patience.Stop()
	b.connected.Store(false)
	cause := link.Explain(err)
	link.Close() // ends Receive
	if hearing {
		<-heard
	}
	if cause != nil && b.life.Err() == nil {
		b.report(cause)
	}
	return worked
}

// say says what waits, until something fails. hearing: the subscription goes on.
func (b *Bus) say(ctx context.Context, link *redisconn.Link, heard <-chan error) (err error, hearing bool) {
	probe := time.NewTicker(unheard / 4)
	defer probe.Stop()
	for {
		if err := b.sayAll(ctx, link.Client); err != nil {
			return err, true
		}
		select {
		case <-b.more:
		case <-probe.C:
			if said := b.said.Load(); said != 0 && time.Now().UnixNano()-said > int64(unheard) {
				return context.DeadlineExceeded, true
			}
		case err := <-heard:
			return err, false
		case <-b.life.Done():
			b.sayAll(ctx, link.Client) // a farewell
			return nil, true
		}
	}
}

func (b *Bus) sayAll(ctx context.Context, client rueidis.Client) error {
	for {
		b.mu.Lock()
		words := b.words[:min(len(b.words), batch)]
		b.words = b.words[len(words):]
		for _, w := range words {
			b.size -= len(w)
		}
		b.mu.Unlock()
		if len(words) == 0 {
			return nil
		}
		commands := make(rueidis.Commands, len(words))
		for i, w := range words {
			commands[i] = client.B().Publish().Channel(b.options.Channel).Message(w).Build()
		}
		b.said.CompareAndSwap(0, time.Now().UnixNano())
		within, cancel := context.WithTimeout(ctx, b.options.Timeout)
		results := client.DoMulti(within, commands...)
		cancel()
		for i, r := range results {
			if err := r.Error(); err != nil {
				b.stats.dropped.Add(uint64(len(results) - i))
				return err
			}
			b.stats.published.Add(1)
		}
	}
}

// hear tells the listeners a word.
func (b *Bus) hear(text []byte) {
	node, rest, ok := bytes.Cut(text, []byte{0})
	topic, word, ok2 := bytes.Cut(rest, []byte{0})
	if !ok || !ok2 {
		return
	}
	if bytes.Equal(node, b.node) {
		b.said.Store(0)
	}
	b.topics.Tell(string(topic), word)
}

// ACL are the rights that a Redis user needs for a bus, beside those for the log:
//
//	user sidestream ... &sidestream:* <ACL>
const ACL = "+publish +subscribe +unsubscribe +ping"
