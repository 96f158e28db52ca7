package stream

import (
	"container/list"
	"sort"
	"sync"
	"sync/atomic"

	"github.com/seed-078801ba/sidestream/stream/conn"
	"github.com/seed-078801ba/sidestream/stream/event"
	"github.com/seed-078801ba/sidestream/stream/format"
)

// maxEncodings is how many encodings a hub can have: each format with chunks and
// without, or in WebSocket frames.
const maxEncodings = 16

// channel holds the recent events of a channel, and who listens.
type channel struct {
	name    string
	pattern bool // the name is that of a Pattern
	home    int  // the shard of its first streams

	// Guarded by Hub.mu.
	listeners int
	ready     []<-chan struct{} // what Interest said, see there
	idleSince int64
	idle      *list.Element // in Hub.idle, while there are no listeners

	mu        sync.Mutex
	w         window
	forgotten bool // the hub does not know it any more
	readers   map[*Reader]struct{}
	reading   atomic.Int32 // len(readers)
	newsAt    atomic.Int64 // when the newest event came; see now

	// listening counts the streams of each shard that have joined, so that an
	// event wakes only the shards that have someone to tell.
	listening []atomic.Int32
	// dirty tells of each shard whether it knows already that there is
	// something new.
	dirty []atomic.Bool
	// rosters lists the streams of each shard; only that shard looks.
	rosters []roster
}

// window is the recent part of a channel: all of its events after base, up to
// the hub's head. It is a value: appending makes a new one and leaves what
// others hold of the old one alone.
type window struct {
	base  event.Cursor // its tag is known of patterns' windows only
	items []placed
	total uint64 // bytes that the channel has said since it was made
	// changes counts the edits and deletions of messages: what was read from the log
	// before one must not be put into the window after it.
	changes uint64
}

// item is an entry with its frames: encoded at most once for each encoding that
// somebody uses, and shared by all streams.
type item struct {
	event.Entry
	frames [maxEncodings]atomic.Pointer[[]byte]
}

// placed is an item in a window; patterns' windows share the channels' items.
type placed struct {
	*item
	cum  uint64 // window.total up to and including this one
	size uint64 // the item's weight when it came, which is in that
}

// encoding is how streams get their messages: a format in a framing.
type encoding struct {
	format  format.Format
	framing conn.Framing
}

// frame is a message that is no event, as it goes out; nil if it is empty.
func (e encoding) frame(message []byte) []byte {
	if len(message) == 0 || e.framing == conn.Plain {
		return message
	}
	return e.framing.Append(make([]byte, 0, len(message)+conn.Overhead), message)
}

// frame encodes the item unless somebody has done so; the result is empty if the
// event says nothing in the format. Two shards may do it at the same time; both
// results are the same.
func (it *item) frame(number uint8, e encoding, epoch event.Epoch) []byte {
	if b := it.frames[number].Load(); b != nil {
		return *b
	}
	cursor := event.Cursor{Epoch: epoch, Seq: it.Seq, Tag: it.Tag}
	var message []byte
	switch {
	case it.Shape == event.Gone: // it was taken back
	case it.Op == event.Gap:
		message = e.format.Gap(nil, event.Missing{Channel: it.Channel.Text, To: cursor, Reason: event.Reason(it.Type)})
	default:
		message = e.format.Event(nil, &it.Entry, cursor)
	}
	b := e.frame(message)
	it.frames[number].Store(&b)
	return b
}

// weight is what an item counts for in a window's bounds, in bytes.
func weight(e *event.Entry) int { return 320 + len(e.Body) + len(e.Payload) }

func newChannel(name string, shards int, head event.Cursor) *channel {
	return &channel{
		name: name, w: window{base: head},
		listening: make([]atomic.Int32, shards), dirty: make([]atomic.Bool, shards), rosters: make([]roster, shards),
	}
}

// recent is the channel's window now.
func (c *channel) recent() window {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.w
}

// append adds a new item at the head and says by how many bytes the window grew.
func (c *channel) append(it *item, cfg *Config) int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	before := c.w.bytes()
	size := uint64(weight(&it.Entry))
	c.newsAt.Store(now())
	c.w.total += size
	c.w.items = append(c.w.items, placed{it, c.w.total, size})
	c.w.trim(cfg.WindowEvents, uint64(cfg.WindowBytes))
	return int64(c.w.bytes()) - int64(before)
}

// prepend adds older entries, read from the log: all of the channel after
// after, up to and including the base of the window before, as it was when they
// were read. It does nothing if the window has changed at that end since, or
// would be too large.
func (c *channel) prepend(entries []event.Entry, after uint64, before window, cfg *Config) (grown int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.forgotten || c.w.changes != before.changes || c.w.base.Epoch != before.base.Epoch || c.w.base.Seq != before.base.Seq || after >= before.base.Seq || len(c.w.items)+len(entries) > cfg.WindowEvents {
		return 0
	}
	var added uint64
	for i := range entries {
		added += uint64(weight(&entries[i]))
	}
	if added+c.w.bytes() > uint64(cfg.WindowBytes) {
		return 0
	}
	// What was said before the window counts from below its first item. The
	// sums wrap around; only their differences are looked at.
	cum := c.w.total - c.w.bytes() - added
	items := make([]placed, 0, len(entries)+len(c.w.items)+16)
	for i := range entries {
		size := uint64(weight(&entries[i]))
		cum += size
		items = append(items, placed{&item{Entry: entries[i]}, cum, size})
	}
	c.w.items = append(items, c.w.items...)
	c.w.base = event.Cursor{Epoch: before.base.Epoch, Seq: after}
	return int64(added)
}

// change does to the window what an edit or a deletion has done to the log, see
// log.Log: what the message said is gone, or is what the edit says. Streams that are
// behind get that; those that have shown it are told by the event itself.
func (c *channel) change(e *event.Entry) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.w.changes++
	var items []placed // a copy: others hold the old ones
	for i, it := range c.w.items {
		if it.Seq >= e.Seq {
			break
		}
		if it.ID.Text != e.ID.Text || it.Channel.Text != e.Channel.Text || it.Shape == event.Gone ||
			it.Op != event.Create && it.Op != event.Edit {
			continue
		}
		now := &item{Entry: it.Entry}
		if it.Op == event.Create && e.Op == event.Edit && e.Shape != event.Gone {
			now.Event = it.WithText(&e.Event)
		} else {
			now.Event = it.WithoutText()
		}
		if items == nil {
			items = append(make([]placed, 0, cap(c.w.items)), c.w.items...)
		}
		items[i].item = now
	}
	if items != nil {
		c.w.items = items
	}
}

// reset forgets everything up to head, and says how many bytes that frees.
func (c *channel) reset(head event.Cursor) (freed int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	freed = int64(c.w.bytes())
	c.w = window{base: head}
	return freed
}

// forget frees the window for good.
func (c *channel) forget() (freed int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.forgotten = true
	freed = int64(c.w.bytes())
	c.w.items = nil
	return freed
}

// shrink drops the older part of the window.
func (c *channel) shrink(events int) (freed int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	before := c.w.bytes()
	c.w.trim(events, before)
	return int64(before - c.w.bytes())
}

// bytes is the weight of the window's items.
func (w *window) bytes() uint64 {
	if len(w.items) == 0 {
		return 0
	}
	return w.total - (w.items[0].cum - w.items[0].size)
}

func (w *window) trim(events int, bytes uint64) {
	drop := 0
	for len(w.items)-drop > events || (drop < len(w.items) && w.total-w.items[drop].cum+w.items[drop].size > bytes) {
		drop++
	}
	if drop == 0 {
		return
	}
	last := w.items[drop-1]
	w.base.Seq, w.base.Tag = last.Seq, last.Tag
	// The dropped pointers stay in the array until append moves it; when most
	// of it is dropped, move it now.
	if w.items = w.items[drop:]; cap(w.items) > 2*len(w.items)+64 {
		w.items = append(make([]placed, 0, len(w.items)+len(w.items)/4+8), w.items...)
	}
}

// after is the part of the window behind a position, up to another one.
func (w *window) after(seq, upto uint64) []placed {
	items := w.items
	// Most streams are at the head but for the newest few: look there first.
	lo := len(items)
	for n := 0; lo > 0 && n < 4 && items[lo-1].Seq > seq; n++ {
		lo--
	}
	if lo > 0 && items[lo-1].Seq > seq {
		lo = sort.Search(lo, func(i int) bool { return items[i].Seq > seq })
	}
	items = items[lo:]
	for len(items) > 0 && items[len(items)-1].Seq > upto {
		items = items[:len(items)-1]
	}
	return items
}

// lag is how many bytes the channel has said after a position.
func (w *window) lag(seq uint64) uint64 {
	items := w.after(seq, ^uint64(0))
	if len(items) == 0 {
		return 0
	}
	return w.total - items[0].cum + items[0].size
}

// roster is the list of one shard's streams of one channel.
type roster []member

// member is a stream and which of its subscriptions it is that stands here.
type member struct {
	s   *Stream
	sub int
}

func (r *roster) add(s *Stream, sub int) {
	s.subs[sub].place = len(*r)
	*r = append(*r, member{s, sub})
}

func (r *roster) remove(s *Stream, sub int) {
	list, i := *r, s.subs[sub].place
	last := len(list) - 1
	list[i] = list[last]
	list[i].s.subs[list[i].sub].place = i
	list[last] = member{}
	if *r = list[:last]; last == 0 {
		*r = nil
	}
}
