package caddymodule

import (
	"context"
	"hash/maphash"
	"sync"
	"time"

	"github.com/seed-078801ba/sidestream/stream/event"
)

// wayIn publishes for one way in, and tells when a message of it contradicts one
// that another way in brought: whoever may post to one can take ids in the
// channels of the other, unless each is bound to channels of its own.
type wayIn struct {
	event.Publisher
	name    string // as an operator knows it
	origins *origins
	// unrepeated: what the sender got no answer to, it does not send again.
	unrepeated bool
}

// wayIn gives a way in its place in the hub.
func (p *pooledHub) wayIn(name string) *wayIn {
	return &wayIn{Publisher: p, name: name, origins: &p.origins}
}

// Publish implements event.Publisher.
func (w *wayIn) Publish(ctx context.Context, b event.Batch) ([]event.Receipt, error) {
	if w.unrepeated {
		b.Unrepeated = w.name
	}
	receipts, err := w.Publisher.Publish(ctx, b)
	if err != nil || !w.origins.several(w.name) {
		return receipts, err
	}
	for i := range receipts {
		if i < len(b.Events) {
			w.origins.note(w.name, &b.Events[i], &receipts[i])
		}
	}
	return receipts, nil
}

// maxOrigins bounds how many messages are remembered twice over: the newest ones,
// and those before them.
const maxOrigins = 1 << 15

// origins remember which way in brought the latest messages of a hub, as soon as it
// has several ways in. The zero value is ready. Safe for concurrent use.
type origins struct {
	mu            sync.Mutex
	first         string // the only way in so far
	more          bool   // there are others
	newest, older map[uint64]string
	told          occasional
}

var originSeed = maphash.MakeSeed()

// several tells whether more than one way in has published.
func (o *origins) several(name string) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.first == "" {
		o.first = name
	}
	o.more = o.more || name != o.first
	return o.more
}

// note remembers who brought an event, or tells that it contradicts an earlier one
// of another way in.
func (o *origins) note(name string, e *event.Event, r *event.Receipt) {
	key := event.Names{Flows: true}.Canonical(e.Channel.Text) + "\x00" + e.Key()
	if e.Key() == "" || r.Duplicate && !r.Conflict {
		return
	}
	hash := maphash.String(originSeed, key)
	o.mu.Lock()
	other, known := o.newest[hash]
	if !known {
		other, known = o.older[hash]
	}
	switch {
	case r.Conflict:
	case len(o.newest) < maxOrigins && o.newest != nil:
		o.newest[hash] = name
	default:
		o.older, o.newest = o.newest, map[uint64]string{hash: name}
	}
	o.mu.Unlock()
	if !r.Conflict || other == name {
		return
	}
	if !known {
		other = "(not known any more)"
	}
	if times, ok := o.told.turn(time.Second); ok {
		hubLogger().Warn("a message has the id of an earlier one that another way in brought, and other content; the earlier one stands: bind each way in to its channels with `channels`",
			"from", name, "earlier_from", other, "channel", e.Channel.Text, "id", e.ID.Text, "times", times)
	}
}
