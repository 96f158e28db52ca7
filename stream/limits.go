package stream

import (
	"fmt"
	"net/netip"
	"sync"
	"time"
)

// Limits bound the streams that are open at one time. Zero means no bound,
// except where a default is given.
type Limits struct {
	Streams       int // in all
	PerAddress    int // of one IPv4 address or IPv6 /64
	PerCredential int
	PerChannel    int
	// ChannelsPerStream defaults to 250.
	ChannelsPerStream int
}

// LimitError says which limit is reached.
type LimitError struct {
	// Limit is one of "streams", "address", "credential", "channel",
	// "channels".
	Limit string
	// Policy: waiting will not help, the client asks for more than it may.
	// Otherwise it may come back after RetryAfter.
	Policy     bool
	RetryAfter time.Duration
}

func (e *LimitError) Error() string { return fmt.Sprintf("limit of %s reached", e.Limit) }

// retryAfterLimit is what a client is told to wait when the server is full.
const retryAfterLimit = 5 * time.Second

// Claim is what a stream counts against.
type Claim struct {
	Address netip.Addr
	// Credential is a digest of what the client authenticates with, never the
	// secret itself.
	Credential string
	Channels   []string
}

// Ticket is a place for one stream. It is used up by Attach, or released.
type Ticket struct {
	hub      *Hub
	claim    Claim
	released bool // guarded by admissions.mu
}

// admissions counts what is open.
type admissions struct {
	mu         sync.Mutex
	streams    int
	address    map[netip.Prefix]int
	credential map[string]int
	channel    map[string]int
}

func newAdmissions() *admissions {
	return &admissions{address: map[netip.Prefix]int{}, credential: map[string]int{}, channel: map[string]int{}}
}

// network is what one client can be expected to have: an IPv4 address, or the
// /64 that an IPv6 client chooses its addresses from.
func network(a netip.Addr) netip.Prefix {
	a = a.Unmap().WithZone("")
	bits := 32
	if a.Is6() {
		bits = 64
	}
	p, err := a.Prefix(bits)
	if err != nil { // not an address, say of a Unix socket: one client for all
		return netip.Prefix{}
	}
	return p
}

// Admit takes a place for a stream, or says with a *LimitError what is full.
// Call it before anything is promised to the client.
func (h *Hub) Admit(c Claim) (*Ticket, error) {
	l := h.config().Limits
	a := h.admissions
	a.mu.Lock()
	defer a.mu.Unlock()
	full := func(limit string, policy bool) error {
		h.counters.refused(limit)
		return &LimitError{Limit: limit, Policy: policy, RetryAfter: retryAfterLimit}
	}
	n := network(c.Address)
	switch {
	case len(c.Channels) > l.ChannelsPerStream:
		return nil, full("channels", true)
	case l.Streams > 0 && a.streams >= l.Streams:
		return nil, full("streams", false)
	case l.PerAddress > 0 && n.IsValid() && a.address[n] >= l.PerAddress:
		return nil, full("address", true)
	case l.PerCredential > 0 && c.Credential != "" && a.credential[c.Credential] >= l.PerCredential:
		return nil, full("credential", true)
	}
	if l.PerChannel > 0 {
		for _, name := range c.Channels {
			if a.channel[name] >= l.PerChannel {
				return nil, full("channel", false)
			}
		}
	}
	a.streams++
	a.count(n, c, 1)
	return &Ticket{hub: h, claim: c}, nil
}

// count adds d to every count of a claim, and forgets those that reach zero.
func (a *admissions) count(n netip.Prefix, c Claim, d int) {
	add(a.address, n, d)
	add(a.credential, c.Credential, d)
	for _, name := range c.Channels {
		add(a.channel, name, d)
	}
}

func add[K comparable](m map[K]int, k K, d int) {
	if m[k] += d; m[k] <= 0 {
		delete(m, k)
	}
}

// Release gives the place back. Idempotent; safe for concurrent use.
func (t *Ticket) Release() {
	a := t.hub.admissions
	a.mu.Lock()
	defer a.mu.Unlock()
	if t.released {
		return
	}
	t.released = true
	a.streams--
	a.count(network(t.claim.Address), t.claim, -1)
}
