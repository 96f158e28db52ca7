package tap

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/seed-078801ba/sidestream/stream/event"
	"github.com/seed-078801ba/sidestream/webhook/decode"
)

// Options are what a Tap needs of its surroundings.
type Options struct {
	// Publisher takes the events.
	Publisher event.Publisher
	// Mark reads what the log remembers of a source. See Start.
	Mark func(source string) (string, error)
	// Node names this process among those that share the log.
	Node string
	// Find is where messages with this id are in the log, as far as it can be told
	// until ctx ends.
	Find func(ctx context.Context, id string) (channels []string, err error)
	// Poke has the app read, see event.Poker.
	Poke func(event.Poke) (taken bool)
	// Interrupted says that messages may be missing in all channels that taps have
	// brought messages into.
	Interrupted func()
	// Revoke has the app asked again about users.
	Revoke func(decode.Revocation)
	Logger *slog.Logger
}

// Bounds of what waits to be published.
const (
	maxQueue = 4096
	maxBatch = 256
	// findTime bounds the search for a message's channel.
	findTime = 200 * time.Millisecond
	// askTime bounds how long the app is asked whose a credential is.
	askTime = 3 * time.Second
	// pause is how long to wait before events are published again that the log has
	// not taken; it grows to maxPause.
	pause, maxPause = 50 * time.Millisecond, 2 * time.Second
)

// Tap decodes answers and publishes what they bring, in the order in which they ended,
// in a goroutine of its own. It outlives configurations. Safe for concurrent use.
type Tap struct {
	o      Options
	counts counts
	doubts doubts

	mu       sync.Mutex
	queue    []*Answer
	overflow bool
	closed   bool

	wake    chan struct{}
	ctx     context.Context // ends when Close gives up
	cancel  context.CancelFunc
	done    chan struct{}
	started sync.Once
}

// New makes a Tap and its goroutine. Close it.
func New(o Options) *Tap {
	t := &Tap{o: o, wake: make(chan struct{}, 1), done: make(chan struct{})}
	t.ctx, t.cancel = context.WithCancel(context.Background())
	t.counts.byRule = map[string]map[string]uint64{}
	t.doubts.init(t)
	go t.run()
	return t
}

// The words by which the log remembers how a run has ended.
const (
	markOpen   = "open"
	markClosed = "closed"
)

func (t *Tap) markName() string { return "tap:" + t.o.Node }

// Start is called when taps begin to run. If the run before has not ended well,
// messages may be missing that the app had taken: it is poked, or listeners are told.
func (t *Tap) Start() {
	t.started.Do(func() {
		last, err := t.o.Mark(t.markName())
		if err != nil {
			t.o.Logger.Warn("it is not known whether taps have ended well before; listeners are told that messages may be missing", "error", err)
		}
		if err != nil || last == markOpen {
			t.doubts.everywhere("the process ended while answers were on their way")
		}
		t.remember(markOpen)
	})
}

// remember has the log remember how far this run is.
func (t *Tap) remember(value string) {
	ctx, cancel := context.WithTimeout(t.ctx, askTime)
	defer cancel()
	if _, err := t.o.Publisher.Publish(ctx, event.Batch{Mark: &event.Mark{Source: t.markName(), Value: value}}); err != nil {
		t.o.Logger.Warn("the log has not noted that taps run; if the process is killed, listeners may not be told of what is missing", "error", err)
	}
}

// Close publishes what waits, until ctx ends, and ends the goroutine.
func (t *Tap) Close(ctx context.Context) {
	t.mu.Lock()
	t.closed = true
	t.mu.Unlock()
	t.nudge()
	select {
	case <-t.done:
	case <-ctx.Done():
		t.cancel()
		<-t.done
	}
	t.cancel()
}

func (t *Tap) nudge() {
	select {
	case t.wake <- struct{}{}:
	default:
	}
}

// take puts an answer that has ended into the queue. It never waits.
func (t *Tap) take(a *Answer) {
	t.mu.Lock()
	full := t.closed || len(t.queue) >= maxQueue
	if full {
		t.overflow = true
	} else {
		t.queue = append(t.queue, a)
	}
	t.mu.Unlock()
	if full {
		a.drop()
		t.counts.add(a.rules[0].name, outcomeUnread)
	}
	t.nudge()
}

// next are the answers that come first, and whether some had no place.
func (t *Tap) next() (batch []*Answer, overflow, closed bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	n := min(len(t.queue), maxBatch)
	batch = append(batch, t.queue[:n]...)
	clear(t.queue[:n])
	if t.queue = t.queue[n:]; len(t.queue) == 0 {
		t.queue = nil
	}
	overflow, t.overflow = t.overflow, false
	return batch, overflow, t.closed
}

func (t *Tap) run() {
	defer close(t.done)
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		batch, overflow, closed := t.next()
		if overflow {
			t.doubts.everywhere(causeMemory.text)
		}
		if len(batch) > 0 {
			t.process(batch)
			continue
		}
		timer.Reset(t.doubts.tell(time.Now(), closed))
		if closed {
			if t.ctx.Err() == nil {
				t.remember(markClosed)
			}
			return
		}
		select {
		case <-t.wake:
		case <-timer.C:
		case <-t.ctx.Done():
		}
	}
}

// brought is what a batch of answers comes to.
type brought struct {
	events      []event.Event
	rules       []string // of each event, the rule that brought it
	pokes       []event.Poke
	revocations []decode.Revocation
	rechecks    []Client
}

func (t *Tap) process(batch []*Answer) {
	var all brought
	users := t.users(batch)
	for i, a := range batch {
		t.read(a, users[i], &all)
		a.drop()
	}
	t.publish(&all)
	for _, p := range all.pokes {
		t.o.Poke(p)
	}
	for _, c := range all.rechecks {
		c.Recheck()
	}
	for _, r := range all.revocations {
		t.o.Revoke(r)
	}
	t.doubts.tell(time.Now(), false)
}

// publish has the log take the events, however long that takes: until then they wait
// here. Only at the end of the process it gives up; then the log still says that the
// run has not ended, and the next one tells what may be missing.
func (t *Tap) publish(all *brought) {
	for wait := pause; len(all.events) > 0; wait = min(2*wait, maxPause) {
		receipts, err := t.o.Publisher.Publish(t.ctx, event.Batch{Events: all.events})
		switch {
		case err == nil:
			for i := range receipts {
				t.counts.received(all.rules[i], &receipts[i])
			}
			return
		case errors.Is(err, event.ErrClosed) || t.ctx.Err() != nil:
			t.o.Logger.Error("messages of taps could not be stored before the end; the next start tells that some are missing", "messages", len(all.events), "error", err)
			return
		case t.refuses(all):
			continue
		}
		if times, ok := t.counts.unstored.turn(time.Minute); ok {
			t.o.Logger.Error("messages of taps cannot be stored; they wait", "messages", len(all.events), "error", err, "times", times)
		}
		select {
		case <-time.After(wait):
		case <-t.ctx.Done():
		}
	}
}

// refuses takes out the events whose channel the hub never takes, and tells whether
// there were some.
func (t *Tap) refuses(all *brought) (some bool) {
	kept := brought{}
	for i := range all.events {
		if event.CheckChannel(all.events[i].Channel.Text) != nil && all.events[i].To.IsZero() {
			t.counts.add(all.rules[i], outcomeUnmapped)
			some = true
			continue
		}
		kept.events, kept.rules = append(kept.events, all.events[i]), append(kept.rules, all.rules[i])
	}
	if some {
		all.events, all.rules = kept.events, kept.rules
	}
	return some
}
