package caddymodule

import (
	"context"
	"hash/maphash"
	"slices"
	"sync"
	"time"

	"github.com/seed-078801ba/sidestream/stream/event"
)

// wayIn publishes for one way in. It counts what each of them has brought, and tells
// when a message of it contradicts one that another way in brought: whoever may post
// to one can take ids in the channels of the other, unless each is bound to channels
// of its own.
type wayIn struct {
	event.Publisher
	name    string // as an operator knows it
	index   int    // in origins.ways
	hub     *pooledHub
	origins *origins
	// poker looks into the app where this way has missed something; nil for one
	// that does that itself.
	poker event.Poker
	// unrepeated: what the sender got no answer to, it does not send again.
	unrepeated bool
	// repeated: it sends that again until it is stored, which makes good what taps miss.
	repeated bool
}

// wayIn gives a way in its place in the hub.
func (p *pooledHub) wayIn(name string) *wayIn {
	return &wayIn{Publisher: p, name: name, index: p.origins.way(name), hub: p, origins: &p.origins, poker: p}
}

// Publish implements event.Publisher.
func (w *wayIn) Publish(ctx context.Context, b event.Batch) ([]event.Receipt, error) {
	if w.unrepeated {
		b.Unrepeated = w.name
	}
	b.Repeated = w.repeated
	receipts, err := w.Publisher.Publish(ctx, b)
	if w.hub != nil {
		w.hub.tellArrival(w.name, b.Events, receipts, err)
	}
	for i := range b.Events {
		if b.Events[i].Op == event.Gap && err == nil && w.poker != nil {
			w.poker.Poke(event.Poke{Channel: b.Events[i].Channel.Text, Why: "another way in may have missed something"})
		}
	}
	if err != nil {
		return receipts, err
	}
	for i := range receipts {
		if i < len(b.Events) && b.Events[i].Op != event.Gap {
			w.origins.note(w.index, &b.Events[i], &receipts[i])
		}
	}
	return receipts, nil
}

// maxOrigins bounds how many messages are remembered twice over: the newest ones,
// and those before them.
const maxOrigins = 1 << 15

// maxWays bounds the ways in that are told apart.
const maxWays = 64

// origins remember which ways in brought the latest messages of a hub, as soon as it
// has several ways in. The zero value is ready. Safe for concurrent use.
type origins struct {
	mu            sync.Mutex
	ways          []WayCoverage
	newest, older map[uint64]origin
	told          occasional
}

// nobody stands for a first way that is not known.
const nobody = -1

// origin is which ways in brought a message.
type origin struct {
	first int
	all   uint64 // a bit for each way
}

// WayCoverage is what one way in has brought since the hub was opened. Messages without
// an id of their own are new whoever brings them.
type WayCoverage struct {
	// Way is the way in, as an operator knows it.
	Way string `json:"way"`
	// First is how many messages it was the first to bring.
	First uint64 `json:"first"`
	// Seen is how many messages it has brought at all, each counted once.
	Seen uint64 `json:"seen"`
	// Alone is how many messages no other way has brought so far.
	Alone uint64 `json:"alone"`
}

var originSeed = maphash.MakeSeed()

// way is the number of a way in.
func (o *origins) way(name string) int {
	o.mu.Lock()
	defer o.mu.Unlock()
	i := slices.IndexFunc(o.ways, func(w WayCoverage) bool { return w.Way == name })
	if i < 0 {
		i = len(o.ways)
		o.ways = append(o.ways, WayCoverage{Way: name})
	}
	return i
}

// coverage is a copy of what is counted.
func (o *origins) coverage() []WayCoverage {
	o.mu.Lock()
	defer o.mu.Unlock()
	return slices.Clone(o.ways)
}

// note counts an event for the way that brought it, or tells that it contradicts an
// earlier one of another way in.
func (o *origins) note(way int, e *event.Event, r *event.Receipt) {
	key, alone := "", o.countAlone(way, r)
	if !alone {
		key = e.Key()
	}
	if key == "" {
		if !alone && !r.Duplicate {
			o.countNew(way)
		}
		return
	}
	o.mu.Lock()
	hash := maphash.String(originSeed, event.Names{Flows: true}.Canonical(e.Channel.Text)+"\x00"+key)
	known, ok := o.known(hash)
	bit := uint64(1) << way
	switch {
	case !r.Duplicate:
		o.countFirst(way, known.all&^bit)
		o.remember(hash, origin{way, known.all | bit})
		known.first, ok = way, true
	case !ok:
		// It is older than what is remembered, or whoever was first has yet to say so.
		o.remember(hash, origin{nobody, bit})
	case known.first == nobody:
		o.remember(hash, origin{nobody, known.all | bit})
	case known.all&bit == 0:
		o.ways[way].Seen++
		if known.all&(known.all-1) == 0 {
			o.ways[known.first].Alone--
		}
		o.remember(hash, origin{known.first, known.all | bit})
	}
	name, other := o.ways[way].Way, "(not known any more)"
	if ok = ok && known.first != nobody; ok {
		other = o.ways[known.first].Way
	}
	o.mu.Unlock()
	if !r.Conflict || ok && known.first == way {
		return
	}
	if times, ok := o.told.turn(time.Second); ok {
		hubLogger().Warn("a message has the id of an earlier one that another way in brought, and other content; the earlier one stands: bind each way in to its channels with `channels`",
			"from", name, "earlier_from", other, "channel", e.Channel.Text, "id", e.ID.Text, "times", times)
	}
}

// countFirst counts a message for the way that was first, and for others that have
// brought it since. Called with o.mu held.
func (o *origins) countFirst(way int, others uint64) {
	o.ways[way].countNew()
	if others != 0 {
		o.ways[way].Alone--
	}
	for i := range o.ways {
		if others&(uint64(1)<<i) != 0 {
			o.ways[i].Seen++
		}
	}
}

// countAlone counts an event where there is no other way in to compare with.
func (o *origins) countAlone(way int, r *event.Receipt) (alone bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	alone = len(o.ways) == 1 || way >= maxWays
	if alone && !r.Duplicate {
		o.ways[way].countNew()
	}
	return alone
}

func (o *origins) countNew(way int) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.ways[way].countNew()
}

func (c *WayCoverage) countNew() {
	c.First++
	c.Seen++
	c.Alone++
}

// known is which ways brought a message. Called with o.mu held.
func (o *origins) known(hash uint64) (origin, bool) {
	if known, ok := o.newest[hash]; ok {
		return known, true
	}
	known, ok := o.older[hash]
	return known, ok
}

// remember notes which ways brought a message. Called with o.mu held.
func (o *origins) remember(hash uint64, by origin) {
	if _, known := o.newest[hash]; !known && len(o.newest) >= maxOrigins || o.newest == nil {
		o.older, o.newest = o.newest, map[uint64]origin{}
	}
	o.newest[hash] = by
}
