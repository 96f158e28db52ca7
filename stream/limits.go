package stream

import (
	"fmt"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/seed-078801ba/sidestream/stream/event"
)

// Limits bound the streams that are open at one time. Zero means no bound,
// except where a default is given. What counts is what was granted: a client
// that asks for a channel which it may not have takes nobody's place there.
type Limits struct {
	Streams       int // in all
	PerAddress    int // of one IPv4 address or IPv6 /64
	PerCredential int // of one client, see Ticket.Identify
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

// Candidate is what a stream counts against.
type Candidate struct {
	Address netip.Addr
	// Credential is a digest of what the client presents, never the secret
	// itself. It counts from Grant on: until then anybody may present it.
	Credential string
	// Proofs are digests of the parts of it that may each prove who the client is,
	// if there are several. They count like Credential.
	Proofs []string
	// Channels is for how many channels the client asks.
	Channels int
	// Asking: the backend is yet to be asked whether the client may have any of
	// them. Such a ticket takes one of all Streams with its first Grant, so that
	// those who ask in vain take nobody's place.
	Asking bool
}

// Ticket is a place for one stream, or for a session that has one stream after
// another, and for the channels that it was granted. A stream that is attached
// with it releases it at its end. A nil Ticket counts nothing. All methods are
// safe for concurrent use.
type Ticket struct {
	hub *Hub
	of  Candidate
	// Guarded by admissions.mu.
	counted  bool // for its credential
	placed   bool // among all streams
	granted  []string
	released bool
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
// Call it before anything is promised to the client, and before the backend is
// asked. The channels are counted by Grant.
func (h *Hub) Admit(c Candidate) (*Ticket, error) {
	l := h.config().Limits
	a := h.admissions
	a.mu.Lock()
	defer a.mu.Unlock()
	n := network(c.Address)
	switch {
	case c.Channels > l.ChannelsPerStream:
		return nil, h.full("channels", true)
	case l.Streams > 0 && a.streams >= l.Streams:
		return nil, h.full("streams", false)
	case l.PerAddress > 0 && n.IsValid() && a.address[n] >= l.PerAddress:
		return nil, h.full("address", true)
	case h.tooManyOf(&c):
		return nil, h.full("credential", true)
	}
	if !c.Asking {
		a.streams++
	}
	add(a.address, n, 1)
	return &Ticket{hub: h, of: c, placed: !c.Asking}, nil
}

// tooManyOf tells whether a client has all that one client may have. Called with
// admissions.mu held.
func (h *Hub) tooManyOf(c *Candidate) bool {
	limit := h.config().Limits.PerCredential
	return limit > 0 && slices.ContainsFunc(c.counts(), func(client string) bool {
		return client != "" && h.admissions.credential[client] >= limit
	})
}

// counts are what it counts for by client.
func (c *Candidate) counts() []string { return append([]string{c.Credential}, c.Proofs...) }

// Identify says who the client is: the backend has accepted what it presents and
// has named its user. The ticket counts for the user then, however many
// credentials the user has. It does nothing for an empty user, and nothing after
// the first Grant.
func (t *Ticket) Identify(user string) {
	if t == nil || user == "" {
		return
	}
	a := t.hub.admissions
	a.mu.Lock()
	defer a.mu.Unlock()
	if !t.counted {
		t.of.Credential, t.of.Proofs = user, nil
	}
}

// full is the error of a limit that is reached.
func (h *Hub) full(limit string, policy bool) error {
	h.counters.refused(limit)
	return &LimitError{Limit: limit, Policy: policy, RetryAfter: retryAfterLimit}
}

// Grant counts channels that the client may listen to and is about to join: all
// of them, or none and a *LimitError. One that was granted before is not counted
// twice. With the first grant, the ticket counts for its client.
func (t *Ticket) Grant(channels ...string) error {
	if t == nil {
		return nil
	}
	l := t.hub.config().Limits
	a := t.hub.admissions
	a.mu.Lock()
	defer a.mu.Unlock()
	if t.released {
		return event.ErrClosed
	}
	switch {
	case !t.placed && l.Streams > 0 && a.streams >= l.Streams:
		return t.hub.full("streams", false)
	case !t.counted && t.hub.tooManyOf(&t.of):
		return t.hub.full("credential", true)
	}
	granted := t.granted[:len(t.granted):len(t.granted)]
	for _, name := range channels {
		if slices.Contains(granted, name) {
			continue
		}
		if l.PerChannel > 0 && a.channel[name] >= l.PerChannel {
			return t.hub.full("channel", false)
		}
		granted = append(granted, name)
	}
	if len(granted) > l.ChannelsPerStream {
		return t.hub.full("channels", true)
	}
	for _, name := range granted[len(t.granted):] {
		add(a.channel, name, 1)
	}
	t.granted = granted
	if !t.placed {
		t.placed = true
		a.streams++
	}
	if !t.counted {
		t.counted = true
		for _, client := range t.of.counts() {
			add(a.credential, client, 1)
		}
	}
	return nil
}

// Return gives back the count of a channel that the client has left. Of one that
// was not granted, it does nothing. A stream calls it by itself.
func (t *Ticket) Return(channel string) {
	if t == nil {
		return
	}
	a := t.hub.admissions
	a.mu.Lock()
	defer a.mu.Unlock()
	if i := slices.Index(t.granted, channel); i >= 0 {
		t.granted = slices.Delete(slices.Clone(t.granted), i, i+1)
		add(a.channel, channel, -1)
	}
}

func add[K comparable](m map[K]int, k K, d int) {
	if m[k] += d; m[k] <= 0 {
		delete(m, k)
	}
}

// Release gives back the place and what was granted. Idempotent.
func (t *Ticket) Release() {
	if t == nil {
		return
	}
	a := t.hub.admissions
	a.mu.Lock()
	defer a.mu.Unlock()
	if t.released {
		return
	}
	t.released = true
	if t.placed {
		a.streams--
	}
	add(a.address, network(t.of.Address), -1)
	if t.counted {
		for _, client := range t.of.counts() {
			add(a.credential, client, -1)
		}
	}
	for _, name := range t.granted {
		add(a.channel, name, -1)
	}
	t.granted = nil
}
