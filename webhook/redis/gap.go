package redis

import (
	"time"

	"github.com/seed-078801ba/sidestream/stream/event"
)

const (
	// maxKnown bounds the channels that a source remembers having heard of:
	// up to so many stay, and never more than twice as many.
	maxKnown = 1 << 16
	// gapMemory is how long another node is told of a loss. It must be well
	// below the time for which logs remember keys, or it would be stored again.
	gapMemory = 12 * time.Hour
)

// The memory of channels is two maps that take turns: cheaper than a cache that knows
// what was used last, and one that fell out costs no more than a second gap signal.

// gaps knows which channels must still be told that something is missing. A
// loss concerns all channels, since nobody knows what was lost: those that are
// known or listened to are told soon, all others before their next event.
//
// It belongs to the goroutine that publishes.
type gaps struct {
	losses uint64 // how many there were
	id     string // of the last loss
	at     time.Time

	recent, older map[string]knownChannel
	pending       []event.Scalar // still to be told
	stale         bool           // pending is of an earlier loss
}

// knownChannel is what is known of a channel.
type knownChannel struct {
	channel event.Scalar // as its events write it
	told    uint64       // the number of the last loss that it was told of
}

func newGaps() *gaps {
	return &gaps{recent: map[string]knownChannel{}, older: map[string]knownChannel{}}
}

// lost records that messages may be missing from here on. The id names the loss
// for all nodes.
func (g *gaps) lost(id string, now time.Time) {
	g.losses++
	g.id, g.at, g.stale = id, now, true
}

// current is the id of the last loss, if another node must hear of it.
func (g *gaps) current(now time.Time) string {
	if g.losses == 0 || now.Sub(g.at) > gapMemory {
		return ""
	}
	return g.id
}

// before is the gap that must stand before the next event of a channel, if any.
func (g *gaps) before(channel event.Scalar) (event.Event, bool) {
	p, fresh := g.recent[channel.Text]
	if !fresh {
		p = g.older[channel.Text]
	}
	due := p.told < g.losses
	if due || !fresh || p.channel != channel {
		g.put(knownChannel{channel, g.losses})
	}
	if !due {
		return event.Event{}, false
	}
	return gapEvent(channel, g.id), true
}

// followed is the gap for a channel that a stream listens to from now on, if it
// must be told: the stream may go on where an earlier one stopped. With anew,
// nobody was listening to Redis on its behalf until now.
func (g *gaps) followed(name string, anew bool, now time.Time) (event.Event, bool) {
	channel := g.scalar(name)
	if anew {
		g.put(knownChannel{channel, g.losses})
		return gapEvent(channel, newToken()), true
	}
	if g.current(now) == "" {
		return event.Event{}, false
	}
	return g.before(channel)
}

// scalar is the channel as its events write it.
func (g *gaps) scalar(name string) event.Scalar {
	if p, ok := g.recent[name]; ok {
		return p.channel
	}
	if p, ok := g.older[name]; ok {
		return p.channel
	}
	return event.String(name)
}

func (g *gaps) put(p knownChannel) {
	if len(g.recent) >= maxKnown {
		g.older, g.recent = g.recent, make(map[string]knownChannel)
	}
	g.recent[p.channel.Text] = p
}

func gapEvent(channel event.Scalar, id string) event.Event {
	return event.Event{Channel: channel, Op: event.Gap, Type: string(event.IngestUncertain), Delivery: "gap:" + id}
}

// due tells whether channels wait to be told.
func (g *gaps) due() bool { return g.stale || len(g.pending) > 0 }

// next are up to max gaps for channels that have not been told yet.
func (g *gaps) next(max int) []event.Event {
	var out []event.Event
	for len(g.pending) > 0 && len(out) < max {
		channel := g.pending[len(g.pending)-1]
		g.pending = g.pending[:len(g.pending)-1]
		if e, ok := g.before(channel); ok {
			out = append(out, e)
		}
	}
	return out
}

// list finds all channels that have not been told of the last loss, those that
// streams listen to among them.
func (g *gaps) list(listening []string) {
	g.stale, g.pending = false, g.pending[:0]
	for _, known := range []map[string]knownChannel{g.recent, g.older} {
		for _, p := range known {
			if p.told < g.losses {
				g.pending = append(g.pending, p.channel)
			}
		}
	}
	for _, name := range listening {
		_, recent := g.recent[name]
		_, older := g.older[name]
		if !recent && !older {
			g.pending = append(g.pending, event.String(name))
		}
	}
}
