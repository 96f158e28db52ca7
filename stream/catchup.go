package stream

import (
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
	channels []*channel
	epoch    event.Epoch
	after    uint64
	told     uint64
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
	q := fetch{s: s, epoch: s.shard.epoch, after: s.cursor, told: s.told, channels: make([]*channel, len(s.subs))}
	for i, sub := range s.subs {
		q.channels[i] = sub.ch
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
// be made to hold it, or a page; and what can no longer be found.
func (f *fetchers) read(q fetch) (*page, []event.Missing, error) {
	h := f.hub
	var missing []event.Missing
	for _, ch := range q.channels {
		trimmed, err := h.log.Trimmed(ch.name)
		if err != nil {
			return nil, nil, err
		}
		if trimmed > q.after && trimmed > q.told {
			epoch := h.head.Load().Epoch
			missing = append(missing, event.Missing{
				Channel: ch.name, Reason: event.Trimmed,
				From: event.Cursor{Epoch: epoch, Seq: q.after}, To: event.Cursor{Epoch: epoch, Seq: trimmed},
			})
		}
	}
	if len(missing) > 0 {
		return nil, missing, nil
	}
	names := make([]string, 0, len(q.channels))
	inMemory := true
	for _, ch := range q.channels {
		names = append(names, ch.name)
		p := f.page(ch, q.after)
		switch {
		case p == nil:
		case p.err != nil:
			return nil, nil, p.err
		case len(q.channels) == 1:
			if !p.whole {
				return p, nil, nil
			}
			inMemory = q.after >= ch.recent().base
		default:
			inMemory = inMemory && p.whole && q.after >= ch.recent().base
		}
	}
	if inMemory {
		return nil, nil, nil
	}
	p := &page{}
	head := h.Head().Seq
	entries, more, err := h.log.Read(names, q.after, head, pageEvents, pageBytes)
	p.fill(entries, more, head)
	return p, nil, err
}

// page is the row of a channel's events behind a position that is not in
// memory; nil if it is. A row that reaches up to the window becomes a part of
// it.
func (f *fetchers) page(ch *channel, after uint64) *page {
	w := ch.recent()
	if after >= w.base {
		return nil
	}
	key := pageKey{ch, f.hub.head.Load().Epoch, after}
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
		entries, more, err := h.log.Read([]string{ch.name}, after, w.base, pageEvents, pageBytes)
		if p.err = err; err != nil {
			return
		}
		p.fill(entries, more, w.base)
		if p.whole {
			h.windows.Add(ch.prepend(entries, after, w.base, h.config()))
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
	switch {
	case q.epoch != sh.epoch || q.after != s.cursor: // a reset came in between
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
		if !sh.signal(s, missing) {
			return
		}
	case p != nil:
		s.page, s.pageTo = append([]*item(nil), p.items...), p.to
	}
	if s.behind == 0 {
		sh.deliver(s)
	}
}

// signal tells a client what it misses, and moves its cursor behind the gap: to
// the head, or to the oldest event that is left if it asked for that.
func (sh *shard) signal(s *Stream, missing []event.Missing) bool {
	head := sh.hub.Head()
	var b []byte
	for _, m := range missing {
		s.told = max(s.told, m.To.Seq)
		if !s.oldest {
			m.To = head
		}
		b = s.spec.Format.Gap(b, m)
	}
	if !s.oldest {
		s.cursor = head.Seq
	}
	return sh.writeNext(s, newFrame(b).bytes(s.framed))
}
