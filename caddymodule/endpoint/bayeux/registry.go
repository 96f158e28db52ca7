package bayeux

import (
	"crypto/rand"
	"encoding/base32"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/seed-078801ba/sidestream/caddymodule/endpoint"
	"github.com/seed-078801ba/sidestream/stream"
	"github.com/seed-078801ba/sidestream/stream/format"
)

// registry has the sessions of a hub, over reloads.
type registry struct {
	mu        sync.Mutex
	sessions  map[string]*Session
	byAddress map[netip.Addr]int
	sites     map[string]*site
	specs     map[stream.Spec]*stream.Spec
	hub       endpoint.Hub // keeps records; nil before the first request

	taking [64]sync.Mutex // sessions from their records, by the first letter of the id
}

// site is an endpoint over reloads. What outlives a configuration, a WebSocket, holds
// the site, and finds what counts now.
type site struct {
	registry *registry
	live     atomic.Pointer[live]
}

// live is an endpoint with the server that it belongs to.
type live struct {
	bayeux *bayeux
	server *endpoint.Server
}

// site finds the site of an endpoint.
func (r *registry) site(e *bayeux, s *endpoint.Server) *site {
	r.mu.Lock()
	defer r.mu.Unlock()
	key := e.key + " " + s.Scope
	found := r.sites[key]
	if found == nil {
		found = &site{registry: r}
		found.live.Store(&live{e, s})
		r.sites[key] = found
	}
	return found
}

// spec is what all connections of a kind share, over reloads.
func (r *registry) spec(f format.Format, heartbeat time.Duration) *stream.Spec {
	r.mu.Lock()
	defer r.mu.Unlock()
	key := stream.Spec{Format: f, Heartbeat: heartbeat}
	if r.specs[key] == nil {
		r.specs[key] = &key
	}
	return r.specs[key]
}

// sessionsOf are the sessions of the hub that a server serves.
func sessionsOf(s *endpoint.Server) *registry {
	r := keptSessions(s.Lasting)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.hub = s.Hub
	return r
}

func keptSessions(kept *endpoint.Lasting) *registry {
	return kept.Keep("bayeux", func() any {
		return &registry{
			sessions: map[string]*Session{}, byAddress: map[netip.Addr]int{},
			sites: map[string]*site{}, specs: map[stream.Spec]*stream.Spec{},
		}
	}).(*registry)
}

// keeper keeps records; nil before the first request.
func (r *registry) keeper() endpoint.Hub {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.hub
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
	if s.registry = r; s.id == "" {
		s.id = newID()
	}
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
