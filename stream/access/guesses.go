package access

import (
	"container/list"
	"net/netip"
	"time"
)

// foreignAllowance is how many times more bad credentials browsers of an address
// may be made to send by pages of other sites, before such requests are blocked.
// They never block anything else.
const foreignAllowance = 5

// guesses slows those who guess: it counts, for each address, the distinct
// credentials that the backend did not know. Memory is bounded: when there are
// too many addresses, the one that was not seen for the longest time is
// forgiven. The gate's lock guards it.
type guesses struct {
	limit        int
	window       time.Duration
	maxAddresses int

	bySource map[source]*list.Element
	recent   list.List // of *guesser, the last seen in front
}

// source is who is counted: an address, and apart from it what pages of other
// sites make its browsers send.
type source struct {
	address netip.Prefix
	foreign bool
}

// guesser is a source with what it tried, the earliest first.
type guesser struct {
	source source
	tried  []guess
}

type guess struct {
	credential digest
	at         time.Time
}

// neighbourhood is whom an address counts as: IPv4 for itself, IPv6 for its
// /64, of which one customer has all. It is invalid if there is no address, as
// for a unix socket.
func neighbourhood(addr netip.Addr) netip.Prefix {
	addr = addr.Unmap().WithZone("")
	bits := 32
	if addr.Is6() {
		bits = 64
	}
	p, err := addr.Prefix(bits)
	if err != nil {
		return netip.Prefix{}
	}
	return p
}

// source is who is counted for the question.
func (q *Question) source() source { return source{neighbourhood(q.Address), q.Foreign} }

// add counts a credential that the backend did not know. The same one again
// counts once.
func (g *guesses) add(s source, credential digest, now time.Time) {
	if !s.address.IsValid() {
		return // nobody can be slowed there
	}
	el := g.bySource[s]
	if el == nil {
		if len(g.bySource) >= g.maxAddresses {
			g.forget(g.recent.Back())
		}
		el = g.recent.PushFront(&guesser{source: s})
		if g.bySource == nil {
			g.bySource = map[source]*list.Element{}
		}
		g.bySource[s] = el
	}
	g.recent.MoveToFront(el)
	one := el.Value.(*guesser)
	one.expire(now.Add(-g.window))
	for _, tried := range one.tried {
		if tried.credential == credential {
			return
		}
	}
	if len(one.tried) < g.allowed(s) {
		one.tried = append(one.tried, guess{credential, now})
	}
}

func (g *guesses) allowed(s source) int {
	if s.foreign {
		return foreignAllowance * g.limit
	}
	return g.limit
}

// blocked tells whether the source has to wait, and for how long, before the
// backend is asked about one more credential of its.
func (g *guesses) blocked(s source, now time.Time) (wait time.Duration, blocked bool) {
	el := g.bySource[s]
	if el == nil {
		return 0, false
	}
	one := el.Value.(*guesser)
	one.expire(now.Add(-g.window))
	if len(one.tried) == 0 {
		g.forget(el)
		return 0, false
	}
	if len(one.tried) < g.allowed(s) {
		return 0, false
	}
	return one.tried[0].at.Add(g.window).Sub(now), true
}

func (g *guesses) forget(el *list.Element) {
	delete(g.bySource, el.Value.(*guesser).source)
	g.recent.Remove(el)
}

// expire drops what was tried at that time or before.
func (g *guesser) expire(before time.Time) {
	n := 0
	for n < len(g.tried) && !g.tried[n].at.After(before) {
		n++
	}
	g.tried = append(g.tried[:0], g.tried[n:]...)
}
