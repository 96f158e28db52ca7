package redis

import (
	"context"
	"errors"
	"strconv"
	"time"

	"github.com/seed-078801ba/sidestream/stream/event"
	"github.com/seed-078801ba/sidestream/stream/redisconn"
	"github.com/seed-078801ba/sidestream/webhook/decode"
)

const (
	// atOnce bounds what is published in one batch.
	atOnce = 512
	// publishTimeout bounds one attempt to publish.
	publishTimeout = 10 * time.Second
	// drainTime is how long what was heard may take to be stored when a source
	// ends.
	drainTime = 2 * time.Second
	// tellEvery is how often all channels may be told of new losses.
	tellEvery = time.Second

	troublePublish = "the log does not take what Redis sends; trying again"
)

// worker takes from the queue, in order, and publishes. It is one goroutine.
type worker struct {
	s    *Source
	stop <-chan struct{} // closed when nothing more will be heard
	gaps *gaps

	ctx      context.Context // ends drainTime after stop
	history  bool            // events of this source may have been stored before
	settled  bool            // some session has settled in this run
	unproven bool            // heard by a session of which it is not known what came before
	tellAt   time.Time       // when channels may be told next
	closed   bool            // the hub is
	begun    *session        // has settled, and its loss is not told everywhere yet

	batch    []event.Event
	messages int // in the batch
	revoke   []decode.Revocation
}

func newWorker(s *Source, stop <-chan struct{}) *worker {
	return &worker{s: s, stop: stop, gaps: newGaps()}
}

// run works until everything is stored that was heard before stop, or the hub
// is closed.
func (w *worker) run() error {
	ctx, cancel := draining(w.stop)
	defer cancel()
	w.ctx = ctx
	if w.s.options.Mark != nil {
		mark, err := w.s.options.Mark(w.s.source)
		w.history = mark != "" || err != nil
	}
	var items []item
	for !w.closed {
		w.beginDone()
		clear(items)
		if items = w.s.queue.take(items[:0], atOnce); len(items) == 0 {
			if w.tell() {
				continue
			}
			if !w.wait() {
				return nil
			}
			continue
		}
		for i := range items {
			w.handle(&items[i])
		}
		w.flush()
		w.tell()
	}
	return event.ErrClosed
}

// draining is a context that ends drainTime after stop was closed.
func draining(stop <-chan struct{}) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(context.Background())
	go func() {
		select {
		case <-stop:
		case <-ctx.Done():
			return
		}
		redisconn.Pause(ctx, drainTime)
		cancel()
	}()
	return ctx, cancel
}

// wait waits for something to do; false when there will be nothing any more.
func (w *worker) wait() bool {
	var telling <-chan time.Time
	if w.gaps.due() && !w.unproven {
		t := time.NewTimer(time.Until(w.tellAt))
		defer t.Stop()
		telling = t.C
	}
	select {
	case <-w.s.queue.wake:
		return true
	case <-telling:
		return true
	case <-w.stop:
		events, _ := w.s.queue.waiting()
		return events > 0 && w.ctx.Err() == nil
	}
}

// tell writes some of the gaps that are due; false if none may be written now.
func (w *worker) tell() bool {
	if !w.gaps.due() || w.unproven || time.Now().Before(w.tellAt) {
		return false
	}
	if w.gaps.stale {
		w.gaps.list(w.s.listening())
	}
	w.batch = w.gaps.next(atOnce)
	w.flush()
	if !w.gaps.due() || w.gaps.stale {
		w.tellAt = time.Now().Add(tellEvery)
	}
	return true
}

func (w *worker) handle(i *item) {
	switch i.kind {
	case heard:
		if w.unproven {
			w.unproven = false
			w.lost()
		}
		w.decode(i)
	case missed:
		w.lost()
	case began:
		w.flush()
		w.begin(i.session)
	case asked:
		w.flush()
		if !w.unproven && w.settled && !w.s.plan.OnDemand && !w.closed {
			i.session.answer(i.token, w.gaps.current(time.Now()))
		}
	case followed:
		anew := i.token != ""
		if !anew || w.history {
			if e, ok := w.gaps.followed(i.channel, anew, time.Now()); ok {
				w.batch = append(w.batch, e)
			}
		}
		if w.s.plan.Stream == "" {
			w.flush()
			if w.s.plan.OnDemand || w.settled && !w.unproven && w.begun == nil {
				w.s.setReady(i.channel)
			}
		}
	}
}

// beginDone tells a session that whoever must hear of a loss before it has heard.
func (w *worker) beginDone() {
	if w.begun != nil && !w.gaps.due() {
		close(w.begun.told)
		w.begun = nil
		w.s.proven.Store(true)
		if !w.s.plan.OnDemand {
			w.s.setReady(w.s.listening()...)
		}
	}
}

// lost records that messages are missing from here on.
func (w *worker) lost() { w.lostAs(newToken()) }

// lostAs does it under the name that another node has given to the loss.
func (w *worker) lostAs(id string) {
	now := time.Now()
	w.gaps.lost(id, now)
	w.s.lostAt.Store(now.UnixNano())
}

// begin finds out whether something is missing before the first message of a
// session.
func (w *worker) begin(n *session) {
	select {
	case <-n.settled:
	case <-n.done:
		select {
		case <-n.settled:
		default:
			w.unproven = true
			return
		}
	case <-w.ctx.Done():
		w.unproven = true
		return
	}
	first := !w.settled && !w.history && w.s.counts.reconnects.Load() == 0
	w.settled, w.unproven = true, false
	switch {
	case n.covered && n.gap == "":
	case n.covered && n.gap != w.gaps.id:
		w.lostAs(n.gap)
	case n.covered, first:
	default:
		w.lost()
	}
	if len(n.demandedFirst) > 0 {
		w.tellAt = time.Time{} // somebody waits for it
		for w.tell() {
		}
		w.s.setReady(n.demandedFirst...)
	}
	w.begun = n
}

// decode adds what a message means to the batch, with the gaps before it.
func (w *worker) decode(i *item) {
	in := decode.Input{
		Body:     []byte(i.payload),
		Redis:    map[string]string{"channel": i.channel},
		Delivery: deliveryID(i.window, i.channel, strconv.FormatUint(i.ordinal, 10), i.payload),
	}
	var ok bool
	if in.Match, ok = w.s.plan.captures(i.channel); ok {
		w.add(in)
	}
}

// add decodes one delivery into the batch.
func (w *worker) add(in decode.Input) {
	c := &w.s.counts
	decoded, err := w.s.plan.decoder.Decode(in)
	if err != nil {
		c.refused.Add(1)
		w.s.trouble.report("a message from Redis cannot be read", "reason", err)
		w.s.unused(err.Error())
		return
	}
	c.addUnmapped(decoded.UnmappedFor)
	c.dropped.Add(uint64(decoded.Dropped))
	if decoded.Untimed > 0 {
		c.untimed.Add(uint64(decoded.Untimed))
		w.s.trouble.report("the time of a message from Redis cannot be read: the time of its arrival stands in")
	}
	if decoded.Unmapped > 0 {
		w.s.trouble.report("a message from Redis cannot be mapped", "channel", in.Redis["channel"], "reason", decoded.Reason)
		w.s.unused(decoded.Reason)
	}
	for _, e := range decoded.Events {
		if gap, due := w.gaps.before(e.Channel); due {
			w.batch = append(w.batch, gap)
		}
		w.batch = append(w.batch, e)
	}
	w.messages++
	w.revoke = append(w.revoke, decoded.Revoke...)
	if w.s.options.Poke != nil {
		for _, channel := range decoded.Poke {
			w.s.options.Poke(channel)
		}
	}
	if w.s.plan.Stream == "" && len(w.batch) >= atOnce {
		w.flush()
	}
}

// flush publishes the batch. What the log does not take as long as there is
// room for more is tried again; after that, it is lost.
func (w *worker) flush() {
	if len(w.batch) == 0 && len(w.revoke) == 0 {
		w.messages = 0
		return
	}
	b := event.Batch{Events: w.batch}
	if !w.history {
		b.Mark = &event.Mark{Source: w.s.source, Value: "begun"}
	}
	if w.publish(b, w.s.queue.full) {
		w.history = true
		w.sendRevocations()
	} else {
		w.s.counts.lost.Add(uint64(w.messages))
		w.revoke = nil
		w.lost()
	}
	w.batch, w.messages = nil, 0 // the log may keep the events
}

func (w *worker) sendRevocations() {
	if len(w.revoke) > 0 && w.s.options.Revoke != nil {
		w.s.options.Revoke(w.revoke)
	}
	w.revoke = nil
}

// publish publishes until it succeeds, or giveUp says so after a failure, or
// the worker ends.
func (w *worker) publish(b event.Batch, giveUp func() bool) bool {
	var backoff redisconn.Backoff
	for {
		attempt, cancel := context.WithTimeout(w.ctx, publishTimeout)
		receipts, err := w.s.options.Publisher.Publish(attempt, b)
		cancel()
		if err == nil {
			w.s.trouble.over(troublePublish, "the log takes what Redis sends again")
			w.count(b.Events, receipts)
			return true
		}
		if errors.Is(err, event.ErrClosed) {
			w.closed = true
			return false
		}
		w.s.trouble.report(troublePublish, "error", err)
		if giveUp() || !backoff.Wait(w.ctx) {
			return false
		}
	}
}

func (w *worker) count(events []event.Event, receipts []event.Receipt) {
	c := &w.s.counts
	for i := range receipts {
		switch {
		case receipts[i].Duplicate:
			c.duplicates.Add(1)
		case events[i].Op == event.Gap:
			c.gaps.Add(1)
		default:
			c.published.Add(1)
		}
	}
}
