package stream

import (
	"slices"
	"sync"

	"github.com/seed-078801ba/sidestream/stream/event"
)

const (
	// pageEvents and pageBytes bound what a stream gets from the log at once.
	// It gets the next page when its client has taken this one.
	pageEvents = 128
	pageBytes  = 64 << 10
	// fetcherCount is how many pages are read at the same time.
	fetcherCount = 4
	// pageCache is how many pages are kept for other streams: clients that lost
	// their connection together come back with the same cursor.
	pageCache = 64
)

// fetchers read older events for streams whose cursor is behind what is in
// memory, so that no shard ever waits for a disk.
type fetchers struct {
	hub  *Hub
	work sync.WaitGroup

	mu     sync.Mutex
	more   sync.Cond
	queue  []fetch
	closed bool

	pages map[pageKey]*page
	order []pageKey // of pages, oldest first
}

// fetch is what a stream wants to know.
type fetch struct {
	s        *Stream
	channels []reach
	epoch    event.Epoch
	after    uint64
	late     *channel // it is for this one alone, which is late
	subs     int      // of the stream, when it was asked for
}

// reach is how far a stream has, or was told of, a channel.
type reach struct {
	*channel
	behind uint64 // at least fetch.after
	told   uint64 // what is missing up to here needs no signal
}

type pageKey struct {
	ch    *channel
	epoch event.Epoch
	after uint64
}

// page is a row of a channel's older events.
type page struct {
	once  sync.Once
	items []*item
	to    uint64 // the cursor of a stream that has them all
	whole bool   // they reach up to the window
	err   error
}

func newFetchers(h *Hub) *fetchers {
	f := &fetchers{hub: h, pages: map[pageKey]*page{}}
	f.more.L = &f.mu
	for range fetcherCount {
		f.work.Go(f.run)
	}
	return f
}

// fetch has older events read for a stream, and comes back to its shard. Called
// by the shard; a stream waits for one fetch at most.
func (f *fetchers) fetch(s *Stream) {
	q := fetch{s: s, epoch: s.within, after: s.cursor, subs: len(s.subs)}
	for i := range s.subs {
		switch sub := &s.subs[i]; {
		case s.late > 0 && sub.late() && q.late == nil:
			q.late, q.after = sub.ch, sub.from
			q.channels = append(q.channels, reach{sub.ch, sub.from, max(sub.told, sub.from)})
		case s.late == 0 && !sub.ch.pattern:
			behind := max(s.cursor, sub.behind)
			told := max(s.told, behind)
			if sub.past != nil {
				told = max(told, sub.told)
			}
			q.channels = append(q.channels, reach{sub.ch, behind, told})
		}
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.queue = append(f.queue, q)
	f.more.Signal()
}

func (f *fetchers) close() {
	f.mu.Lock()
	f.closed = true
	f.more.Broadcast()
	f.mu.Unlock()
	f.work.Wait()
}

func (f *fetchers) run() {
	for {
		f.mu.Lock()
		for len(f.queue) == 0 && !f.closed {
			f.more.Wait()
		}
		if f.closed {
			f.mu.Unlock()
			return
		}
		q := f.queue[0]
		f.queue[0] = fetch{}
		f.queue = f.queue[1:]
		f.mu.Unlock()
		p, missing, err := f.read(q)
		q.s.shard.post(func() { q.s.shard.fetched(q, p, missing, err) })
	}
}

// read finds what a stream needs: nothing, if the windows of its channels could
// be made to hold it, or a page; or what can no longer be found.
func (f *fetchers) read(q fetch) (*page, []event.Missing, error) {
	p, err := f.find(q)
	// Looked at last: retention may have come in between.
	missing, missingErr := f.missing(q)
	if len(missing) > 0 || missingErr != nil {
		return nil, missing, missingErr
	}
	return p, nil, err
}

func (f *fetchers) missing(q fetch) ([]event.Missing, error) {
	names, told := make([]string, len(q.channels)), make(map[string]uint64, len(q.channels))
	for i, ch := range q.channels {
		names[i], told[ch.name] = ch.name, ch.told
	}
	tag, known, err := f.hub.log.TagAt(q.after)
	if err != nil {
		return nil, err
	}
	missing, err := f.hub.trimmed(names, event.Cursor{Epoch: q.epoch, Seq: q.after, Tag: tag}, func(name string) uint64 { return told[name] })
	for i := range missing {
		if !known {
			missing[i].From = event.Cursor{} // nobody could make anything of it
		}
	}
	return missing, err
}

// find is a page for a stream, or nil if all that it needs is in memory now.
func (f *fetchers) find(q fetch) (*page, error) {
	names := make([]string, 0, len(q.channels))
	inMemory := true
	for _, ch := range q.channels {
		names = append(names, ch.name)
		p := f.page(ch.channel, ch.behind)
		switch {
		case p == nil:
		case p.err != nil:
			return nil, p.err
		case len(q.channels) == 1:
			if !p.whole {
				return p, nil
			}
			inMemory = ch.behind >= ch.recent().base.Seq
		default:
			inMemory = inMemory && p.whole && ch.behind >= ch.recent().base.Seq
		}
	}
	if inMemory {
		return nil, nil
	}
	p := &page{}
	head := f.hub.Head().Seq
	entries, more, err := f.hub.log.Read(names, q.after, head, pageEvents, pageBytes)
	p.fill(entries, more, head)
	return p, err
}

// page is the row of a channel's events behind a position that is not in
// memory; nil if it is. A row that reaches up to the window becomes a part of
// it.
func (f *fetchers) page(ch *channel, after uint64) *page {
	w := ch.recent()
	if after >= w.base.Seq {
		return nil
	}
	key := pageKey{ch, w.base.Epoch, after}
	f.mu.Lock()
	p := f.pages[key]
	if p == nil {
		p = &page{}
		f.pages[key] = p
		if f.order = append(f.order, key); len(f.order) > pageCache {
			delete(f.pages, f.order[0])
			f.order = append(f.order[:0], f.order[1:]...)
		}
	}
	f.mu.Unlock()
	p.once.Do(func() {
		h := f.hub
		entries, more, err := h.log.Read([]string{ch.name}, after, w.base.Seq, pageEvents, pageBytes)
		if p.err = err; err != nil {
			return
		}
		p.fill(entries, more, w.base.Seq)
		// What retention has taken away must not become a hole in the window.
		var trimmed uint64
		if trimmed, p.err = h.log.Trimmed(ch.name); p.err != nil {
			return
		}
		p.whole = p.whole && trimmed <= after
		if p.whole {
			h.windows.Add(ch.prepend(entries, after, w, h.config()))
		}
	})
	if p.whole || p.err != nil { // the window has it now, or the next one may succeed
		f.mu.Lock()
		if f.pages[key] == p {
			delete(f.pages, key)
			for i, k := range f.order {
				if k == key {
					f.order = append(f.order[:i], f.order[i+1:]...)
					break
				}
			}
		}
		f.mu.Unlock()
	}
	return p
}

// forget drops what was read of a channel: a message in it has changed.
func (f *fetchers) forget(ch *channel) {
	f.mu.Lock()
	defer f.mu.Unlock()
	kept := f.order[:0]
	for _, key := range f.order {
		if key.ch == ch {
			delete(f.pages, key)
		} else {
			kept = append(kept, key)
		}
	}
	f.order = kept
}

func (p *page) fill(entries []event.Entry, more bool, upto uint64) {
	p.items = make([]*item, len(entries))
	for i := range entries {
		p.items[i] = &item{Entry: entries[i]}
	}
	p.to, p.whole = upto, !more
	if more {
		p.to = entries[len(entries)-1].Seq
	}
}

// fetched goes on with a stream whose older events were read.
func (sh *shard) fetched(q fetch, p *page, missing []event.Missing, err error) {
	s := q.s
	if s.state != fetching {
		return // it has ended meanwhile
	}
	s.state = open
	at, sub := s.cursor, (*subscription)(nil)
	if q.late != nil {
		if k := s.sub(q.late); k >= 0 {
			sub = &s.subs[k]
			at = sub.from
		}
	}
	switch {
	case q.epoch != s.within || q.after != at || q.late != nil && sub == nil: // a reset came in between, or it has left
	case err != nil:
		sh.hub.config().Logger.Error("reading older events", "hub", sh.hub.name, "error", err)
		sh.conclude(s, StoreFailed)
		return
	case len(missing) > 0:
		end := Unresumable
		if s.live { // it had everything, and was too slow for the history
			end = SlowClient
			for i := range missing {
				missing[i].Reason = event.SlowClient
			}
		}
		if !s.asked {
			sh.conclude(s, end)
			return
		}
		if sub != nil {
			sh.signalLate(s, sub, missing[0])
		} else {
			sh.signal(s, missing)
		}
	case p != nil:
		s.page, s.pageTo, s.pageOf = append([]*item(nil), p.items...), p.to, q.late
		if len(s.subs) < q.subs { // it has left a channel meanwhile
			s.page = slices.DeleteFunc(s.page, func(it *item) bool { return !s.listensTo(it.Channel.Text) })
		}
	}
	if s.state == open { // also if it was behind: that it no longer is may have been told meanwhile
		sh.deliver(s)
	}
}

// gap is what tells the stream's client that it misses something; it is empty if the
// format has no words for that. It is counted.
func (sh *shard) gap(s *Stream, m event.Missing) []byte {
	sh.counters.gap(m.Reason)
	return s.encoding().frame(s.spec.Format.Gap(nil, m))
}

// signalLate tells a client what it misses of a channel that is late.
func (sh *shard) signalLate(s *Stream, sub *subscription, m event.Missing) {
	sub.behind = max(sub.behind, m.To.Seq)
	if sub.from = min(m.To.Seq, sub.upto); !sub.late() {
		s.late--
	}
	s.dropPage(sub.ch)
	sh.writeNext(s, sh.gap(s, m))
}

// signal tells a client what it misses, and moves its cursor behind the gap: to
// the head, or to the oldest event that is left if it asked for that.
func (sh *shard) signal(s *Stream, missing []event.Missing) {
	if !s.oldest { // then it misses the other channels as well
		missing = []event.Missing{{From: missing[0].From, To: sh.hub.Head(), Reason: missing[0].Reason}}
		s.cursor = missing[0].To.Seq
	}
	var b []byte
	for _, m := range missing {
		for k := range s.subs {
			if s.subs[k].ch.name == m.Channel {
				s.subs[k].behind = m.To.Seq
			}
		}
		b = append(b, sh.gap(s, m)...)
		s.cursor = max(s.cursor, m.At.Seq)
	}
	sh.writeNext(s, b)
}
