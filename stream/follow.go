package stream

import (
	"context"
	"errors"
	"slices"
	"sync/atomic"
	"time"

	"github.com/seed-078801ba/sidestream/stream/event"
	"github.com/seed-078801ba/sidestream/stream/log"
)

// errDisconnected is the trouble of a hub whose shared log is out of reach.
var errDisconnected = errors.New("the shared log is out of reach")

// follower lets a hub show what a shared log says, whoever appended it.
type follower struct {
	hub *Hub
	// waiting are those who wait until a position is shown here: publishes of
	// this process that are stored, clients that come from another node. Guarded
	// by Hub.mu, like over.
	waiting []waiting
	over    []event.Epoch // that this hub has left, the newest last
	// trouble is why the log cannot be followed now; nil if it can.
	trouble atomic.Pointer[error]
	// degraded is set when it could not be for degradedWait: no stream is worth
	// keeping here, another node may serve its client.
	degraded atomic.Bool
	patience *time.Timer // of Connected; nil while connected
}

// degradedWait is how long streams stay on a node that is out of reach of the
// shared log: longer than a restart takes, as clients of old count how often
// they were closed.
const degradedWait = 45 * time.Second

// oversKept is how many epochs that are over are remembered: those who wait are
// not longer about it than a few epochs.
const oversKept = 8

// waiting is somebody who waits until everything up to a cursor is shown.
type waiting struct {
	at   event.Cursor
	done func()
}

// follow runs until the hub closes.
func (h *Hub) follow(l log.Shared) {
	defer close(h.followerDone)
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	go func() {
		<-h.closing
		cancel()
	}()
	defer func() {
		if h.follower.patience != nil {
			h.follower.patience.Stop()
		}
	}()
	if err := l.Follow(ctx, h.Head(), h.follower); err != nil && ctx.Err() == nil {
		h.follower.trouble.Store(&err)
		h.config().Logger.Error("following the shared log ends", "hub", h.name, "error", err)
	}
}

// Entries implements log.Follower.
func (f *follower) Entries(entries []event.Entry, head event.Cursor) {
	f.hub.tell(f.hub.show(f.hub.hear(entries), head), (*shard).notify)
	f.settle()
}

// Reset implements log.Follower.
func (f *follower) Reset(head event.Cursor, reason event.Reason) {
	f.hub.reset(head, reason)
	f.settle()
}

// Connected implements log.Follower.
func (f *follower) Connected(cause error) {
	h := f.hub
	if cause == nil {
		if f.patience != nil {
			f.patience.Stop()
			f.patience = nil
		}
		f.degraded.Store(false)
		f.trouble.Store(nil)
		h.config().Logger.Info("connected to the shared log", "hub", h.name)
		return
	}
	f.trouble.Store(&errDisconnected)
	if f.patience == nil {
		f.patience = time.AfterFunc(degradedWait, f.giveUp)
	}
	h.config().Logger.Warn("the shared log is out of reach", "hub", h.name, "cause", cause)
}

// giveUp ends all streams, with a word on when to come back.
func (f *follower) giveUp() {
	f.degraded.Store(true)
	if f.trouble.Load() == nil {
		f.degraded.Store(false) // connected in this very moment
		return
	}
	for _, sh := range f.hub.shards {
		sh.post(func() {
			for i := range sh.slots {
				if s := sh.slots[i].s; s != nil {
					sh.conclude(s, StoreFailed)
				}
			}
		})
	}
}

// await has done called when everything up to at is shown, or when the epoch of
// at is over, so that it will never be.
func (f *follower) await(at event.Cursor, done func()) {
	f.hub.mu.Lock()
	if !f.settled(at) {
		f.waiting = append(f.waiting, waiting{at, done})
		done = nil
	}
	f.hub.mu.Unlock()
	if done != nil {
		done()
	}
}

// settled tells whether nobody has to wait for a position. An epoch that is
// neither the hub's nor over is one that it has yet to come to. Called with
// Hub.mu held.
func (f *follower) settled(at event.Cursor) bool {
	if head := f.hub.head.Load(); head.Epoch == at.Epoch {
		return head.Seq >= at.Seq
	}
	return slices.Contains(f.over, at.Epoch)
}

// leave remembers an epoch that is over. Called with Hub.mu held.
func (f *follower) leave(epoch event.Epoch) {
	if f.over = append(f.over, epoch); len(f.over) > oversKept {
		f.over = slices.Delete(f.over, 0, 1)
	}
}

// settle calls those who need not wait any longer.
func (f *follower) settle() {
	var ready []waiting
	f.hub.mu.Lock()
	kept := f.waiting[:0]
	for _, w := range f.waiting {
		if f.settled(w.at) {
			ready = append(ready, w)
		} else {
			kept = append(kept, w)
		}
	}
	clear(f.waiting[len(kept):])
	f.waiting = kept
	f.hub.mu.Unlock()
	for _, w := range ready {
		w.done()
	}
}

// reset begins anew at head: what lies before it cannot be shown.
func (h *Hub) reset(head event.Cursor, reason event.Reason) {
	h.mu.Lock()
	for ch := range h.all() {
		h.windows.Add(-ch.reset(head))
		ch.wakeReaders()
	}
	if last := h.head.Swap(&head); last.Epoch != head.Epoch {
		h.follower.leave(last.Epoch)
	}
	h.mu.Unlock()
	for _, s := range h.shards {
		s.post(func() { s.reset(head, reason) })
	}
}

// reset tells the shard's streams that events are missing.
func (sh *shard) reset(head event.Cursor, reason event.Reason) {
	sh.last.reset()
	for i := range sh.slots {
		s := sh.slots[i].s
		if s == nil || (s.state != open && s.state != fetching) {
			continue
		}
		// It may have begun behind the reset, or have got beyond it.
		if s.within == head.Epoch && (reason == event.EpochChanged || s.cursor >= head.Seq) {
			continue
		}
		sh.restart(s, head, reason)
	}
}

// restart has a stream go on at head, with a gap signal. A stream whose client
// does not understand that is ended.
func (sh *shard) restart(s *Stream, head event.Cursor, reason event.Reason) {
	if !s.asked {
		sh.conclude(s, Unresumable)
		return
	}
	s.page, s.pageTo, s.pageOf, s.late = nil, 0, nil, 0
	s.within, s.cursor, s.told = head.Epoch, head.Seq, head.Seq
	for i := range s.subs {
		sub := &s.subs[i]
		*sub = subscription{ch: sub.ch, place: sub.place}
		if sub.ch.pattern {
			sub.past = &past{since: head.Seq}
		}
	}
	if s.acts != nil {
		for i := range s.acts.list { // what they were to follow will not come
			s.acts.list[i].after = event.Cursor{}
		}
	}
	if sh.writeNext(s, sh.gap(s, event.Missing{To: head, Reason: reason})) && s.state == open {
		sh.deliver(s)
	}
}
