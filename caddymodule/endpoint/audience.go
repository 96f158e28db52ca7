package endpoint

import (
	"sync"
	"time"

	"github.com/seed-078801ba/sidestream/stream"
	"github.com/seed-078801ba/sidestream/stream/format"
	"github.com/seed-078801ba/sidestream/stream/presence"
)

// activityEvery is how often Flowdock's clients are told that users are there still.
const activityEvery = time.Minute

// Audience is the streams of a hub whose clients want to know who is there. It
// outlives configurations, and is safe for concurrent use.
type Audience struct {
	roster *presence.Roster

	mu     sync.Mutex
	groups map[string]*group // by channel
}

// NewAudience makes the audience of a roster.
func NewAudience(r *presence.Roster) *Audience {
	return &Audience{roster: r, groups: map[string]*group{}}
}

// group is the audience of one channel. What it is told is encoded once for all
// streams of a format.
type group struct {
	watch *presence.Watch

	mu        sync.Mutex
	activity  *time.Timer // nil when the group has ended
	listeners map[format.PresenceTeller]map[*stream.Stream]struct{}
	count     int // of streams, those that were not told yet included
	waiting   map[*stream.Stream]struct{}
}

// join has a stream told who is in a channel, now and whenever that changes.
func (a *Audience) join(channel string, s *stream.Stream, f format.PresenceTeller) {
	a.mu.Lock()
	defer a.mu.Unlock()
	g := a.groups[channel]
	if g == nil {
		g = &group{listeners: map[format.PresenceTeller]map[*stream.Stream]struct{}{}, waiting: map[*stream.Stream]struct{}{}}
		g.watch = a.roster.Watch(channel, g.tell)
		a.groups[channel] = g
	}
	g.mu.Lock()
	if g.activity == nil {
		g.activity = time.AfterFunc(activityEvery, g.recur)
	}
	g.count++
	g.waiting[s] = struct{}{}
	g.mu.Unlock()
	g.watch.List(func(c presence.Change) { g.begin(s, f, c) })
}

// leave undoes join.
func (a *Audience) leave(channel string, s *stream.Stream) {
	a.mu.Lock()
	defer a.mu.Unlock()
	g := a.groups[channel]
	if g == nil || !g.remove(s) {
		return
	}
	g.watch.Stop()
	delete(a.groups, channel)
}

// remove takes a stream out, and tells whether it was the last one.
func (g *group) remove(s *stream.Stream) (last bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	before := g.count
	if _, ok := g.waiting[s]; ok {
		delete(g.waiting, s)
		g.count--
	}
	for f, streams := range g.listeners {
		if _, ok := streams[s]; ok {
			delete(streams, s)
			g.count--
		}
		if len(streams) == 0 {
			delete(g.listeners, f)
		}
	}
	if g.count > 0 || before == 0 {
		return false
	}
	g.activity.Stop()
	g.activity = nil
	return true
}

// begin tells a stream who is there. From then on it is told what changes.
func (g *group) begin(s *stream.Stream, f format.PresenceTeller, c presence.Change) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if _, ok := g.waiting[s]; !ok {
		return // it has left
	}
	delete(g.waiting, s)
	streams := g.listeners[f]
	if streams == nil {
		streams = map[*stream.Stream]struct{}{}
		g.listeners[f] = streams
	}
	streams[s] = struct{}{}
	p := PresenceOf(&c)
	stream.SendAll([]*stream.Stream{s}, f.Presence(&p))
}

// tell tells the streams what has changed. It is called by the roster.
func (g *group) tell(changes []presence.Change) {
	g.each(func(f format.PresenceTeller) (messages [][]byte) {
		for i := range changes {
			p := PresenceOf(&changes[i])
			messages = append(messages, f.Presence(&p)...)
		}
		return messages
	})
}

// recur tells the streams that those who are there are there still.
func (g *group) recur() {
	g.watch.List(func(c presence.Change) {
		now := time.Now()
		g.each(func(f format.PresenceTeller) (messages [][]byte) {
			p := PresenceOf(&c)
			for i := range p.Users {
				u := &p.Users[i]
				u.Channel = p.Channel
				messages = append(messages, f.Activity(u, now))
			}
			return messages
		})
	})
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.activity != nil {
		g.activity.Reset(activityEvery)
	}
}

// each sends the messages that a format makes to the streams that have it.
func (g *group) each(messages func(format.PresenceTeller) [][]byte) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for f, listeners := range g.listeners {
		streams := make([]*stream.Stream, 0, len(listeners))
		for s := range listeners {
			streams = append(streams, s)
		}
		stream.SendAll(streams, messages(f))
	}
}

// PresenceOf is a change as formats write it.
func PresenceOf(c *presence.Change) format.Presence {
	p := format.Presence{Kind: c.Kind.String(), Channel: c.Channel, Count: c.Count}
	if c.User != "" {
		p.User, p.State, p.Since, p.Changed = c.User, c.State.String(), c.Since, c.Changed
		p.Streams = c.Streams
	}
	for _, u := range c.Users {
		p.Users = append(p.Users, format.Presence{User: u.User, State: u.State.String(), Streams: u.Streams, Since: u.Since, Changed: u.Changed})
	}
	return p
}
