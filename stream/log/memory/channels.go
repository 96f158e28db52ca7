package memory

import (
	"maps"
	"slices"
)

// Channels are the names of all channels that are known, in no order.
func (m *Log) Channels() ([]string, error) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	return slices.Collect(maps.Keys(m.channels)), nil
}
