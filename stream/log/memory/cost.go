package memory

import "unsafe"

// What the log costs the process, in bytes. The bound of all channels is held to
// this, not to the encoded events alone: small events cost more in what is known of
// them than in what they say. All of it is counted twice, because Go lets the heap
// grow to twice what is live before it collects. Lists and tables grow by more than
// they need, and what is known holds dead entries until it is compacted: so these
// take up to half as much again, and up to three times what is in use.
const (
	// eventCost is an event's place in its channel, beside its encoded form.
	eventCost = collected * int64(unsafe.Sizeof(entry{})) * 3 / 2
	// knownCost is what is remembered of an event as long as its key is.
	knownCost = collected * int64(unsafe.Sizeof(ref{})+unsafe.Sizeof(digest{})+unsafe.Sizeof(first{})) * 3
	// changeCost is what is remembered of an edit or a deletion.
	changeCost = collected * int64(2*unsafe.Sizeof(digest{})+unsafe.Sizeof(change{})+8) * 3
	// channelCost is a channel, beside its name.
	channelCost = collected * int64(unsafe.Sizeof(channel{})+unsafe.Sizeof(emptiedChannel{})+40) * 3

	collected = 2
)

// rememberedShare is the part of the bound that what outlives the events may take:
// keys, edits, and channels that are empty.
const rememberedShare = 4

func (e *entry) cost() int64 { return eventCost + knownCost + collected*roundedUp(len(e.encoded)) }

func (c *channel) cost() int64 { return channelCost + collected*int64(len(c.name)) }

// roundedUp is about what the allocator takes for so many bytes.
func roundedUp(n int) int64 { return int64(n) + int64(n)/16 + 8 }

// crowded tells whether the retained events cost more than the bound leaves them.
func (m *Log) crowded() bool {
	total := m.total()
	return total > 0 && m.held > total-total/rememberedShare
}

// forgetful tells whether what outlives the events costs more than its share.
func (m *Log) forgetful() bool {
	total := m.total()
	return len(m.keys)-int(m.stats.Events) > maxKeys || total > 0 && m.remembered > total/rememberedShare
}

// total is what the bound leaves for all that is counted here: an eighth is for what
// comes and goes while the collector runs, 0 if there is no bound.
func (m *Log) total() int64 { return m.retention.Total - m.retention.Total/8 }
