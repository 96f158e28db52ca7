package access

import (
	"container/list"
	"net/netip"
	"sync"
	"time"
)

// BadCredentials slows those who guess: it counts, for each address, the
// distinct credentials that the backend did not know. Memory is bounded; when
// there are too many addresses, the one that was not seen for the longest time
// is forgiven. Safe for concurrent use.
type BadCredentials struct {
	key          digestKey
	limit        int
	window       time.Duration
	maxAddresses int

	mu        sync.Mutex
	byAddress map[netip.Prefix]*list.Element
	recent    list.List // of *guesser, the last seen in front
}

// guesser is an address with what it tried, the earliest first.
type guesser struct {
	address netip.Prefix
	tried   []guess
}

type guess struct {
	credential digest
	at         time.Time
}

// NewBadCredentials allows each address so many distinct bad credentials in
// any window of that length, and remembers so many addresses. Zeros stand for
// 20, a minute, and 10,000.
func NewBadCredentials(limit int, window time.Duration, maxAddresses int) *BadCredentials {
	if limit <= 0 {
		limit = 20
	}
	if window <= 0 {
		window = time.Minute
	}
	if maxAddresses <= 0 {
		maxAddresses = 10_000
	}
	return &BadCredentials{
		key: newDigestKey(), limit: limit, window: window, maxAddresses: maxAddresses,
		byAddress: map[netip.Prefix]*list.Element{},
	}
}

// neighbourhood is whom an address counts as: IPv4 for itself, IPv6 for its
// /64, of which one customer has all. ok is false if there is no address, as
// for a unix socket: nobody can be slowed there.
func neighbourhood(addr netip.Addr) (p netip.Prefix, ok bool) {
	addr = addr.Unmap().WithZone("")
	bits := 32
	if addr.Is6() {
		bits = 64
	}
	p, err := addr.Prefix(bits)
	return p, err == nil && p.IsValid()
}

// Add counts a credential that the backend did not know. The same one again
// counts once; a client that presented nothing did not guess.
func (b *BadCredentials) Add(addr netip.Addr, c Credential) {
	address, ok := neighbourhood(addr)
	if !ok || c.IsZero() {
		return
	}
	credential := b.key.credential(c)
	b.mu.Lock()
	defer b.mu.Unlock()
	el := b.byAddress[address]
	if el == nil {
		if len(b.byAddress) >= b.maxAddresses {
			b.forget(b.recent.Back())
		}
		el = b.recent.PushFront(&guesser{address: address})
		b.byAddress[address] = el
	}
	b.recent.MoveToFront(el)
	g := el.Value.(*guesser)
	g.expire(time.Now().Add(-b.window))
	for _, tried := range g.tried {
		if tried.credential == credential {
			return
		}
	}
	if len(g.tried) < b.limit {
		g.tried = append(g.tried, guess{credential, time.Now()})
	}
}

// Blocked tells whether the address has to wait, and for how long, before the
// backend is asked about one more credential of its.
func (b *BadCredentials) Blocked(addr netip.Addr) (retryAfter time.Duration, blocked bool) {
	address, ok := neighbourhood(addr)
	if !ok {
		return 0, false
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	el := b.byAddress[address]
	if el == nil {
		return 0, false
	}
	g := el.Value.(*guesser)
	g.expire(time.Now().Add(-b.window))
	if len(g.tried) == 0 {
		b.forget(el)
		return 0, false
	}
	if len(g.tried) < b.limit {
		return 0, false
	}
	return time.Until(g.tried[0].at.Add(b.window)), true
}

func (b *BadCredentials) forget(el *list.Element) {
	delete(b.byAddress, el.Value.(*guesser).address)
	b.recent.Remove(el)
}

// expire drops what was tried at that time or before.
func (g *guesser) expire(before time.Time) {
	n := 0
	for n < len(g.tried) && !g.tried[n].at.After(before) {
		n++
	}
	g.tried = append(g.tried[:0], g.tried[n:]...)
}
