package file

import (
	"maps"
	"slices"

	bolt "go.etcd.io/bbolt"
)

// Channels are the names of all channels that are known, in no order.
func (f *Log) Channels() ([]string, error) {
	names := map[string]bool{}
	f.recentMu.RLock()
	for name := range f.recent.channels {
		names[name] = true
	}
	f.recentMu.RUnlock()
	err := f.view(func(tx *bolt.Tx) error {
		return bucketOf(tx, bucketChannels).ForEach(func(key, value []byte) error {
			_, row, err := parseChannelRecord(key, value)
			if err == nil {
				names[row.name] = true
			}
			return err
		})
	})
	return slices.Collect(maps.Keys(names)), err
}
