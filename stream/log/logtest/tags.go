package logtest

import (
	"crypto/sha1" //nolint:gosec // it is what an attacker would try
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"hash/crc32"
	"strconv"
	"testing"

	"github.com/seed-078801ba/sidestream/stream/event"
	"github.com/seed-078801ba/sidestream/stream/log"
)

// testTags: whoever holds the tag of an event that he may not read learns nothing
// of it, though he knows all but four digits, where it stands, and how logs work.
func testTags(t *testing.T, s Store) {
	const code = 4711
	said := func(guess int) event.Event {
		return Message("secret", "9", fmt.Sprintf("Your code is %04d", guess))
	}
	history := func() (before, heard event.Tag) {
		l := s.Open(t, log.Retention{}, Fixed)
		before = Put(t, l, Message("room", "1", "x"))[0].Entry.Tag
		Put(t, l, said(code))
		return before, l.Head().Tag
	}
	before, heard := history()
	matches := 0
	for guess := range 10_000 {
		e := said(guess)
		for _, tag := range digests(before, 2, e.AppendBinary(nil)) {
			if tag == heard {
				matches++
				t.Logf("guess %04d fits", guess)
			}
		}
	}
	if matches > 1 { // one may be chance: of a hundred thousand guesses, one in ten thousand times
		t.Errorf("%d guesses fit", matches)
	}
	// Nor can he play the same history again and compare.
	for range 20 {
		if _, again := history(); again == heard {
			t.Errorf("the same history has the same tag, %v", heard)
		}
	}
}

// digests are the tags of an entry that one could think of.
func digests(before event.Tag, seq uint64, encoded []byte) (tags []event.Tag) {
	castagnoli := crc32.MakeTable(crc32.Castagnoli)
	number := binary.LittleEndian.AppendUint64(nil, seq)
	for _, text := range [][]byte{encoded, append(number, encoded...), binary.BigEndian.AppendUint64(nil, seq), append(binary.BigEndian.AppendUint64(nil, seq), encoded...)} {
		tags = append(tags, event.Tag(crc32.Checksum(text, castagnoli)), event.Tag(crc32.ChecksumIEEE(text)))
	}
	for _, sum := range []uint32{crc32.Checksum(encoded, castagnoli), crc32.Checksum(append(make([]byte, 8), encoded...), castagnoli) & (1<<30 - 1)} {
		text := strconv.FormatUint(uint64(before), 10) + " " + strconv.FormatUint(seq, 10) + " " + strconv.FormatUint(uint64(sum), 10)
		hash := sha1.Sum([]byte(text)) //nolint:gosec // as above
		n, _ := strconv.ParseUint(hex.EncodeToString(hash[:])[:8], 16, 32)
		tags = append(tags, event.Tag(n))
	}
	for i := range tags {
		tags[i] &= 1<<30 - 1
	}
	return tags
}
