package bayeux

import (
	"context"
	"strconv"
	"strings"
	"time"

	"github.com/valyala/fastjson"

	"github.com/seed-078801ba/sidestream/stream"
	"github.com/seed-078801ba/sidestream/stream/event"
)

// Catch-up is TwentyThree's: who subscribes to <channel>/catchup/<count><unit> is given
// what the channel has said in that time, by that name, and nobody else is. The past
// comes first and what is said now after that, so that one cursor says what a client
// has. Where both names are subscribed to, each event has one of them: up to where the
// channel itself begins, catch-up has it.

const catchUpPart = "/catchup/"

// cutCatchUp takes what asks for the past off a name; asks is false if nothing does.
// The time is 0 if it is none.
func cutCatchUp(name string) (channel string, past time.Duration, asks bool) {
	i := strings.LastIndex(name, catchUpPart)
	if i <= 0 {
		return name, 0, false
	}
	interval := name[i+len(catchUpPart):]
	if strings.Contains(interval, "/") || interval == "" {
		return name, 0, false
	}
	channel = name[:i]
	n, err := strconv.ParseUint(interval[:len(interval)-1], 10, 31)
	unit := map[byte]time.Duration{'h': time.Hour, 'm': time.Minute, 's': time.Second}[interval[len(interval)-1]]
	if err != nil || interval[0] == '0' || interval[0] == '+' || unit == 0 || n > uint64(maxPast/unit) {
		return channel, 0, true
	}
	return channel, time.Duration(n) * unit, true
}

// maxPast is the longest time that a client can ask for.
const maxPast = 366 * 24 * time.Hour

// past is what a session is given of the past, before anything else: a reader of the
// channels that were asked for. It goes with the last event of them.
type past struct {
	reader *stream.Reader
	of     []pastOf
}

// pastOf is the past of one channel.
type pastOf struct {
	name    string // that the client gives it
	channel string
	upto    uint64 // what is behind it is the channel's own
}

// find is the past that an event of a channel belongs to; nil if it is none.
func (p *past) find(channel string, seq uint64) *pastOf {
	for i := range p.of {
		if of := &p.of[i]; of.channel == channel && seq <= of.upto {
			return of
		}
	}
	return nil
}

// nameOf is what the client calls the past that an event is of.
func (p *past) nameOf(e *event.Entry) string {
	if of := p.find(e.Channel.Text, e.Seq); of != nil {
		return of.name
	}
	return ""
}

// ends tells whether a client that stands at a position has all of it.
func (p *past) ends(at uint64) bool {
	for _, of := range p.of {
		if at < of.upto {
			return false
		}
	}
	return true
}

// next takes what comes next: first of the past, then of what is said now. The past
// is given to p, if it is not nil. It waits as Reader.Take does.
func (s *Session) next(ctx context.Context) (t stream.Taken, p *past, err error) {
	for {
		s.mu.Lock()
		p = s.past
		s.mu.Unlock()
		if p == nil {
			t, err = s.reader.Take(ctx, takeEntries)
			return t, nil, err
		}
		if t, err = p.reader.Take(now, takeEntries); err == nil {
			n := 0
			for i := range t.Entries {
				if p.find(t.Entries[i].Channel.Text, t.Entries[i].Seq) != nil {
					t.Entries[n] = t.Entries[i]
					n++
				}
			}
			t.Entries = t.Entries[:n]
		}
		if err != nil && err != event.ErrClosed || len(t.Entries) > 0 || len(t.Missing) > 0 {
			return t, p, err
		}
		s.mu.Lock()
		if s.past == p {
			p.reader.Done(t)
			if err != nil || p.ends(t.At.Seq) {
				s.endPast()
			}
		}
		s.mu.Unlock()
	}
}

// endPast forgets the past, which the client has. Called with mu held.
func (s *Session) endPast() {
	if s.past != nil {
		s.past.reader.Close()
		s.past = nil
	}
}

// joinPast has the session given a channel's past, from where start says. Called with
// mu held.
func (s *Session) joinPast(hub readers, sub *subscription, start stream.Start) {
	if start.At(sub.Channel) >= sub.upto.Seq {
		return
	}
	if s.past == nil {
		s.past = &past{reader: hub.NewReader(nil)}
	}
	for _, of := range s.past.of {
		if of.channel == sub.Channel {
			return // one past of a channel is enough
		}
	}
	s.past.of = append(s.past.of, pastOf{sub.name, sub.Channel, sub.upto.Seq})
	s.past.reader.Join(sub.Channel, start)
}

// readers makes readers of a hub.
type readers interface {
	NewReader(*stream.Ticket) *stream.Reader
}

// leavePast ends the past of a channel. Called with mu held.
func (s *Session) leavePast(channel string) {
	if s.past == nil {
		return
	}
	for i, of := range s.past.of {
		if of.channel == channel {
			s.past.of = append(s.past.of[:i:i], s.past.of[i+1:]...)
			s.past.reader.Leave(channel)
			break
		}
	}
	if len(s.past.of) == 0 {
		s.endPast()
	}
}

// since reads ext.since: the cursor of the last event that a client has got, which it
// presents with the subscriptions of a new session.
func since(ext *fastjson.Value) string { return text(ext.Get("since")) }
