package redis

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/redis/rueidis"
)

// streamID is the id of an entry: milliseconds, and a number among those of
// the same one.
type streamID struct{ ms, seq uint64 }

func (i streamID) String() string {
	return strconv.FormatUint(i.ms, 10) + "-" + strconv.FormatUint(i.seq, 10)
}

func (i streamID) before(j streamID) bool { return i.ms < j.ms || i.ms == j.ms && i.seq < j.seq }

func parseStreamID(s string) (streamID, bool) {
	ms, seq, ok := strings.Cut(s, "-")
	if !ok {
		return streamID{}, false
	}
	a, err := strconv.ParseUint(ms, 10, 64)
	b, err2 := strconv.ParseUint(seq, 10, 64)
	return streamID{a, b}, err == nil && err2 == nil
}

// unknown is a count that Redis did not say; it counts from version 7 on.
const unknown = -1

// progress is how far a stream was read.
type progress struct {
	id      streamID
	ordinal int64 // how many entries the stream has had up to this one, or unknown
}

// streamInfo is what XINFO STREAM says.
type streamInfo struct {
	exists     bool
	length     int64
	last       streamID // the newest that there ever was
	added      int64    // how many there ever were, or unknown
	maxDeleted streamID // the newest that XDEL has taken
}

func parseStreamInfo(m map[string]rueidis.RedisMessage) (streamInfo, error) {
	info := streamInfo{exists: true, added: unknown}
	for _, field := range []struct {
		name     string
		required bool
		read     func(v rueidis.RedisMessage) error
	}{
		{"length", true, func(v rueidis.RedisMessage) (err error) { info.length, err = v.AsInt64(); return }},
		{"entries-added", false, func(v rueidis.RedisMessage) (err error) { info.added, err = v.AsInt64(); return }},
		{"last-generated-id", true, func(v rueidis.RedisMessage) error { return readStreamID(v, &info.last) }},
		{"max-deleted-entry-id", false, func(v rueidis.RedisMessage) error { return readStreamID(v, &info.maxDeleted) }},
	} {
		v, ok := m[field.name]
		if !ok && !field.required {
			continue
		}
		if err := field.read(v); err != nil {
			return info, fmt.Errorf("XINFO STREAM: reading %s: %w", field.name, err)
		}
	}
	return info, nil
}

func readStreamID(v rueidis.RedisMessage, to *streamID) error {
	text, err := v.ToString()
	if err != nil {
		return err
	}
	id, ok := parseStreamID(text)
	if !ok {
		return fmt.Errorf("%q is no id", text)
	}
	*to = id
	return nil
}

// verdict is what became of a read.
type verdict struct {
	lost     bool     // entries behind the place before are gone
	progress progress // from where to go on
}

// judge finds out whether entries behind a place were trimmed, deleted, or gone
// with the whole stream before they could be read. read entries up to last were
// read behind it; info and present (whether the entry at the place is still in
// the stream) were found out after that. Where it cannot tell, entries are
// lost.
func judge(before progress, last streamID, read int, info streamInfo, present bool) verdict {
	switch {
	case before.id == streamID{} && read == 0 && !info.exists:
		return verdict{progress: before}
	case !info.exists, info.last.before(last):
		// Deleted or another one: begin at its beginning.
		return verdict{lost: true, progress: progress{ordinal: unknown}}
	}
	next := progress{last, unknown}
	counted := before.ordinal != unknown && info.added != unknown
	if counted {
		next.ordinal = before.ordinal + int64(read)
	}
	caughtUp := info.last == last && info.added != unknown
	if caughtUp {
		next.ordinal = info.added
	}
	removed := info.added - info.length // the oldest ones, if none was deleted
	switch {
	case before.id == streamID{}:
		return verdict{progress: next} // whatever was there at first
	case counted && caughtUp:
		return verdict{info.added != before.ordinal+int64(read), next}
	case counted && info.maxDeleted == streamID{}:
		lost := removed > before.ordinal || !present && removed < before.ordinal
		switch {
		case lost && read == 0:
			next.ordinal = removed // told of; what is there now is the rest
		case lost:
			next.ordinal = unknown
		}
		return verdict{lost, next}
	case present && !before.id.before(info.maxDeleted):
		return verdict{progress: next}
	}
	if !caughtUp {
		next.ordinal = unknown
	}
	return verdict{true, next}
}
