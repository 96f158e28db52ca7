package caddymodule

import busredis "github.com/seed-078801ba/sidestream/stream/bus/redis"

// presence counts who is there, and what passes between nodes.
func (m measured) presence(p *pooledHub) {
	st := p.roster.Stats()
	m.gauge(descPresent, float64(st.Users))
	m.gauge(descPresentIn, float64(st.Channels))
	m.gauge(descAttending, float64(st.Streams))
	m.gauge(descNodes, float64(st.Nodes))
	m.counter(descComings, st.Joins, "joined")
	m.counter(descComings, st.Leaves, "left")
	m.counter(descComings, st.Changes, "state")
	m.counter(descRepairs, st.Repairs)
	m.counter(descExpired, st.Expired)
	if b, ok := p.bus.(*busredis.Bus); ok {
		st := b.Stats()
		m.gauge(descBusUp, boolean(st.Connected))
		m.counter(descBusSaid, st.Published, "said")
		m.counter(descBusSaid, st.Dropped, "dropped")
	}
	p.mu.Lock()
	teller := p.teller
	p.mu.Unlock()
	if teller != nil {
		st := teller.Stats()
		m.gauge(descTelling, boolean(st.Telling))
		m.counter(descTold, st.Told, "told")
		m.counter(descTold, st.Failed, "failed")
		m.counter(descTold, st.Replaced, "replaced")
		m.gauge(descUntold, float64(st.Waiting))
	}
}
