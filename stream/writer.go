package stream

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/seed-078801ba/sidestream/stream/event"
	"github.com/seed-078801ba/sidestream/stream/log"
)

const (
	// publicationQueue is how many publishes may wait for the writer; each is a
	// request that holds its goroutine anyway.
	publicationQueue = 1024
	// commitEvents bounds one commit, so that its first sender does not wait
	// for thousands of others.
	commitEvents = 1024
	// gatherWait is how long a commit waits for the senders that are at it, as
	// long as there is one every gatherGap: senders that repeat themselves are
	// about to, and a commit for all of them costs hardly more than one for the
	// first. A lone sender does not wait, and senders with a pace of their own
	// hardly do. Nor does a commit that has gatherEnough: then it is better that
	// its senders are told, and busy while the next one is synced.
	gatherWait   = 3 * time.Millisecond
	gatherGap    = 300 * time.Microsecond
	gatherEnough = 48
	// sweepEvery is how often retention looks for what is too old.
	sweepEvery = time.Second
	// sharedWait is how long a sender waits until what a shared log has stored
	// is shown here. Then it is told that the outcome is unknown.
	sharedWait = 10 * time.Second
	// sharedDoubt is how long a hub is not well after its shared log has refused
	// events, if no later ones are taken.
	sharedDoubt = 5 * time.Second
)

// publication is a batch on its way to the writer.
type publication struct {
	batch    event.Batch
	marks    []event.Mark // beside the batch's own
	receipts []event.Receipt
	err      error
	done     chan struct{}
}

// Publish implements event.Publisher. Batches that arrive while the log syncs
// share its next commit, unless the log has nothing to gain from that: then each
// sender writes for itself, and no goroutine waits for another.
func (h *Hub) Publish(ctx context.Context, b event.Batch) ([]event.Receipt, error) {
	var err error
	if b.Events, err = h.named(b.Events); err != nil {
		return nil, err
	}
	return h.publish(ctx, b)
}

// publish is Publish of events whose channels are checked.
func (h *Hub) publish(ctx context.Context, b event.Batch) ([]event.Receipt, error) {
	marks := h.uncertain.marks(&b)
	if !h.log.Grouped() {
		return h.publishAtOnce(b, marks)
	}
	if h.follower != nil {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, sharedWait)
		defer cancel()
	}
	p := &publication{batch: b, marks: marks, done: make(chan struct{})}
	select {
	case <-h.closing:
		return nil, event.ErrClosed
	case h.publications <- p:
	default:
		select {
		case h.publications <- p:
		case <-h.closing:
			return nil, event.ErrClosed
		case <-ctx.Done():
			return nil, event.ErrBusy
		}
	}
	// From here on the outcome is only known when the writer says so.
	select {
	case <-p.done:
		return p.receipts, p.err
	case <-ctx.Done():
		return nil, fmt.Errorf("waiting for the log: %w", ctx.Err())
	case <-h.writerDone:
		select {
		case <-p.done:
			return p.receipts, p.err
		default:
			return nil, event.ErrClosed
		}
	}
}

// PublishLate is Publish while the hub closes, for a way in that cannot have its
// sender repeat what came too late. The events are stored; streams that are left may
// not be told. It must not be called once Close was.
func (h *Hub) PublishLate(b event.Batch) ([]event.Receipt, error) {
	events, err := h.named(b.Events)
	if err != nil {
		return nil, err
	}
	marks := h.uncertain.marks(&b)
	if b.Mark != nil {
		marks = append(marks, *b.Mark)
	}
	h.writing.Lock()
	defer h.writing.Unlock()
	_, receipts, err := h.store(events, marks, 1)
	return receipts, err
}

// publishAtOnce is Publish without the writer.
func (h *Hub) publishAtOnce(b event.Batch, marks []event.Mark) ([]event.Receipt, error) {
	receipts, shown, err := h.storeAtOnce(b, marks)
	h.tell(shown, (*shard).helpOrNotify)
	return receipts, err
}

// storeAtOnce stores and shows a batch. It returns the channels whose streams
// have to be told.
func (h *Hub) storeAtOnce(b event.Batch, marks []event.Mark) ([]event.Receipt, []*channel, error) {
	h.writing.Lock()
	defer h.writing.Unlock()
	if h.Closing() {
		return nil, nil, event.ErrClosed
	}
	if b.Mark != nil {
		marks = append(marks, *b.Mark)
	}
	appended, receipts, err := h.store(b.Events, marks, 1)
	if err != nil {
		return nil, nil, err
	}
	return receipts, slices.Clone(h.showAppended(appended)), nil
}

// write is the hub's one writer: store, then show, then tell the sender.
func (h *Hub) write() {
	defer close(h.writerDone)
	g := newGathering(h.log.Durable())
	ticker := time.NewTicker(sweepEvery)
	defer ticker.Stop()
	sweeping := false
	for {
		if sweeping { // in small steps, between the commits
			select {
			case p := <-h.publications:
				h.commit(g.gather(p, h.publications))
			default:
				sweeping = h.sweep()
			}
			continue
		}
		select {
		case p := <-h.publications:
			h.commit(g.gather(p, h.publications))
		case <-ticker.C:
			sweeping = h.sweep()
		case <-h.closing:
			h.commitRest(g)
			return
		}
	}
}

// commitRest takes what was queued before the hub began to close.
func (h *Hub) commitRest(g *gathering) {
	for {
		select {
		case p := <-h.publications:
			h.commit(g.gather(p, h.publications))
		default:
			return
		}
	}
}

func (h *Hub) sweep() (more bool) {
	h.forgetIdle()
	h.writing.Lock()
	defer h.writing.Unlock()
	more, err := h.log.Sweep(time.Now())
	if err != nil {
		// Of a shared log, the follower knows whether it is well.
		if h.follower == nil && h.counters.trouble.Swap(&err) == nil { // once, not every second
			h.config().Logger.Error("removing old events", "hub", h.name, "error", err)
		}
		return false
	}
	// That a shared log can be swept does not say that it takes events again.
	if h.follower != nil && now()-h.counters.failedAt.Load() < int64(sharedDoubt) {
		return more
	}
	if h.counters.trouble.Swap(nil) != nil {
		h.config().Logger.Info("the log works again", "hub", h.name)
	}
	return more
}

// commit appends what was gathered in one transaction.
func (h *Hub) commit(g *gathering) {
	group := g.group
	h.writing.Lock()
	defer h.writing.Unlock()
	appended, receipts, err := h.store(g.events, g.marks, len(group))
	for _, p := range group {
		if err != nil {
			p.err = err
			continue
		}
		n := len(p.batch.Events)
		p.receipts, receipts = receipts[:n:n], receipts[n:]
	}
	g.others = len(h.publications)
	settle := func() {
		for _, p := range group {
			close(p.done)
		}
	}
	switch {
	case err != nil:
	case h.follower != nil: // others append as well: it is shown when its turn comes
		var last event.Cursor // what is waited for: its epoch and number
		for _, p := range group {
			for _, r := range p.receipts {
				if r.Position.Seq >= last.Seq {
					last = r.Position
				}
			}
		}
		if last.Seq > 0 { // it brought something
			h.follower.await(last, settle)
			return
		}
	default:
		h.tell(h.showAppended(appended), (*shard).notify)
	}
	settle()
}

// store appends the events of some batches. Called with h.writing held.
func (h *Hub) store(events []event.Event, marks []event.Mark, batches int) ([]log.Appended, []event.Receipt, error) {
	start, epoch := now(), h.log.Head().Epoch
	appended, err := h.log.Append(events, marks)
	if err == nil && h.log.Head().Epoch != epoch {
		err = fmt.Errorf("%w: it began anew while events were stored", log.ErrFailed)
	}
	if err != nil {
		if h.counters.trouble.Load() == nil {
			h.config().Logger.Error("storing events", "hub", h.name, "error", err)
		}
		h.counters.appendFailed(err)
		h.uncertain.forgetFed()
		return nil, nil, appendError(err)
	}
	took := now() - start
	h.counters.appended(batches, took)
	if t := h.timings.Load(); t != nil {
		t.Commit(time.Duration(took))
	}
	if h.counters.trouble.Load() != nil {
		h.counters.trouble.Store(nil)
	}
	durable := h.log.Durable()
	receipts := make([]event.Receipt, len(appended))
	for i, a := range appended {
		receipts[i] = event.Receipt{
			Position:  event.Cursor{Epoch: epoch, Seq: a.Entry.Seq, Tag: a.Entry.Tag},
			Duplicate: a.Duplicate, Conflict: a.Conflict, Durable: durable,
		}
	}
	h.counters.published(receipts)
	h.markGaps(events, receipts)
	return appended, receipts, nil
}

// showAppended shows what this process has stored, see show. Called with
// h.writing held.
func (h *Hub) showAppended(appended []log.Appended) []*channel {
	entries := h.entries[:0]
	for i := range appended {
		if !appended[i].Duplicate {
			entries = append(entries, appended[i].Entry)
		}
	}
	shown := h.show(entries, h.log.Head())
	clear(entries)
	h.entries = entries
	return shown
}

// appendError says in the words of Publisher what became of the events.
func appendError(err error) error {
	switch {
	case errors.Is(err, log.ErrFull):
		return fmt.Errorf("%w: %w", event.ErrStoreFull, err)
	case errors.Is(err, log.ErrFailed):
		return fmt.Errorf("%w: %w", event.ErrUnavailable, err)
	}
	return err
}

// show hands stored entries, the last of which stands at head, to their
// channels, and returns those, for the next step: telling the streams. A channel
// that nobody has listened to lately has no place in memory, and costs nothing.
// The result is valid until the next call; there is one at a time.
func (h *Hub) show(entries []event.Entry, head event.Cursor) []*channel {
	cfg := h.config()
	clear(h.shown)
	h.shown = h.shown[:0]
	h.mu.Lock()
	var grown int64
	for i := range entries {
		if entries[i].Op == event.Gap {
			h.uncertain.note(&entries[i], head)
		}
		first := len(h.shown)
		if ch := h.channels[entries[i].Channel.Text]; ch != nil {
			h.shown = append(h.shown, ch)
		}
		if len(h.patterns) > 0 {
			h.shown = h.patterns.match(h.shown, entries[i].Channel.Text)
		}
		if len(h.shown) == first {
			continue
		}
		it := &item{Entry: entries[i]}
		for _, ch := range h.shown[first:] {
			grown += ch.append(it, cfg)
			if it.Changes() {
				ch.change(&it.Entry)
				h.fetchers.forget(ch)
			}
		}
	}
	h.head.Store(&head)
	if h.windows.Add(grown) > cfg.WindowTotal {
		h.shrinkLargest(cfg.WindowTotal)
	}
	h.mu.Unlock()
	return h.shown
}

// tell tells the shards whose streams listen that the channels have something
// new.
func (h *Hub) tell(channels []*channel, how func(*shard, *channel)) {
	for _, ch := range channels {
		ch.wakeReaders()
		for _, sh := range h.shards {
			if ch.listening[sh.index].Load() > 0 {
				how(sh, ch)
			}
		}
	}
}

// shrinkLargest halves the largest windows until all together are well below
// the bound. Streams that needed what is gone read it from the log.
// Called with h.mu held.
func (h *Hub) shrinkLargest(total int64) {
	type sized struct {
		ch    *channel
		bytes uint64
	}
	list := make([]sized, 0, len(h.channels))
	for ch := range h.all() {
		w := ch.recent()
		list = append(list, sized{ch, w.bytes()})
	}
	slices.SortFunc(list, func(a, b sized) int { return int(int64(b.bytes) - int64(a.bytes)) })
	for _, s := range list {
		if h.windows.Load() <= total*3/4 {
			return
		}
		h.windows.Add(-s.ch.shrink(len(s.ch.recent().items) / 2))
	}
}

// forgetIdle drops channels that nobody has listened to for a while.
func (h *Hub) forgetIdle() {
	h.mu.Lock()
	defer h.mu.Unlock()
	limit := now() - int64(h.config().Linger)
	for e := h.idle.Front(); e != nil && e.Value.(*channel).idleSince < limit; e = h.idle.Front() {
		h.forget(e.Value.(*channel))
	}
}

// forget drops a channel that nobody listens to. Called with h.mu held.
func (h *Hub) forget(ch *channel) {
	h.idle.Remove(ch.idle)
	delete(h.channels, ch.name)
	if h.interest != nil {
		h.interest(ch.name, false)
	}
	h.windows.Add(-ch.forget())
}
