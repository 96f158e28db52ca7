package log

import (
	"container/heap"
	"errors"
	"time"
)

// Record is a small text that is kept beside the events for a time: what has to
// be known of a client's session so that it is taken up again after a restart, or
// by another node. It is not an event, and stands in no order.
type Record struct {
	// ID names the record, in 1 to MaxRecordID bytes.
	ID string
	// Value is what is kept, at most MaxRecord bytes. An empty one removes the
	// record.
	Value []byte
	// Until is when it ends by itself, to the millisecond.
	Until time.Time
}

// Bounds of records.
const (
	MaxRecordID = 128
	MaxRecord   = 16 << 10
	// MaxRecords is how many a store keeps. Past it, those that would end first
	// end before their time.
	MaxRecords = 100_000
)

// ErrRecord is the error of a record that is too large, or has no id.
var ErrRecord = errors.New("a record needs an id of 1 to 128 bytes and a value of at most 16 KiB")

// CheckRecords refuses what no store keeps.
func CheckRecords(records []Record) error {
	for i := range records {
		if r := &records[i]; r.ID == "" || len(r.ID) > MaxRecordID || len(r.Value) > MaxRecord {
			return ErrRecord
		}
	}
	return nil
}

// RecordTable holds records in memory, for the stores that do. The zero value is
// ready. Its user serialises the calls.
type RecordTable struct {
	// Most is how many it holds. Default: MaxRecords.
	Most int

	all   map[string]*heldRecord
	first byEnd
	bytes int64
}

type heldRecord struct {
	id    string
	value []byte
	until int64 // milliseconds since 1970
	index int   // in first
}

// Put takes a record, or removes it. It keeps the value.
func (t *RecordTable) Put(id string, value []byte, until, now int64) {
	if old := t.all[id]; old != nil {
		t.remove(old)
	}
	if len(value) > 0 && until > now {
		if t.all == nil {
			t.all = map[string]*heldRecord{}
		}
		r := &heldRecord{id: id, value: value, until: until}
		t.all[id] = r
		t.bytes += int64(len(id) + len(value))
		heap.Push(&t.first, r)
	}
	most := t.Most
	if most == 0 {
		most = MaxRecords
	}
	for len(t.first) > 0 && (t.first[0].until <= now || len(t.first) > most) {
		t.remove(t.first[0])
	}
}

func (t *RecordTable) remove(r *heldRecord) {
	heap.Remove(&t.first, r.index)
	delete(t.all, r.id)
	t.bytes -= int64(len(r.id) + len(r.value))
}

// Get is the value of a record that has not ended.
func (t *RecordTable) Get(id string, now int64) ([]byte, bool) {
	r := t.all[id]
	if r == nil || r.until <= now {
		return nil, false
	}
	return r.value, true
}

// Size is how many records there are, and how many bytes they have.
func (t *RecordTable) Size() (count int, bytes int64) { return len(t.first), t.bytes }

// Each calls f for every record, in no order.
func (t *RecordTable) Each(f func(id string, value []byte, until int64)) {
	for _, r := range t.first {
		f(r.id, r.value, r.until)
	}
}

// byEnd is a heap of records, the one that ends first at its top.
type byEnd []*heldRecord

func (h byEnd) Len() int { return len(h) }
func (h byEnd) Less(i, j int) bool {
	if h[i].until != h[j].until {
		return h[i].until < h[j].until
	}
	return h[i].id < h[j].id
}

func (h byEnd) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].index, h[j].index = i, j
}

func (h *byEnd) Push(x any) {
	r := x.(*heldRecord)
	r.index = len(*h)
	*h = append(*h, r)
}

func (h *byEnd) Pop() any {
	last := len(*h) - 1
	r := (*h)[last]
	(*h)[last] = nil
	*h = (*h)[:last]
	return r
}
