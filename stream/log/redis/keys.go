package redis

import (
	"crypto/sha256"
	"encoding/base64"
	"strings"
)

// Every key of a hub is one of a few whose names depend on nothing but the
// prefix and the hub's name, so that a script can name them all and a Cluster
// keeps them in one slot: the hub's name stands in the braces that choose it.
// Names of channels and keys of events are digests within those keys: whatever
// a stranger calls a room, it is never a part of a key's name or of a pattern.
//
//	head      hash    epoch, newest position, counters, the secret of those who share it
//	feed      stream  the newest entries, in one row, for the nodes that follow
//	events    hash    seq -> retained entry
//	places    zset    channel + seq of each, in this order
//	index     stream  tag, time, channel and key of every entry whose key is remembered
//	ids       hash    key of an event -> position, digest of its content
//	channels  hash    channel -> newest trimmed seq, count, bytes
//	marks     hash    source -> mark
//
// Records are apart from these: a log is whole without them.
//
//	records    hash    id -> its end, and the record
//	recordends zset    end + id of each, in this order
//
// So are the turns:
//
//	turns     hash    what -> who has it and until when; what:done -> until when it is done
func keyNames(prefix, hub string) []string {
	base := escapeKey(prefix) + ":{" + escapeKey(hub) + "}:"
	keys := []string{"head", "feed", "events", "places", "index", "ids", "channels", "marks"}
	for i := range keys {
		keys[i] = base + keys[i]
	}
	return keys
}

// recordKeyNames are the keys of a hub's records, in the slot of the others.
func recordKeyNames(prefix, hub string) []string {
	base := escapeKey(prefix) + ":{" + escapeKey(hub) + "}:"
	return []string{base + "records", base + "recordends"}
}

const (
	keyHead  = 0 // their numbers in keyNames
	keyFeed  = 1
	keyMarks = 7
)

// escapeKey writes a name so that no other name looks the same, and without
// anything that means something in a pattern, a hash tag or a list.
func escapeKey(name string) string {
	const hex = "0123456789ABCDEF"
	var b strings.Builder
	for i := range len(name) {
		c := name[i]
		switch {
		case c >= '0' && c <= '9', c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c == '-', c == '_', c == '.':
			b.WriteByte(c)
		default:
			b.WriteByte('%')
			b.WriteByte(hex[c>>4])
			b.WriteByte(hex[c&15])
		}
	}
	return b.String()
}

// tokenOf stands for a name within a key: 24 bytes of its digest, 32 letters.
func tokenOf(name string) string {
	sum := sha256.Sum256([]byte(name))
	return base64.RawURLEncoding.EncodeToString(sum[:24])
}
