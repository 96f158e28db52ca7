package stream

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/seed-078801ba/sidestream/stream/conn"
)

// Client is who has a stream, for those who operate the server. It is no secret of
// the client's.
type Client struct {
	Address netip.Addr // invalid if it is not known
	User    string     // as the backend calls it; empty if it has not said so
}

// StreamID names a stream of a hub as long as it is open. It is ordered like the
// list that Streams makes.
type StreamID struct {
	shard, slot int32
	tenant      uint32 // of the slot
}

// nobody is the Client of streams whose client is not known.
var nobody Client

func (id StreamID) String() string { return fmt.Sprintf("%d-%d-%d", id.shard, id.slot, id.tenant) }

// ParseStreamID reads what String wrote.
func ParseStreamID(text string) (id StreamID, err error) {
	n, err := fmt.Sscanf(text, "%d-%d-%d", &id.shard, &id.slot, &id.tenant)
	if err != nil || n != 3 || id.shard < 0 || id.slot < 0 || id.String() != text {
		return StreamID{}, errors.New("the id of a stream is what the list of streams says, as in 0-12-1")
	}
	return id, nil
}

// StreamView is what an operator sees of an open stream.
type StreamView struct {
	ID       StreamID
	Client   Client
	Opened   time.Time
	Format   string
	Kind     conn.Kind
	Channels []string // patterns among them
	// Behind: its client has not taken everything yet, for BehindFor now, and Lag
	// bytes of its channels wait for it.
	Behind    bool
	BehindFor time.Duration
	Lag       uint64
	Events    uint64 // messages delivered
	Bytes     uint64 // written, framing included
}

// StreamFilter chooses streams. What is not set does not matter.
type StreamFilter struct {
	ID      string // of one stream, as String writes it
	Channel string // in its canonical form
	User    string
	Format  string
	Address netip.Prefix
}

func (f *StreamFilter) takes(s *Stream, id StreamID) bool {
	return (f.ID == "" || f.ID == id.String()) &&
		(f.Format == "" || f.Format == s.spec.Format.Name()) &&
		(f.User == "" || f.User == s.client.User) &&
		(!f.Address.IsValid() || s.client.Address.IsValid() && f.Address.Contains(s.client.Address.Unmap().WithZone(""))) &&
		(f.Channel == "" || s.listensTo(f.Channel))
}

// Streams lists up to limit open streams behind a place; the zero StreamID is the
// beginning. more tells whether there may be others. While the list is made, streams
// come and go: one that was open all the time is in it once. Deliveries go on beside
// it.
func (h *Hub) Streams(ctx context.Context, f StreamFilter, after StreamID, limit int) (views []StreamView, more bool, err error) {
	err = h.visit(ctx, after, func(sh *shard, s *Stream, id StreamID) bool {
		if !f.takes(s, id) {
			return true
		}
		if len(views) == limit {
			more = true
			return false
		}
		views = append(views, sh.view(s, id))
		return true
	})
	return views, more, err
}

// EndStreams ends the streams that the filter chooses, or with dry only counts them.
func (h *Hub) EndStreams(ctx context.Context, f StreamFilter, reason CloseReason, dry bool) (n int, err error) {
	err = h.visit(ctx, StreamID{}, func(sh *shard, s *Stream, id StreamID) bool {
		if s.running() && f.takes(s, id) {
			n++
			if !dry {
				sh.end(s, reason)
			}
		}
		return true
	})
	return n, err
}

// view is called by the shard.
func (sh *shard) view(s *Stream, id StreamID) StreamView {
	v := StreamView{
		ID: id, Client: *s.client, Opened: started.Add(time.Duration(s.opened)), Format: s.spec.Format.Name(), Kind: s.conn.Kind(),
		Behind: s.behind > 0, Events: s.events, Bytes: s.bytes,
	}
	for _, sub := range s.subs {
		v.Channels = append(v.Channels, strings.Clone(sub.ch.name))
	}
	slices.Sort(v.Channels)
	if v.Behind {
		v.BehindFor, v.Lag = time.Duration(now()-s.lastTaken), sh.lag(s)
	}
	return v
}

// visitAtOnce is how many places a shard shows before it goes on with its
// deliveries.
const visitAtOnce = 256

// visit has every shard call f for its streams behind a place, a few at a time,
// until f returns false.
func (h *Hub) visit(ctx context.Context, after StreamID, f func(sh *shard, s *Stream, id StreamID) (more bool)) error {
	for _, sh := range h.shards {
		from := int32(0)
		switch {
		case int32(sh.index) < after.shard:
			continue
		case int32(sh.index) == after.shard && after != (StreamID{}):
			from = after.slot + 1
		}
		for from >= 0 {
			next := make(chan int32, 1)
			if !sh.post(func() { next <- sh.look(from, f) }) {
				break // it has ended, and its streams with it
			}
			select {
			case from = <-next:
			case <-sh.done:
				from = -1
			case <-ctx.Done():
				return ctx.Err()
			}
			if from == enough {
				return nil
			}
		}
	}
	return nil
}

// What look returns when there is nothing more to look at, here or
// anywhere.
const (
	seenAll int32 = -1
	enough  int32 = -2
)

// look shows f some of the shard's streams, and says where to go on.
func (sh *shard) look(from int32, f func(*shard, *Stream, StreamID) bool) (next int32) {
	upto := min(int(from)+visitAtOnce, len(sh.slots))
	for i := int(from); i < upto; i++ {
		sl := sh.slots[i]
		if sl.s == nil || sl.s.state >= finished {
			continue
		}
		if !f(sh, sl.s, StreamID{int32(sh.index), int32(i), sl.epoch}) {
			return enough
		}
	}
	if upto == len(sh.slots) {
		return seenAll
	}
	return int32(upto)
}

// ChannelView is what an operator sees of a channel that is in memory.
type ChannelView struct {
	Name      string
	Listeners int
	Events    int   // recent ones in memory
	Bytes     int64 // of them
	Last      time.Time
}

// Channels lists the channels in memory whose names begin with a prefix, sorted,
// behind a name, and tells whether there are more.
func (h *Hub) Channels(prefix, after string, limit int) (views []ChannelView, more bool) {
	var names []string
	h.mu.Lock()
	for name := range h.channels {
		if name > after && strings.HasPrefix(name, prefix) {
			names = append(names, name)
		}
	}
	h.mu.Unlock()
	slices.Sort(names)
	if more = len(names) > limit; more {
		names = names[:limit]
	}
	for _, name := range names {
		h.mu.Lock()
		ch := h.channels[name]
		listeners := 0
		if ch != nil {
			listeners = ch.listeners
		}
		h.mu.Unlock()
		if ch == nil {
			continue // it was forgotten meanwhile
		}
		views = append(views, ch.view(listeners))
	}
	return views, more
}

func (c *channel) view(listeners int) ChannelView {
	w := c.recent()
	v := ChannelView{Name: strings.Clone(c.name), Listeners: listeners, Events: len(w.items)}
	for i := range w.items {
		v.Bytes += int64(w.items[i].size)
	}
	if n := len(w.items); n > 0 {
		v.Last = time.UnixMilli(w.items[n-1].At)
	}
	return v
}
