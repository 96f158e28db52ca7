package tap

import (
	"context"
	"crypto/rand"
	"sync"
	"time"

	"github.com/seed-078801ba/sidestream/stream/event"
)

// doubtEvery is how often the listeners of a channel are told, at most, that
// something may be missing: strangers can make an answer break off.
const doubtEvery = 5 * time.Second

// maxDoubts bounds the channels that wait to be told. Beyond it, all are.
const maxDoubts = 10_000

// doubts are the channels in which a message may be missing that the app has taken.
type doubts struct {
	tap *Tap

	mu      sync.Mutex
	waiting map[string]doubt     // by channel
	told    map[string]time.Time // lately
	all     bool                 // every channel that taps feed
	allTold time.Time
	why     string
}

type doubt struct {
	channel event.Scalar
	why     string
}

func (d *doubts) init(t *Tap) {
	d.tap, d.waiting, d.told = t, map[string]doubt{}, map[string]time.Time{}
}

// in says that something may be missing in a channel; without one, in any.
func (d *doubts) in(channel event.Scalar, why string) {
	if channel.IsZero() {
		d.everywhere(why)
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.waiting) >= maxDoubts {
		d.all, d.why = true, why
		return
	}
	d.waiting[channel.Text] = doubt{channel, why}
}

// everywhere says that something may be missing in any channel.
func (d *doubts) everywhere(why string) {
	d.mu.Lock()
	d.all, d.why = true, why
	d.mu.Unlock()
	d.tap.nudge()
}

// tell pokes, or tells the listeners, where that is due. It returns in how long more
// of it is. At the end everything is due.
func (d *doubts) tell(now time.Time, end bool) (again time.Duration) {
	again = time.Hour
	d.mu.Lock()
	var due []doubt
	for name, doubt := range d.waiting {
		if wait := doubtEvery - now.Sub(d.told[name]); wait > 0 && !end {
			again = min(again, wait)
			continue
		}
		due = append(due, doubt)
		delete(d.waiting, name)
		if len(d.told) >= maxDoubts {
			clear(d.told)
		}
		d.told[name] = now
	}
	all, why := d.all, d.why
	if all {
		if wait := doubtEvery - now.Sub(d.allTold); wait > 0 && !end {
			again, all = min(again, wait), false
		} else {
			d.all, d.allTold = false, now
		}
	}
	d.mu.Unlock()
	if all && !d.tap.o.Poke(event.Poke{Why: why}) {
		d.tap.counts.gap()
		d.tap.o.Interrupted()
	}
	for _, one := range due {
		if !d.tap.o.Poke(event.Poke{Channel: one.channel.Text, Why: one.why}) {
			d.gap(one)
		}
	}
	return again
}

// gap tells the listeners of a channel. Where the log does not take it, it is tried
// again.
func (d *doubts) gap(one doubt) {
	ctx, cancel := context.WithTimeout(d.tap.ctx, askTime)
	defer cancel()
	_, err := d.tap.o.Publisher.Publish(ctx, event.Batch{Events: []event.Event{{
		Channel: one.channel, Op: event.Gap, Type: string(event.IngestUncertain), Delivery: "gap:" + rand.Text(),
	}}})
	if err != nil {
		d.in(one.channel, one.why)
		return
	}
	d.tap.counts.gap()
}
