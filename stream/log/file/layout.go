package file

import (
	"encoding/binary"
	"errors"
	"hash/crc32"

	"github.com/seed-078801ba/sidestream/stream/event"
	"github.com/seed-078801ba/sidestream/stream/log"
)

// The file is a bbolt file with these buckets. Numbers in keys are 8 bytes,
// most significant first. Every value but the format and the journal ends
// with a checksum of bucket, key and value, because bbolt has none: what a bad disk changed is
// noticed when it is read, not served.
//
//	hub       format, epoch, state, unsafe, scrub
//	journal   records             -> what is not settled yet, see journal.go
//	names     channel             -> its number
//	channels  number              -> channelRow
//	events    number, seq         -> the event, and its predecessor in the channel
//	order     seq                 -> orderRow, of the retained entries
//	taken     seq                 -> takenRow, of the entries in the key window
//	keys      key                 -> keyRow
//	empty     trimmed, number     -> of channels without events
//	marks     source              -> value
//
// Events of a channel stand next to each other, and its keys too: a resume
// reads few pages, and settling writes few for each channel.
const (
	bucketHub      = "hub"
	bucketJournal  = "journal"
	bucketNames    = "names"
	bucketChannels = "channels"
	bucketEvents   = "events"
	bucketOrder    = "order"
	bucketTaken    = "taken"
	bucketKeys     = "keys"
	bucketEmpty    = "empty"
	bucketMarks    = "marks"
)

var buckets = [...]string{
	bucketHub, bucketJournal, bucketNames, bucketChannels, bucketEvents, bucketOrder,
	bucketTaken, bucketKeys, bucketEmpty, bucketMarks,
}

// currentFormat is the version of this layout. A file with format 3 is brought to
// it when it is opened, see upgrade.go; one with another is not touched.
const currentFormat = 4

// Keys of the hub bucket.
const (
	hubFormat = "format"
	hubEpoch  = "epoch"
	hubState  = "state"
	// hubUnsafe is there while a process writes without sync, and after it
	// ended without Close.
	hubUnsafe = "unsafe"
	// hubScrub is there from when something was taken back until it is overwritten.
	hubScrub = "scrub"
)

// errRecord is the error of a record that is not as it was written.
var errRecord = errors.New("a record does not match its checksum")

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

const sealSize = 4

// nameOf are the names of the buckets as bbolt and the checksum want them.
var nameOf = func() map[string][]byte {
	names := map[string][]byte{}
	for _, bucket := range buckets {
		names[bucket] = []byte(bucket)
	}
	return names
}()

func sealOf(bucket string, key, value []byte) uint32 {
	sum := crc32.Update(uint32(len(key)), castagnoli, nameOf[bucket])
	return crc32.Update(crc32.Update(sum, castagnoli, key), castagnoli, value)
}

// seal appends the checksum of the record to its value.
func seal(bucket string, key, value []byte) []byte {
	return binary.BigEndian.AppendUint32(value, sealOf(bucket, key, value))
}

// unseal is the value of a record without its checksum.
func unseal(bucket string, key, sealed []byte) ([]byte, error) {
	n := len(sealed) - sealSize
	if n < 0 {
		return nil, errRecord
	}
	if binary.BigEndian.Uint32(sealed[n:]) != sealOf(bucket, key, sealed[:n]) {
		return nil, errRecord
	}
	return sealed[:n:n], nil
}

func appendNumber(dst []byte, n uint64) []byte { return binary.BigEndian.AppendUint64(dst, n) }

func cutNumber(b []byte) (n uint64, rest []byte, err error) {
	if len(b) < 8 {
		return 0, nil, errRecord
	}
	return binary.BigEndian.Uint64(b), b[8:], nil
}

func oneNumber(b []byte) (uint64, error) {
	n, rest, err := cutNumber(b)
	if err != nil || len(rest) != 0 {
		return 0, errRecord
	}
	return n, nil
}

func twoNumbers(b []byte) (first, second uint64, err error) {
	if len(b) != 16 {
		return 0, 0, errRecord
	}
	return binary.BigEndian.Uint64(b), binary.BigEndian.Uint64(b[8:]), nil
}

// fields reads uvarints; its error comes at the end.
type fields struct {
	b   []byte
	bad bool
}

func (f *fields) next() uint64 {
	n, size := binary.Uvarint(f.b)
	if size <= 0 {
		f.bad, f.b = true, nil
		return 0
	}
	f.b = f.b[size:]
	return n
}

// text reads a length and as many bytes.
func (f *fields) text() []byte {
	n := f.next()
	if n > uint64(len(f.b)) {
		f.bad, f.b = true, nil
		return nil
	}
	text := f.b[:n:n]
	f.b = f.b[n:]
	return text
}

func (f *fields) end() error {
	if f.bad || len(f.b) != 0 {
		return errRecord
	}
	return nil
}

func appendFields(dst []byte, values ...uint64) []byte {
	for _, v := range values {
		dst = binary.AppendUvarint(dst, v)
	}
	return dst
}

// logState is what is known of the whole log. The file has it as of when it was
// settled; what is behind that stands in the journal.
type logState struct {
	seq       uint64 // of the newest entry
	at        int64  // its time
	tag       event.Tag
	events    uint64 // retained, and settled
	bytes     int64
	channels  uint64 // with a retained event
	next      uint64 // the number of the next new channel
	expired   uint64 // the key window of every entry up to here is over
	expiredAt int64  // the time of that entry
	forgotten uint64 // the newest entry that a forgotten channel lost

	generation uint64 // of the records in the journal that are valid
	changed    uint64 // messages whose newest change stands in the keys bucket
}

// advance moves the state to an entry in the journal.
func (s *logState) advance(e *recentEntry) { s.seq, s.at, s.tag = e.Seq, e.At, e.Tag }

func (s *logState) append(dst []byte) []byte {
	return appendFields(dst, s.seq, uint64(s.at), uint64(s.tag), s.events, uint64(s.bytes),
		s.channels, s.next, s.expired, uint64(s.expiredAt), s.forgotten, s.generation, s.changed)
}

func parseState(b []byte) (logState, error) {
	f := fields{b: b}
	s := logState{
		seq: f.next(), at: int64(f.next()), tag: event.Tag(f.next()),
		events: f.next(), bytes: int64(f.next()), channels: f.next(), next: f.next(), expired: f.next(), expiredAt: int64(f.next()), forgotten: f.next(),
		generation: f.next(),
	}
	if len(f.b) > 0 { // the old format has none
		s.changed = f.next()
	}
	return s, f.end()
}

// stats are the sizes of a log with this state.
func (s *logState) stats(recent *recent) log.Stats {
	stats := log.Stats{
		Events: s.events + uint64(len(recent.entries)), Bytes: s.bytes + recent.bytes, Channels: s.channels,
	}
	for _, c := range recent.channels {
		if c.settled == 0 {
			stats.Channels++
		}
	}
	return stats
}

// channelRow is what is known of a channel.
type channelRow struct {
	number  uint64 // not in the value
	name    string
	events  uint64
	bytes   int64
	last    uint64 // its newest entry, retained or not
	trimmed uint64 // every entry up to here is lost

	changed bool // in this transaction
	gone    bool
}

func (r *channelRow) append(dst []byte) []byte {
	return append(appendFields(dst, r.events, uint64(r.bytes), r.last, r.trimmed), r.name...)
}

func parseChannel(number uint64, b []byte) (*channelRow, error) {
	f := fields{b: b}
	r := &channelRow{number: number, events: f.next(), bytes: int64(f.next()), last: f.next(), trimmed: f.next()}
	if f.bad {
		return nil, errRecord
	}
	r.name = string(f.b)
	return r, nil
}

// eventRecord is a retained event as it is stored.
type eventRecord struct {
	seq     uint64
	prev    uint64 // the entry before it in its channel, 0 if it was the first
	at      int64
	tag     event.Tag
	encoded []byte
}

func appendEvent(dst []byte, prev uint64, at int64, tag event.Tag) []byte {
	return appendFields(dst, prev, uint64(at), uint64(tag))
}

// parseEvent reads a record of the events bucket. The result refers to value.
func parseEvent(key, value []byte) (number uint64, r eventRecord, err error) {
	if number, r.seq, err = twoNumbers(key); err != nil {
		return 0, r, err
	}
	if value, err = unseal(bucketEvents, key, value); err != nil {
		return 0, r, err
	}
	f := fields{b: value}
	r.prev, r.at, r.tag = f.next(), int64(f.next()), event.Tag(f.next())
	r.encoded = f.b
	if f.bad || r.prev >= r.seq {
		return 0, r, errRecord
	}
	return number, r, nil
}

func (r *eventRecord) entry() (event.Entry, error) {
	e, err := event.DecodeBinary(r.encoded)
	if err != nil {
		return event.Entry{}, errRecord
	}
	return event.Entry{Seq: r.seq, Tag: r.tag, At: r.at, Event: e}, nil
}

// orderRow is where a retained entry stands.
type orderRow struct {
	channel uint64
	at      int64
	tag     event.Tag
	size    int64 // of the encoded event
}

func (r orderRow) append(dst []byte) []byte {
	return appendFields(dst, r.channel, uint64(r.at), uint64(r.tag), uint64(r.size))
}

func parseOrder(key, value []byte) (seq uint64, r orderRow, err error) {
	if seq, err = oneNumber(key); err != nil {
		return 0, r, err
	}
	if value, err = unseal(bucketOrder, key, value); err != nil {
		return 0, r, err
	}
	r, err = parseOrderValue(value)
	return seq, r, err
}

func parseOrderValue(value []byte) (orderRow, error) {
	f := fields{b: value}
	r := orderRow{channel: f.next(), at: int64(f.next()), tag: event.Tag(f.next()), size: int64(f.next())}
	return r, f.end()
}

// takenRow is what is known of an entry while its key is remembered.
type takenRow struct {
	at  int64
	tag event.Tag
	key []byte // in the keys bucket; empty if the event had none
	// message is the key of the message that the entry changed, if it did.
	message []byte
}

func (r takenRow) append(dst []byte) []byte {
	dst = append(appendFields(dst, uint64(r.at), uint64(r.tag), uint64(len(r.key))), r.key...)
	return append(dst, r.message...)
}

func parseTaken(key, value []byte) (seq uint64, r takenRow, err error) {
	if seq, err = oneNumber(key); err != nil {
		return 0, r, err
	}
	if value, err = unseal(bucketTaken, key, value); err != nil {
		return 0, r, err
	}
	r, err = parseTakenValue(value)
	return seq, r, err
}

func parseTakenValue(value []byte) (takenRow, error) {
	f := fields{b: value}
	r := takenRow{at: int64(f.next()), tag: event.Tag(f.next())}
	r.key = f.text()
	r.message = f.b
	if f.bad {
		return takenRow{}, errRecord
	}
	return r, nil
}

// keyRow is where the event with a key stands.
type keyRow struct{ seq, content uint64 }

func (r keyRow) append(dst []byte) []byte { return appendNumber(appendNumber(dst, r.seq), r.content) }

func parseKey(key, value []byte) (r keyRow, err error) {
	if value, err = unseal(bucketKeys, key, value); err != nil {
		return r, err
	}
	return parseKeyValue(value)
}

func parseKeyValue(value []byte) (r keyRow, err error) {
	r.seq, r.content, err = twoNumbers(value)
	return r, err
}
