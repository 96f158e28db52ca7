package bayeux

import (
	"crypto/rand"
	"encoding/base32"
	"net/netip"
	"strings"
	"sync"

	"github.com/seed-078801ba/sidestream/caddymodule/endpoint"
)

// registry has the sessions of a hub, over reloads.
type registry struct {
	mu        sync.Mutex
	sessions  map[string]*Session
	byAddress map[netip.Addr]int
}

// sessionsOf are the sessions of the hub that a server serves.
func sessionsOf(s *endpoint.Server) *registry {
	return s.Lasting.Keep("bayeux", func() any {
		return &registry{sessions: map[string]*Session{}, byAddress: map[netip.Addr]int{}}
	}).(*registry)
}

// find returns the session of a client id; nil if there is none. Nothing is made for
// an id that nobody has.
func (r *registry) find(id string) *Session {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.sessions[id]
}

// add gives a session its id, unless there are too many of them.
func (r *registry) add(s *Session, most, mostOfOne int) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	a := network(s.address)
	if len(r.sessions) >= most || a.IsValid() && r.byAddress[a] >= mostOfOne {
		return false
	}
	s.id, s.registry = newID(), r
	r.sessions[s.id] = s
	r.byAddress[a]++
	return true
}

func (r *registry) remove(s *Session) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.sessions[s.id] != s {
		return
	}
	delete(r.sessions, s.id)
	a := network(s.address)
	if r.byAddress[a]--; r.byAddress[a] <= 0 {
		delete(r.byAddress, a)
	}
}

// network is what one client can be expected to have: an IPv4 address, or the /64
// that an IPv6 client chooses its addresses from.
func network(a netip.Addr) netip.Addr {
	if a = a.Unmap().WithZone(""); a.Is6() {
		if p, err := a.Prefix(64); err == nil {
			return p.Addr()
		}
	}
	return a
}

var idEncoding = base32.StdEncoding.WithPadding(base32.NoPadding)

// newID is 160 random bits of letters and digits.
func newID() string {
	var b [20]byte
	rand.Read(b[:]) // never fails (crypto/rand)
	return strings.ToLower(idEncoding.EncodeToString(b[:]))
}
