package stream

import (
	"slices"

	"github.com/seed-078801ba/sidestream/stream/conn"
	"github.com/seed-078801ba/sidestream/stream/event"
)

// act is something that a stream was asked for and that has its place in what the
// client gets: a word, or a channel that joins.
type act struct {
	after event.Cursor // its turn comes when everything up to here was given to the connection
	word  []byte       // in its frame
	gap   *event.Missing
	then  func()

	join  *channel
	start Start
}

// acts are those that wait, in order.
type acts struct {
	list   []act
	unsaid int // bytes of their words
}

// Send writes a message of the format to this client alone, in order: behind
// every event that streams could see before, and behind what the stream was
// asked for before. It does not wait; the message must not be changed any more.
//
// A client that is too slow is ended, as with events: when more than Lag.Bytes
// of words wait.
func (s *Stream) Send(message []byte) { s.SendRaw(s.encoding().frame(message)) }

// SendRaw is Send for bytes that have their frame already: a pong.
func (s *Stream) SendRaw(frame []byte) {
	if len(frame) > 0 {
		s.shard.post(func() { s.shard.act(s, act{word: frame}) })
	}
}

// Then has f called when the connection has taken everything that the stream was
// asked for before: never if the stream ends first. It is called by the shard, so it
// must not wait. It may call the stream's methods.
func (s *Stream) Then(f func()) {
	s.shard.post(func() { s.shard.act(s, act{then: f}) })
}

// SendAll is Send for several messages and several streams, all of one format: each
// message is framed once for all of them, and keeps a frame of its own.
func SendAll(streams []*Stream, messages [][]byte) {
	frames := map[conn.Framing][]byte{}
	shards := map[*shard][]*Stream{}
	for _, s := range streams {
		if _, ok := frames[s.framing]; !ok {
			var all []byte
			for _, message := range messages {
				all = append(all, s.encoding().frame(message)...)
			}
			frames[s.framing] = all
		}
		shards[s.shard] = append(shards[s.shard], s)
	}
	for sh, some := range shards {
		sh.post(func() {
			for _, s := range some {
				if word := frames[s.framing]; len(word) > 0 {
					sh.act(s, act{word: word})
				}
			}
		})
	}
}

// Join has the stream listen to one more channel, from where Resolve said for
// this channel alone. What lies before the stream's place is given to the client
// first; nothing is lost or told twice at the seam. Joining a channel twice
// changes nothing. It does not wait, and keeps the order of what the stream is
// asked for.
//
// The caller has seen to it that the client may listen, and has had the channel
// counted, see Ticket.Grant.
func (s *Stream) Join(channel string, start Start) {
	s.join(s.shard.hub.join(channel, s.shard.index), start)
}

// JoinPattern has the stream listen to all channels that a pattern matches, from
// now on: what was said before cannot be had by a pattern. An event reaches the
// client once, however many of its channels and patterns match. It is Left under
// the pattern's text.
func (s *Stream) JoinPattern(p Pattern) {
	h := s.shard.hub
	ch, at := h.joinPattern(p, s.shard.index)
	s.join(ch, Start{Seq: at.Seq, epoch: at.Epoch})
}

func (s *Stream) join(ch *channel, start Start) {
	if !s.shard.post(func() { s.shard.act(s, act{join: ch, start: start}) }) {
		s.shard.hub.leave(ch, s.shard.index)
	}
}

// Leave takes a channel out of the stream, at once: nothing of it follows that
// was not begun. Its count is given back. It does not wait.
func (s *Stream) Leave(channel string) {
	s.shard.post(func() { s.shard.leave(s, channel) })
}

// act takes up what a stream was asked for.
func (sh *shard) act(s *Stream, a act) {
	if !s.running() {
		if a.join != nil {
			sh.hub.leave(a.join, sh.index)
		}
		return
	}
	a.after = sh.hub.Head()
	if s.acts == nil {
		s.acts = new(acts)
	}
	s.acts.list = append(s.acts.list, a)
	s.acts.unsaid += len(a.word)
	if s.attentive() {
		sh.deliver(s)
	}
	if s.acts != nil && s.acts.unsaid > 0 && int64(s.acts.unsaid+len(s.rest)) > sh.hub.config().Lag.Bytes {
		sh.conclude(s, SlowClient)
	}
}

// nextAct does what has its turn now, and tells whether there was something.
func (sh *shard) nextAct(s *Stream) bool {
	if s.acts == nil || s.late > 0 || s.cursor < s.acts.list[0].after.Seq || s.within != sh.hub.Head().Epoch {
		return false
	}
	a := s.acts.list[0]
	s.acts.list[0] = act{}
	s.acts.unsaid -= len(a.word)
	if s.acts.list = s.acts.list[1:]; len(s.acts.list) == 0 {
		s.acts = nil
	}
	switch {
	case a.join != nil:
		sh.joined(s, a.join, a.start)
	case a.then != nil:
		a.then()
	case a.gap != nil:
		if a.gap.At = a.after; s.cursor != a.after.Seq { // a reset came in between, and was told
			return true
		}
		sh.write(s, sh.gap(s, *a.gap))
	default:
		sh.write(s, a.word)
	}
	return true
}

// actLimit is up to where events may be delivered before the next act.
func (s *Stream) actLimit(head uint64) uint64 {
	if s.acts != nil {
		return min(head, s.acts.list[0].after.Seq)
	}
	return head
}

// joined puts a stream into a channel.
func (sh *shard) joined(s *Stream, ch *channel, start Start) {
	if s.sub(ch) >= 0 {
		sh.hub.leave(ch, sh.index)
		return
	}
	// A page that was read without this channel must not lead over what it says.
	s.page, s.pageTo, s.pageOf = nil, 0, nil
	missing := start.Missing
	if start.epoch != s.within {
		start = Start{Seq: s.cursor}
		missing = []event.Missing{{To: sh.hub.Head(), Reason: event.EpochChanged}}
	}
	at := max(start.Seq, start.behind[ch.name])
	if ch.pattern {
		at = max(at, s.cursor) // it has no past
	}
	sub := subscription{ch: ch, behind: at, past: &past{told: start.told, since: at}}
	if had := s.coveredFrom(ch.name); at < had {
		sub.from, sub.upto = at, had
		s.late++
		s.live = false // it has time to take the past
	}
	s.subs = append(s.subs, sub)
	ch.rosters[sh.index].add(s, len(s.subs)-1)
	var gaps []byte
	for _, m := range missing {
		m.Channel = ch.name // of others, this says nothing
		gaps = append(gaps, sh.gap(s, m)...)
	}
	if len(gaps) > 0 {
		sh.write(s, gaps)
	}
}

// coveredFrom is from where on the stream has been given a channel's events,
// which it joins now: its cursor, or where a pattern joined that matches.
func (s *Stream) coveredFrom(channel string) uint64 {
	from := s.cursor
	for i := range s.subs {
		if sub := &s.subs[i]; sub.ch.pattern && (Pattern{sub.ch.name}).Matches(channel) {
			from = min(from, sub.since)
		}
	}
	return from
}

// sub is the place of a channel in the stream's subscriptions, -1 if it has none.
func (s *Stream) sub(ch *channel) int {
	return slices.IndexFunc(s.subs, func(sub subscription) bool { return sub.ch == ch })
}

// leave takes a channel out of a stream, and tells whether it was in it.
func (sh *shard) leave(s *Stream, name string) (left bool) {
	if !s.running() {
		return false
	}
	if s.acts != nil {
		s.acts.list = slices.DeleteFunc(s.acts.list, func(a act) bool {
			if a.join == nil || a.join.name != name {
				return false
			}
			left = true
			sh.hub.leave(a.join, sh.index)
			return true
		})
		if len(s.acts.list) == 0 {
			s.acts = nil
		}
	}
	k := slices.IndexFunc(s.subs, func(sub subscription) bool { return sub.ch.name == name })
	if k >= 0 {
		left = true
		sh.leaveSub(s, k)
	}
	if left {
		s.ticket.Return(name)
		if s.attentive() {
			sh.deliver(s) // an act may have waited for the channel
		}
	}
	return left
}

func (sh *shard) leaveSub(s *Stream, k int) {
	ch := s.subs[k].ch
	ch.rosters[sh.index].remove(s, k)
	sh.hub.leave(ch, sh.index)
	if s.subs[k].late() {
		s.late--
	}
	last := len(s.subs) - 1
	s.subs[k] = s.subs[last]
	s.subs[last] = subscription{}
	s.subs = s.subs[:last]
	if k < last {
		sub := s.subs[k]
		sub.ch.rosters[sh.index][sub.place].sub = k
	}
	s.dropPage(ch)
	if ch.pattern {
		return
	}
	kept := s.page[:0:0]
	for _, it := range s.page { // nothing of the channel after this
		if it.Channel.Text != ch.name {
			kept = append(kept, it)
		}
	}
	s.page = kept
}
