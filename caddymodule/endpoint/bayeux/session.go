package bayeux

import (
	"bytes"
	"context"
	"errors"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/seed-078801ba/sidestream/caddymodule/endpoint"
	"github.com/seed-078801ba/sidestream/caddymodule/forwardauth"
	"github.com/seed-078801ba/sidestream/stream"
	"github.com/seed-078801ba/sidestream/stream/access"
	"github.com/seed-078801ba/sidestream/stream/event"
	"github.com/seed-078801ba/sidestream/stream/format"
)

// takeEntries bounds the events of one reply. There is more at once if the client
// asks again.
const takeEntries = 128

// Session is one client: whose it is, what it has subscribed to, and how far it has
// got. All methods are safe for concurrent use.
type Session struct {
	id       string
	registry *registry
	page     string // the origin of the page that it belongs to, if it is another site's
	anyPage  bool   // nobody has said yet which page that is
	address  netip.Addr
	memory   endpoint.Hub // remembers when a right ended; nil where nobody needs that

	pushing atomic.Bool // what has come is being looked for
	again   atomic.Bool // and has to be once more

	saved   atomic.Int64 // when its record was written, in nanoseconds since 1970; 0 if never
	unsaved atomic.Bool  // something has changed since

	// restored is closed when a session that is taken up has all that it had; nil if it
	// began here.
	restored chan struct{}

	mu        sync.Mutex
	client    *forwardauth.Client
	user      string // as the backend calls it, once it has
	reader    *stream.Reader
	past      *past // is given first
	replays   bool  // messages have a replay id
	ticket    *stream.Ticket
	door      *stream.Door
	subs      []subscription
	ended     []string // names of subscriptions that the backend has ended, to be told
	acks      bool     // the client acknowledges, see ack.go
	batch     uint64   // of the last reply with events
	steps     uint64   // how often the session has moved: what was taken before is stale
	given     *given   // what the last connect was answered with; nil if that was nothing
	confirmed uint64   // the batch that the client has acknowledged
	earlier   []*given // that were not acknowledged before it
	lastID    []byte   // of the last connect
	otherID   []byte   // of the last message that was none
	held      *poll
	push      *push       // the connection that is written to, if there is one
	source    *push       // an EventSource that is open, also while a poll is held instead
	expiry    *time.Timer // while no connect is held
	expire    time.Duration
	closed    bool
}

// subscription is what a client has subscribed to, by the name that it knows.
type subscription struct {
	name string
	Target
	// upto is up to where a subscription to the past has events; where the channel
	// itself begins.
	upto event.Cursor
	// met: the channel itself was joined since.
	met bool
	// from is where the channel itself began.
	from uint64
}

// given is what a client was sent and has not acknowledged: by ext.ack, or because it
// asked for what comes next.
type given struct {
	taken stream.Taken
	past  *past // that it is of; nil if it is of now
	batch uint64
	ended int // of the names in Session.ended
	// pushed: it was written to a connection that has not taken it all.
	pushed bool
}

// poll is a connect that is held.
type poll struct {
	cancel context.CancelCauseFunc
	id     []byte
}

// What ends a poll before its time.
var (
	errReplaced = errors.New("another connect has taken its place")
	errTold     = errors.New("there is something to be told")
	errLeft     = errors.New("the client has left")
	errTime     = errors.New("it was held for long enough")
	errMoved    = errors.New("another node has the session now")
	errEnding   = errors.New("the server ends")
)

// ID is the client's id: a secret, which nobody but the client may learn.
func (s *Session) ID() string { return s.id }

// belongsTo tells whether a message is of the client that the session is of, and of
// the same page. A client that could not say who it is in its handshake, because a
// script element sends no headers, may do so before it has subscribed to anything.
// What proves nothing is let in by the id: a browser's WebSocket sends no headers.
func (s *Session) belongsTo(c *forwardauth.Client, page string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if page != "" && s.anyPage {
		s.page, s.anyPage = page, false
	}
	switch {
	case page != "" && s.page != page:
		return false
	case c.Credential.IsZero():
		return true
	case s.client.Credential.IsZero() && len(s.subs) == 0:
		s.client = c
		return true
	}
	return s.client.Digest(s.id) == c.Digest(s.id)
}

// who is the client as it has shown itself with the most that it can.
func (s *Session) who() *forwardauth.Client {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.client
}

// whose is the client's user; empty while the backend has not said.
func (s *Session) whose() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.user
}

// identify notes the client's user.
func (s *Session) identify(user string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.user == "" {
		s.user = user
	}
}

// note remembers the id of a message that is no connect: where a connect has the same
// one, the client's ids tell nothing.
func (s *Session) note(id []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.otherID = id
}

// count is how many subscriptions there are.
func (s *Session) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.subs)
}

// begin makes a connect the one that is held; the one before it is answered. What was
// given is behind the client if it asks for what comes next: not with the id of the
// connect before, which it then sends again because it got no answer.
func (s *Session) begin(ctx context.Context, id []byte, acked func(*given) bool) (context.Context, *poll, bool) {
	ctx, cancel := context.WithCancelCause(ctx)
	p := &poll{cancel: cancel, id: id}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		cancel(errLeft)
		return ctx, nil, false
	}
	if s.held != nil {
		s.held.cancel(errReplaced)
	}
	s.unbind()
	s.hear(id, acked)
	s.held, s.lastID = p, id
	if s.expiry != nil {
		s.expiry.Stop()
		s.expiry = nil
	}
	return ctx, p, true
}

// repeats tells whether a connect is the one before, sent again. Ids tell nothing where
// a message that is none has the same. Called with mu held.
func (s *Session) repeats(id []byte) bool {
	return id != nil && bytes.Equal(id, s.lastID) && !bytes.Equal(id, s.otherID)
}

// hear takes from a connect what the client has got. Without acknowledgements, that is
// what the last connect was answered with, unless this one is the last one again; what
// was pushed to a connection that did not take it, the client has not. Called with mu
// held.
func (s *Session) hear(id []byte, acked func(*given) bool) {
	switch g := s.given; {
	case g == nil:
	case s.acks && acked != nil:
		if g = s.acknowledged(acked); g != nil {
			s.confirm(g)
		}
	case !g.pushed && !s.repeats(id):
		s.confirm(g)
	}
}

// give notes what a connect is answered with. Called with mu held.
func (s *Session) give(g *given) {
	if s.given != nil && s.acks {
		if len(s.earlier) == maxEarlier {
			s.earlier = s.earlier[1:]
		}
		s.earlier = append(s.earlier, s.given)
	}
	s.given = g
}

// maxEarlier is how many answers are remembered that were not acknowledged: one that
// is late may have taken the place of the one that the client has got.
const maxEarlier = 8

// acknowledged is the latest of what was given that the client says it has; nil if it
// has none of it. Called with mu held.
func (s *Session) acknowledged(acked func(*given) bool) *given {
	if acked(s.given) {
		return s.given
	}
	for _, g := range slices.Backward(s.earlier) {
		if acked(g) {
			return g
		}
	}
	return nil
}

// confirm moves the session behind what its client has got. Called with mu held.
func (s *Session) confirm(g *given) {
	s.steps++
	if g.past == nil {
		s.reader.Done(g.taken)
	} else if s.past == g.past {
		g.past.reader.Done(g.taken)
		if g.past.ends(g.taken.At.Seq) {
			s.endPast()
		}
	}
	s.ended = slices.Delete(s.ended, 0, min(g.ended, len(s.ended)))
	s.given, s.earlier, s.confirmed = nil, nil, g.batch
}

// takenFor is what a connect is answered with.
type takenFor struct {
	stream.Taken
	past  *past
	ended []string
	batch uint64
}

// any tells whether there is anything.
func (t *takenFor) any() bool {
	return len(t.Entries) > 0 || len(t.Missing) > 0 || len(t.ended) > 0
}

// take waits until there is something for the client, or ctx ends.
func (s *Session) take(ctx context.Context, p *poll) (t takenFor, err error) {
	told := false
	for {
		s.mu.Lock()
		ended, current, moved := slices.Clone(s.ended), s.held == p, s.steps
		s.mu.Unlock()
		if !current {
			return t, nil
		}
		wait := ctx
		if len(ended) > 0 {
			done, cancel := context.WithCancel(ctx)
			cancel()
			wait = done
		}
		t.Taken, t.past, err = s.next(wait)
		t.ended = ended
		if err == nil && s.hasMoved(moved) {
			continue
		}
		if err != nil || len(ended) > 0 || len(t.Entries) > 0 || len(t.Missing) > 0 || context.Cause(ctx) != errTold || told {
			break
		}
		told = true // what it is was not seen yet
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.held != p || s.closed {
		return takenFor{}, nil
	}
	if len(t.Entries) > 0 || len(t.Missing) > 0 || len(t.ended) > 0 {
		s.batch++
		s.give(&given{taken: t.Taken, past: t.past, batch: s.batch, ended: len(t.ended)})
	}
	t.batch = s.batch
	return t, err
}

// hasMoved tells whether the session has moved since.
func (s *Session) hasMoved(since uint64) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.steps != since
}

// finish ends a poll. From now on the client has so long to send the next one.
func (s *Session) finish(p *poll) {
	s.mu.Lock()
	defer s.mu.Unlock()
	p.cancel(nil)
	if s.held == p {
		s.held = nil
		s.await(s.expire)
	}
}

// await has the session end if nothing is heard of its client for so long. Called
// with mu held.
func (s *Session) await(long time.Duration) {
	if s.closed {
		return
	}
	if s.expiry != nil {
		s.expiry.Stop()
	}
	s.expiry = time.AfterFunc(long, func() {
		s.mu.Lock()
		idle := s.held == nil && (s.push == nil || s.push.connect == nil)
		s.mu.Unlock()
		if idle {
			s.Close()
		}
	})
}

// Close ends the session, and what is kept of it: a connect that is held is answered,
// and its channels are left. Idempotent.
func (s *Session) Close() {
	if hub := s.registry.keeper(); hub != nil && s.isHere() {
		hub.KeepRecord(recordID(s.id), nil, time.Time{})
	}
	s.close()
}

// close ends the session on this node.
func (s *Session) close() {
	s.registry.remove(s)
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return
	}
	s.closed = true
	if s.expiry != nil {
		s.expiry.Stop()
	}
	if s.held != nil {
		s.held.cancel(errLeft)
	}
	if s.push != nil {
		s.endPush()
	}
	if s.source != nil {
		if open := s.source.stream.Load(); open != nil {
			open.End(stream.ClientLeft)
		}
	}
	s.subs = nil
	s.endPast()
	s.mu.Unlock()
	s.door.Close()
	s.reader.Close()
	s.ticket.Release()
}

// rightEnded is told by the gate that the backend no longer lets the client listen.
func (s *Session) rightEnded(channel string, cause access.Cause, _ int) {
	s.endChannels(func(sub *subscription) bool { return sub.Right == channel })
	s.ticket.Return(channel)
	if s.memory != nil && (cause == access.Forbidden || cause == access.NotFound) {
		s.memory.RightEnded(s.whose(), channel)
	}
}

// endChannels ends subscriptions that the client may not have any more. It is told
// which, and the session goes on.
func (s *Session) endChannels(which func(*subscription) bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	told := false
	s.subs = slices.DeleteFunc(s.subs, func(sub subscription) bool {
		if !which(&sub) {
			return false
		}
		if sub.Past > 0 {
			s.leavePast(sub.Channel)
		} else {
			s.reader.Leave(sub.Channel)
		}
		s.ended, told = append(s.ended, sub.name), true
		return true
	})
	if s.held != nil && told {
		s.held.cancel(errTold)
	}
	s.ready()
}

// join adds subscriptions that the client may have, each of which begins where its
// start says.
func (s *Session) join(hub readers, subs []subscription, starts []stream.Start) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return false
	}
	for i, sub := range subs {
		switch {
		case s.sub(sub.name) >= 0:
		case sub.Past > 0:
			sub.met = s.base(sub.Channel) != nil
			s.subs = append(s.subs, sub)
			s.joinPast(hub, &sub, starts[i])
		case sub.Pattern:
			s.subs = append(s.subs, sub)
			if p, err := stream.ParsePattern(sub.Channel); err == nil { // whoever resolved it has seen to that
				s.reader.JoinPattern(p)
			}
		default:
			sub.from = starts[i].At(sub.Channel)
			s.subs = append(s.subs, sub)
			s.reader.Join(sub.Channel, starts[i])
			for j := range s.subs {
				if of := &s.subs[j]; of.Past > 0 && of.Channel == sub.Channel {
					of.met = true
				}
			}
		}
	}
	s.ready()
	return true
}

// base is the subscription to a channel itself; nil if there is none. Called with mu
// held.
func (s *Session) base(channel string) *subscription {
	for i := range s.subs {
		if sub := &s.subs[i]; sub.Channel == channel && sub.Past == 0 && !sub.Pattern {
			return sub
		}
	}
	return nil
}

func (s *Session) sub(name string) int {
	return slices.IndexFunc(s.subs, func(sub subscription) bool { return sub.name == name })
}

// leave ends subscriptions. A channel is left when no other one needs it.
func (s *Session) leave(names []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, name := range names {
		i := s.sub(name)
		if i < 0 {
			continue
		}
		gone := s.subs[i]
		s.subs = slices.Delete(s.subs, i, i+1)
		same := func(o subscription) bool {
			return o.Channel == gone.Channel && o.Pattern == gone.Pattern && (o.Past > 0) == (gone.Past > 0)
		}
		switch {
		case slices.ContainsFunc(s.subs, same):
		case gone.Past > 0:
			s.leavePast(gone.Channel)
		default:
			s.reader.Leave(gone.Channel)
		}
		if gone.Right != "" && !slices.ContainsFunc(s.subs, func(o subscription) bool { return o.Right == gone.Right }) {
			s.door.Leave(gone.Right)
			s.ticket.Return(gone.Right)
		}
	}
}

// rights are the channels among those of subs that the backend has not been asked
// about yet.
func (s *Session) rights(subs []subscription) []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var missing []string
	for _, sub := range subs {
		if sub.Right != "" && !slices.Contains(missing, sub.Right) &&
			!slices.ContainsFunc(s.subs, func(o subscription) bool { return o.Right == sub.Right }) {
			missing = append(missing, sub.Right)
		}
	}
	return missing
}

// append writes what was taken as messages.
func (s *Session) append(r *replies, t *takenFor) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.appendTaken(r, t)
}

// appendTaken is append with mu held: each event by the name that the client knows its
// channel by.
func (s *Session) appendTaken(r *replies, t *takenFor) {
	for _, name := range t.ended {
		r.add(reply{channel: "/meta/subscribe", err: errForbidden(name), more: appendSubscription(nil, name)})
	}
	for _, m := range t.Missing {
		for _, name := range s.names(m.Channel, t.past) {
			r.next()
			r.json = format.AppendBayeuxGap(r.json, name, m)
		}
	}
	for i := range t.Entries {
		e := &t.Entries[i]
		cursor := event.Cursor{Epoch: t.At.Epoch, Seq: e.Seq, Tag: e.Tag}
		name := s.nameOf(e.Channel.Text)
		if t.past != nil {
			name = t.past.nameOf(e)
		}
		if name == "" {
			continue // left meanwhile
		}
		length := len(r.json)
		r.next()
		separated := len(r.json)
		if s.replays {
			r.json = appendReplay(r.json, name, e, cursor)
		} else {
			r.json = format.AppendBayeux(r.json, name, e, cursor)
		}
		if len(r.json) == separated {
			r.json = r.json[:length]
		}
	}
}

// names are the client's names for a channel in which something is missing; all that
// it has if it is every channel.
func (s *Session) names(channel string, of *past) (names []string) {
	for _, sub := range s.subs {
		if (channel == "" || sub.Channel == channel) && (sub.Past > 0) == (of != nil) {
			names = append(names, sub.name)
		}
	}
	return names
}

// nameOf is the client's name for a channel of the hub: that of its subscription, or
// made of the pattern that matches.
func (s *Session) nameOf(channel string) string {
	for _, sub := range s.subs {
		if !sub.Pattern && sub.Channel == channel && sub.Past == 0 {
			return sub.name
		}
	}
	for _, sub := range s.subs {
		if !sub.Pattern {
			continue
		}
		if p, err := stream.ParsePattern(sub.Channel); err == nil && p.Matches(channel) {
			stem, _ := patternStem(sub.name)
			hub, _ := patternStem(sub.Channel)
			return stem + strings.TrimPrefix(channel, hub)
		}
	}
	return ""
}
