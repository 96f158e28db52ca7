package memory

import (
	"slices"

	"github.com/seed-078801ba/sidestream/stream/log"
)

// PutRecords implements log.Log.
func (m *Log) PutRecords(records []log.Record) error {
	if err := log.CheckRecords(records); err != nil {
		return err
	}
	m.recordsMu.Lock()
	defer m.recordsMu.Unlock()
	now := m.now().UnixMilli()
	for i := range records {
		r := &records[i]
		m.records.Put(r.ID, slices.Clone(r.Value), r.Until.UnixMilli(), now)
	}
	return nil
}

// Record implements log.Log.
func (m *Log) Record(id string) ([]byte, bool, error) {
	m.recordsMu.Lock()
	defer m.recordsMu.Unlock()
	value, ok := m.records.Get(id, m.now().UnixMilli())
	return value, ok, nil
}
