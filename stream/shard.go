package stream

import (
	"context"
	"log/slog"
	"runtime"
	"slices"
	"sync"
	"time"

	"github.com/seed-078801ba/sidestream/stream/conn"
	"github.com/seed-078801ba/sidestream/stream/event"
)

// shard is one goroutine that delivers to its streams, and all that belongs to
// it. While it waits, a sender may do a little of its work, see helpOut.
type shard struct {
	hub    *Hub
	index  int
	poller *conn.Poller
	inbox  shardInbox

	working sync.Mutex // held by whoever is at work; guards what follows

	slots    []slot  // streams by the low half of their token
	free     []int32 // slots without a stream
	streams  int
	slow     []*Stream // those whose connection did not take everything
	leaving  []*Stream // finished ones, in the order of their deadlines
	beats    map[time.Duration]*wheel
	drainer  *drainer
	doubts   []doubt   // the last interruptions, for streams that were opened beside them
	last     burst     // the burst that was made last
	one      [1][]byte // what is written by itself
	beat     beatFrame
	counters shardCounters
	clock    int64 // when this round of work began; see now
	nextTick int64
	stopping bool

	events  []conn.Event  // of run
	drained chan struct{} // closed when a drain has ended the last stream
	done    chan struct{} // closed when the goroutine has ended
}

// slot is a place for a stream. Its epoch changes with each new tenant, so that
// a late report about the last one is recognised.
type slot struct {
	s     *Stream
	epoch uint32
}

func (sl slot) token(i int32) conn.Token {
	return conn.Token(uint32(i)) | conn.Token(sl.epoch)<<32
}

// shardInbox is how other goroutines reach a shard.
type shardInbox struct {
	mu     sync.Mutex
	dirty  []*channel // have something new
	calls  []func()
	closed bool
}

// tick is how often a shard looks after heartbeats and slow clients.
const tick = 100 * time.Millisecond

// lingerTime is how long a client has to close its side after we have closed
// ours: closing over bytes that were never read would make the kernel throw
// away what the client has not taken yet.
const lingerTime = 2 * time.Second

func newShard(h *Hub, index int, p *conn.Poller) *shard {
	return &shard{
		hub: h, index: index, poller: p,
		beats:   map[time.Duration]*wheel{},
		drained: make(chan struct{}), done: make(chan struct{}),
	}
}

// post has f called by the shard. It returns false if the shard has ended.
func (sh *shard) post(f func()) bool {
	sh.inbox.mu.Lock()
	if sh.inbox.closed {
		sh.inbox.mu.Unlock()
		return false
	}
	sh.inbox.calls = append(sh.inbox.calls, f)
	sh.inbox.mu.Unlock()
	sh.poller.Wake()
	return true
}

// notify tells the shard that a channel has new events.
func (sh *shard) notify(ch *channel) {
	if ch.dirty[sh.index].Swap(true) {
		return
	}
	sh.inbox.mu.Lock()
	sh.inbox.dirty = append(sh.inbox.dirty, ch)
	sh.inbox.mu.Unlock()
	sh.poller.Wake()
}

// helpedStreams is how many streams a sender serves itself: what that takes is
// less than what it takes to wake a goroutine, on another core perhaps, and the
// message is there sooner.
const helpedStreams = 16

// helpOut does what notify would have the shard do, here and now, if there is
// little to do and nobody at work.
func (sh *shard) helpOut(ch *channel) (done bool) {
	if ch.listening[sh.index].Load() > helpedStreams || !sh.working.TryLock() {
		return false
	}
	defer sh.working.Unlock()
	if sh.stopping {
		return false
	}
	sh.clock = now()
	sh.fanOut(ch)
	sh.counters.loop(now() - sh.clock)
	return true
}

// helpOrNotify has the shard's streams told by whoever can do it at once.
func (sh *shard) helpOrNotify(ch *channel) {
	if !sh.helpOut(ch) {
		sh.notify(ch)
	}
}

func (sh *shard) run() {
	defer close(sh.done)
	defer sh.poller.Close()
	sh.working.Lock()
	defer sh.working.Unlock()
	for !sh.stopping {
		timeout := sh.wait()
		sh.working.Unlock()
		var err error
		sh.events, err = sh.poller.Wait(sh.events[:0], timeout)
		sh.working.Lock()
		if err != nil { // the epoll instance itself is broken: nothing can be delivered
			sh.hub.config().Logger.Error("a shard ends", "hub", sh.hub.name, "error", err)
			sh.cut(WriteFailed)
			break
		}
		sh.clock = now()
		start := sh.clock
		sh.work()
		sh.counters.loop(now() - start)
	}
	sh.inbox.mu.Lock()
	sh.inbox.closed = true
	sh.inbox.mu.Unlock()
}

// wait is how long the shard may sleep: for ever if it has nobody to look
// after.
func (sh *shard) wait() time.Duration {
	if sh.streams == 0 && len(sh.leaving) == 0 && sh.drainer == nil {
		sh.nextTick = 0
		return -1
	}
	t := now()
	if sh.nextTick == 0 {
		sh.nextTick = t + int64(tick)
	}
	return time.Duration(max(0, sh.nextTick-t))
}

func (sh *shard) work() {
	for _, e := range sh.events {
		sl := sh.slots[uint32(e.Token)]
		if sl.s == nil || sl.epoch != uint32(e.Token>>32) {
			continue // about a stream that is gone
		}
		sh.ready(sl.s, e)
	}
	sh.inbox.mu.Lock()
	calls, dirty := sh.inbox.calls, sh.inbox.dirty
	sh.inbox.calls, sh.inbox.dirty = nil, nil
	sh.inbox.mu.Unlock()
	for _, f := range calls {
		f()
	}
	for _, ch := range dirty {
		ch.dirty[sh.index].Store(false) // before looking: what comes now is for the next round
		sh.fanOut(ch)
	}
	if sh.nextTick != 0 && now() >= sh.nextTick {
		sh.nextTick = now() + int64(tick)
		sh.tick()
	}
}

// tick does what time asks for.
func (sh *shard) tick() {
	t := now()
	sh.clock = t
	for _, w := range sh.beats {
		sh.beatWheel(w, t)
	}
	sh.closeSlow(t)
	for len(sh.leaving) > 0 && sh.leaving[0].lastTaken <= t {
		sh.release(sh.leaving[0])
	}
	if sh.drainer != nil {
		sh.drainer.step(t)
	}
}

// ready acts on what the poller has to say of a stream.
func (sh *shard) ready(s *Stream, e conn.Event) {
	if e.Readable && sh.hear(s) {
		e.Gone = true
	}
	if e.Gone {
		sh.lost(s)
		return
	}
	switch {
	case !e.Writable:
	case s.state == ending:
		sh.finish(s)
	case s.state == open && s.behind != 0:
		sh.deliver(s)
	}
}

// yieldEvery is after how many streams a shard lets others run. The system calls by
// which it writes are too short for Go's scheduler to notice: a shard with many
// streams would keep its core for itself, and those who bring the next messages
// waiting.
const yieldEvery = 64

// fanOut delivers what is new in a channel.
func (sh *shard) fanOut(ch *channel) {
	// deliver may end a stream, which puts the roster's last one in its place:
	// from the end, nobody is passed over.
	for i := len(ch.rosters[sh.index]) - 1; i >= 0; i-- {
		list := ch.rosters[sh.index]
		if i >= len(list) {
			continue
		}
		if s := list[i].s; s.attentive() {
			sh.deliver(s)
		}
		if i%yieldEvery == yieldEvery-1 {
			runtime.Gosched()
		}
	}
	if t := sh.hub.timings.Load(); t != nil && len(ch.rosters[sh.index]) > 0 {
		t.Deliver(time.Duration(now() - ch.newsAt.Load()))
	}
}

// hear gives what a client has sent to whoever wants it, and tells whether the
// client is gone.
func (sh *shard) hear(s *Stream) (gone bool) {
	if s.input == nil || !s.running() {
		return s.conn.Read(nil)
	}
	s.unheard = 0
	return s.conn.Read(func(piece []byte) { s.input(s, piece) })
}

// opener is what is there when a stream begins.
type opener struct {
	prelude [][]byte
	missing []event.Missing
	sent    []byte
}

// adopt takes in a new stream.
func (sh *shard) adopt(s *Stream, o opener) {
	var i int32
	if n := len(sh.free); n > 0 {
		i, sh.free = sh.free[n-1], sh.free[:n-1]
	} else {
		i = int32(len(sh.slots))
		sh.slots = append(sh.slots, slot{})
	}
	sl := &sh.slots[i]
	sl.epoch++
	sl.s = s
	s.slot, s.state = i, open
	sh.streams++
	for k := range s.subs {
		s.subs[k].ch.rosters[sh.index].add(s, k)
	}
	sh.counters.opened(s)
	sh.addBeat(s)
	if err := s.conn.Watch(sh.poller, sl.token(i)); err != nil {
		sh.hub.config().Logger.Error("watching a connection", "hub", sh.hub.name, "error", err)
		s.reason = Unwatchable
		sh.release(s)
		return
	}
	if sh.stopping || sh.drainer != nil {
		sh.end(s, ShuttingDown)
		return
	}
	f, e := s.spec.Format, s.encoding()
	var first [][]byte
	for _, message := range o.prelude {
		first = append(first, e.frame(message))
	}
	head := sh.hub.Head()
	reset := s.within != head.Epoch // it came before it could be told
	if !reset {
		for _, m := range o.missing {
			first = append(first, sh.gap(s, m))
		}
	}
	first = slices.DeleteFunc(first, func(b []byte) bool { return len(b) == 0 })
	if len(first) > 0 {
		sh.writeAll(s, first)
	}
	if reset {
		sh.restart(s, head, event.EpochChanged)
	} else if beat := f.Heartbeat(nil, s.headCursor()); len(beat) > 0 && s.attentive() {
		sh.write(s, e.frame(beat))
	}
	if s.attentive() {
		sh.deliver(s)
	}
	for _, d := range sh.doubts {
		sh.tellDoubt(s, d)
	}
	if s.input == nil || !s.running() {
		return
	}
	if len(o.sent) > 0 {
		s.input(s, o.sent)
	}
	if s.running() && sh.hear(s) { // what was read ahead
		sh.lost(s)
	}
}

// lost releases a stream whose client has gone, or has said before that it goes.
func (sh *shard) lost(s *Stream) {
	if s.running() && s.reason == "" {
		s.reason = ClientGone
	}
	sh.release(s)
}

// end closes a stream from our side: between two messages, with a word to the
// client when it makes sense, and so that the client gets what is on its way.
func (sh *shard) end(s *Stream, reason CloseReason) {
	if reason == ShuttingDown && s.running() {
		// What was acknowledged goes out first; the drainer does not wait for
		// ever.
		s.draining = true
		if s.state == open {
			sh.deliver(s)
		}
		return
	}
	sh.conclude(s, reason)
}

// conclude is end without looking for what is still to be delivered.
func (sh *shard) conclude(s *Stream, reason CloseReason) {
	sh.concludeWith(s, reason, reason.code())
}

// concludeWith is conclude with the code that a WebSocket is closed with.
func (sh *shard) concludeWith(s *Stream, reason CloseReason, code conn.CloseCode) {
	if !s.running() {
		return
	}
	s.reason = reason
	if reason == SlowClient {
		// It takes nothing more. Without the end of its chunk, what was written
		// last cannot be mistaken for a whole message.
		sh.release(s)
		return
	}
	last := s.rest
	word := s.encoding().frame(s.spec.Format.Farewell(nil, reason.farewell()))
	last = append(last[:len(last):len(last)], word...)
	last = s.framing.AppendEnd(last, code, string(reason))
	sh.leaveChannels(s)
	s.state, s.rest = ending, last
	s.lastTaken = now() + int64(lingerTime)
	sh.leaving = append(sh.leaving, s)
	sh.finish(s)
}

// finish writes the last bytes of a stream that ends.
func (sh *shard) finish(s *Stream) {
	if len(s.rest) > 0 {
		sh.one[0] = s.rest
		n, err := s.conn.Write(sh.one[:])
		if err != nil {
			sh.release(s)
			return
		}
		s.bytes += uint64(n)
		if s.rest = s.rest[n:]; len(s.rest) > 0 {
			return // the poller will say when
		}
	}
	s.state, s.rest = finished, nil
	s.conn.Finish()
}

// leaveChannels takes a stream out of everything that could write to it.
func (sh *shard) leaveChannels(s *Stream) {
	left := s.position()
	s.left = &left
	for k := range s.subs {
		s.subs[k].ch.rosters[sh.index].remove(s, k)
		sh.hub.leave(s.subs[k].ch, sh.index)
	}
	if s.acts != nil {
		for _, a := range s.acts.list {
			if a.join != nil {
				sh.hub.leave(a.join, sh.index)
			}
		}
	}
	s.subs, s.acts = nil, nil
	s.page, s.rest = nil, nil
	sh.removeBeat(s)
	sh.removeSlow(s)
	s.ticket.Release()
}

// release ends a stream's life. The reason is set.
func (sh *shard) release(s *Stream) {
	if s.state == gone {
		return
	}
	if s.state == ending || s.state == finished {
		for i, l := range sh.leaving {
			if l == s {
				sh.leaving = append(sh.leaving[:i], sh.leaving[i+1:]...)
				break
			}
		}
	} else {
		sh.leaveChannels(s)
	}
	s.state = gone
	s.conn.Close()
	sh.slots[s.slot].s = nil
	sh.free = append(sh.free, s.slot)
	sh.streams--
	sh.counters.closed(s)
	closed := s.closed()
	sh.logClosed(closed)
	if s.onClose != nil {
		s.onClose(closed)
	}
}

// logClosed writes the one line that a stream's life is worth.
func (sh *shard) logClosed(c Closed) {
	logger, level := sh.hub.config().Logger, slog.LevelDebug
	if logger.Enabled(context.Background(), level) {
		logger.LogAttrs(context.Background(), level, "stream ended",
			slog.String("hub", sh.hub.name), slog.String("reason", string(c.Reason)), slog.String("format", c.Format),
			slog.String("kind", string(c.Kind)), slog.Duration("duration", c.Duration),
			slog.Uint64("events", c.Events), slog.Uint64("bytes", c.Bytes))
	}
}

// cut releases all streams at once.
func (sh *shard) cut(reason CloseReason) {
	for i := range sh.slots {
		if s := sh.slots[i].s; s != nil {
			if s.running() {
				s.reason = reason
			}
			sh.release(s)
		}
	}
}

// stop ends the shard's goroutine after this round.
func (sh *shard) stop() {
	sh.cut(ShuttingDown)
	sh.stopping = true
}
