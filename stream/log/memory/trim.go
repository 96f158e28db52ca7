package memory

import (
	"cmp"
	"container/heap"
	"slices"
	"time"

	"github.com/seed-078801ba/sidestream/stream/log"
)

// resize puts the channel where it belongs after its bytes have changed.
func (m *Log) resize(c *channel) {
	switch {
	case c.index < 0 && c.count() > 0:
		heap.Push(&m.largest, c)
		m.held += c.cost()
		m.remembered -= c.cost()
	case c.index >= 0 && c.count() == 0:
		heap.Remove(&m.largest, c.index)
		m.held -= c.cost()
		m.remembered += c.cost()
	case c.index >= 0:
		heap.Fix(&m.largest, c.index)
	}
}

// trimChannel removes what the channel has over its bounds, at most so many
// events, and returns how many.
func (m *Log) trimChannel(c *channel, most int) (n int) {
	for n < most && m.retention.Over(uint64(c.count()), c.bytes) {
		m.trimFirst(c)
		n++
	}
	return n
}

// trimFirst removes the oldest entry of a channel that has one.
func (m *Log) trimFirst(c *channel) {
	gone := c.entries[c.first]
	c.entries[c.first] = entry{}
	c.first++
	switch {
	case c.first == len(c.entries):
		c.entries, c.first = nil, 0
	case c.first >= 4 && c.first > len(c.entries)/2:
		c.entries, c.first = slices.Clone(c.entries[c.first:]), 0
	}
	c.bytes -= gone.size()
	c.trimmed = gone.seq
	m.stats.Events--
	m.stats.Bytes -= gone.size()
	m.held -= gone.cost()
	m.remembered += knownCost
	m.resize(c)
	if c.count() == 0 {
		// In order of what was lost; it nearly always belongs at the end.
		at, _ := slices.BinarySearchFunc(m.emptied, c.trimmed, func(e emptiedChannel, seq uint64) int {
			return cmp.Compare(e.trimmed, seq)
		})
		m.emptied = slices.Insert(m.emptied, at, emptiedChannel{c, c.trimmed})
	}
	if gone.seq <= m.expired {
		m.bury(&m.known[m.find(gone.seq)])
	}
}

// bury forgets the key of an entry that is neither retained nor in its key
// window.
func (m *Log) bury(ref *ref) {
	if ref.keyed {
		delete(m.keys, ref.key)
	}
	if message, ok := m.changes[ref.seq]; ok {
		delete(m.changes, ref.seq)
		m.remembered -= changeCost
		if m.latest[message].seq == ref.seq {
			delete(m.latest, message)
		}
	}
	m.dead++
	m.remembered -= knownCost
}

// Clear implements Log.
func (m *Log) Clear(channel string) (more bool, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	c := m.channels[channel]
	for n := 0; c != nil && c.count() > 0; n++ {
		if n == log.StepEvents {
			return true, nil
		}
		m.trimFirst(c)
	}
	return false, nil
}

// Sweep implements Log.
func (m *Log) Sweep(now time.Time) (more bool, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.retention.Age > 0 && m.trimOld(m.clock.Cutoff(now, m.retention.Age)) {
		more = true
	}
	if m.trimScan() {
		more = true
	}
	if m.expireKeys(m.clock.Cutoff(now, m.retention.KeyWindow())) {
		more = true
	}
	m.forget()
	m.compact()
	return more, nil
}

// trimOld removes entries from before the cutoff.
func (m *Log) trimOld(cutoff int64) (more bool) {
	i := m.find(m.aged + 1)
	for n := 0; i < len(m.known) && m.known[i].at < cutoff; i++ {
		if n == log.StepEvents {
			return true
		}
		ref := &m.known[i]
		if ref.retained() {
			m.trimFirst(ref.channel)
		}
		m.aged = ref.seq
		n++
	}
	return false
}

// trimScan holds channels to a retention that was changed.
func (m *Log) trimScan() (more bool) {
	budget := log.StepEvents
	for n := 0; len(m.scan) > 0 && n < log.StepChannels; n++ {
		c := m.scan[len(m.scan)-1]
		budget -= m.trimChannel(c, budget)
		if m.retention.Over(uint64(c.count()), c.bytes) {
			return true
		}
		m.scan = m.scan[:len(m.scan)-1]
	}
	if len(m.scan) == 0 {
		m.scan = nil
	}
	for budget > 0 && m.crowded() {
		m.trimFirst(m.largest[0])
		budget--
	}
	return len(m.scan) > 0 || m.crowded()
}

// expireKeys forgets the keys of entries that are not retained any more: of those
// from before the cutoff, and of as many others as there are too many of.
func (m *Log) expireKeys(cutoff int64) (more bool) {
	i := m.find(m.expired + 1)
	for n := 0; i < len(m.known); i++ {
		ref := &m.known[i]
		if ref.at >= cutoff && !m.forgetful() {
			return false
		}
		if n == log.StepEvents {
			return true
		}
		if !ref.retained() {
			m.bury(ref)
		}
		m.expired, m.expiredAt = ref.seq, ref.at
		n++
	}
	return false
}

// forget drops channels that have been empty for the whole key window. What
// they lost is remembered for all channels that are not known.
func (m *Log) forget() {
	for len(m.emptied) > 0 && m.emptied[0].trimmed <= m.expired {
		gone := m.emptied[0]
		m.emptied = m.emptied[1:]
		if c := gone.channel; c.count() == 0 && c.trimmed == gone.trimmed && m.channels[c.name] == c {
			delete(m.channels, c.name)
			m.remembered -= c.cost()
			m.forgotten = max(m.forgotten, c.trimmed)
		}
	}
	if len(m.emptied) == 0 {
		m.emptied = nil
	}
}

// compact lets go of what is known of dead entries, once it is worth it.
func (m *Log) compact() {
	if m.dead <= log.StepEvents || m.dead <= len(m.known)/2 {
		return
	}
	known := make([]ref, 0, len(m.known)-m.dead)
	for i := range m.known {
		if ref := &m.known[i]; ref.seq > m.expired || ref.retained() {
			known = append(known, *ref)
		}
	}
	m.known, m.dead = known, 0
}
