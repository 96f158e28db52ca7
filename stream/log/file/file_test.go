package file

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"os"
	"reflect"
	"strings"
	"testing"
	"time"

	bolt "go.etcd.io/bbolt"

	"github.com/seed-078801ba/sidestream/stream/event"
	"github.com/seed-078801ba/sidestream/stream/log"
	"github.com/seed-078801ba/sidestream/stream/log/logtest"
)

// TestFileStopsGrowing: the size of a file follows what is retained, not what
// went through it.
func TestFileStopsGrowing(t *testing.T) {
	now := logtest.Time
	clock := func() time.Time { return now }
	f := openFile(t, t.TempDir()+"/log.db", Options{Retention: log.Retention{Events: 20, Age: 30 * time.Hour}, Now: clock, UnsafeNoSync: true})
	var sizes []int64
	id := 0
	for day := range 8 {
		for range 60 {
			var batch []event.Event
			for range 20 {
				id++
				// Some channels come and go.
				batch = append(batch, logtest.Message(fmt.Sprint(id%10, "/", day*(id%2)), fmt.Sprint(id), strings.Repeat("x", id%500)))
			}
			logtest.Put(t, f, batch...)
		}
		now = now.Add(25 * time.Hour)
		logtest.SweepAll(t, f, now)
		sizes = append(sizes, f.usedPages(t))
	}
	t.Logf("pages at the end of each day: %v", sizes)
	if first, last := sizes[2], sizes[len(sizes)-1]; last > first+first/4 {
		t.Errorf("it grew from %d to %d pages", first, last)
	}
	f.SetRetention(log.Retention{Age: time.Hour})
	now = now.Add(50 * time.Hour)
	logtest.SweepAll(t, f, now)
	logtest.Must(t, f.db.View(func(tx *bolt.Tx) error {
		for _, bucket := range buckets {
			if n := bucketOf(tx, bucket).Stats().KeyN; n > 0 && bucket != bucketHub && bucket != bucketJournal {
				t.Errorf("all expired, %s has %d records", bucket, n)
			}
		}
		return nil
	}))
	verifyFile(t, f)
}

// usedPages is the size of the file in pages, without what bbolt takes ahead.
func (f *Log) usedPages(t *testing.T) int64 {
	t.Helper()
	page := make([]byte, os.Getpagesize())
	var pages uint64
	for i := range int64(2) {
		_, err := f.file.ReadAt(page, i*int64(len(page)))
		logtest.Must(t, err)
		meta, err := parseMeta(page)
		logtest.Must(t, err)
		pages = max(pages, meta.pages)
	}
	return int64(pages)
}

// TestFreeBytes: what is read of the list of free pages is what bbolt counts.
func TestFreeBytes(t *testing.T) {
	path := t.TempDir() + "/log.db"
	f := openFile(t, path, Options{Now: logtest.Fixed})
	f.makeRoom(t)
	got, err := freeBytes(f.file, f.pageSize)
	logtest.Must(t, err)
	logtest.Must(t, f.Close())
	db, err := bolt.Open(path, 0o600, nil)
	logtest.Must(t, err)
	defer db.Close()
	tx, err := db.Begin(true)
	logtest.Must(t, err)
	logtest.Must(t, tx.Rollback())
	if want := int64(db.Stats().FreePageN+db.Stats().PendingPageN) * int64(os.Getpagesize()); got != want || got < 20*20_000 {
		t.Errorf("%d bytes are free, bbolt says %d", got, want)
	}
}

// makeRoom fills the file and removes most of it.
func (f *Log) makeRoom(t *testing.T) {
	t.Helper()
	for id := range 25 {
		logtest.Put(t, f, logtest.Message("a", fmt.Sprint(id), strings.Repeat("x", 20_000)))
	}
	logtest.SweepAll(t, f, logtest.Time)
	f.SetRetention(log.Retention{Events: 1})
	logtest.SweepAll(t, f, logtest.Time)
	logtest.Put(t, f, logtest.Message("a", "last", "x"))
	logtest.SweepAll(t, f, logtest.Time) // frees what the transaction before held
}

// TestRoomInTheFile: a store whose disk was full is well again when there is
// room in the file, whatever the disk says; and not before.
func TestRoomInTheFile(t *testing.T) {
	folder := t.TempDir() + "/disk"
	f := openFile(t, folder+"/log.db", Options{Now: logtest.Fixed})
	f.makeRoom(t)
	free, err := freeBytes(f.file, f.pageSize)
	logtest.Must(t, err)
	logtest.Must(t, os.RemoveAll(folder)) // it takes nothing more; the open file stays
	f.want = free
	if err := f.checkRoom(); !errors.Is(err, log.ErrFailed) || f.want == 0 {
		t.Errorf("%v, with %d bytes for %d", err, free, f.want)
	}
	f.want = free / roomShare
	if err := f.checkRoom(); err != nil || f.want != 0 {
		t.Errorf("%v, with %d bytes for %d", err, free, f.want)
	}
}

func TestDuplicatesCostNoCommit(t *testing.T) {
	f := openFile(t, t.TempDir()+"/log.db", Options{Now: logtest.Fixed})
	logtest.Put(t, f, logtest.Message("a", "1", "x"))
	logtest.SweepAll(t, f, logtest.Time)
	before, err := os.ReadFile(f.path)
	logtest.Must(t, err)
	logtest.Put(t, f, logtest.Message("a", "1", "x"), logtest.Message("a", "1", "y"))
	_, err = f.Sweep(logtest.Time)
	logtest.Must(t, err)
	after, err := os.ReadFile(f.path)
	logtest.Must(t, err)
	if !bytes.Equal(before, after) {
		t.Error("something was written")
	}
}

func TestInspect(t *testing.T) {
	f := openFile(t, t.TempDir()+"/log.db", Options{Retention: log.Retention{Events: 2}, Now: logtest.Fixed})
	logtest.Put(t, f, logtest.Message("a", "1", "x"), logtest.Message("b", "1", "x"), logtest.Message("a", "2", "x"), logtest.Message("a", "3", "x"))
	head, size := f.Head(), f.Stats().Bytes
	logtest.Must(t, f.Close())
	before, err := os.ReadFile(f.path)
	logtest.Must(t, err)
	i, err := Inspect(f.path)
	logtest.Must(t, err)
	s, err := i.Summary()
	if err != nil || s.Head != head || s.Events != 3 || s.Channels != 2 || s.Oldest != 2 || s.Bytes != size || s.Unclean ||
		s.FileSize != int64(len(before)) || s.Free <= 0 || s.Free > s.FileSize {
		t.Errorf("%+v, %v", s, err)
	}
	var channels []ChannelSummary
	logtest.Must(t, i.Channels(func(c ChannelSummary) error {
		c.Bytes = 0
		channels = append(channels, c)
		return nil
	}))
	want := []ChannelSummary{{"a", 2, 0, 3, 4, 1}, {"b", 1, 0, 2, 2, 0}}
	if fmt.Sprint(channels) != fmt.Sprint(want) {
		t.Errorf("%+v", channels)
	}
	for _, test := range []struct {
		channels []string
		want     string
	}{{nil, "2 3 4"}, {[]string{"a"}, "3 4"}, {[]string{"none"}, ""}} {
		var entries []event.Entry
		logtest.Must(t, i.Entries(func(e event.Entry) error { entries = append(entries, e); return nil }, test.channels...))
		if logtest.Seqs(entries) != test.want {
			t.Errorf("%v: %s", test.channels, logtest.Seqs(entries))
		}
	}
	stop := errors.New("stop")
	if err := i.Entries(func(event.Entry) error { return stop }); !errors.Is(err, stop) {
		t.Errorf("stopped with %v", err)
	}
	if problems, err := i.Verify(); len(problems) > 0 || err != nil {
		t.Error(problems, err)
	}
	logtest.Must(t, i.Close())
	after, err := os.ReadFile(f.path)
	logtest.Must(t, err)
	if !bytes.Equal(before, after) {
		t.Error("inspecting changed the file")
	}
}

// TestInspectRecent: what is not settled is seen like all else.
func TestInspectRecent(t *testing.T) {
	f := openFile(t, t.TempDir()+"/log.db", Options{Now: logtest.Fixed})
	logtest.Put(t, f, logtest.Message("a", "1", "x"), logtest.Message("b", "1", "x"))
	logtest.SweepAll(t, f, logtest.Time)
	logtest.Put(t, f, logtest.Message("c", "1", "x"), logtest.Message("a", "2", "x"))
	want, head := f.Stats(), f.Head()
	logtest.Must(t, f.Close())
	i, err := Inspect(f.path)
	logtest.Must(t, err)
	s, err := i.Summary()
	if err != nil || s.Head != head || s.Events != 4 || s.Channels != 3 || s.Oldest != 1 || s.Bytes != want.Bytes {
		t.Errorf("%+v, %v", s, err)
	}
	var channels []ChannelSummary
	logtest.Must(t, i.Channels(func(c ChannelSummary) error {
		c.Bytes = 0
		channels = append(channels, c)
		return nil
	}))
	if want := []ChannelSummary{{"a", 2, 0, 1, 4, 0}, {"b", 1, 0, 2, 2, 0}, {"c", 1, 0, 3, 3, 0}}; fmt.Sprint(channels) != fmt.Sprint(want) {
		t.Errorf("%+v", channels)
	}
	var entries []event.Entry
	logtest.Must(t, i.Entries(func(e event.Entry) error { entries = append(entries, e); return nil }, "a", "c"))
	if logtest.Seqs(entries) != "1 3 4" {
		t.Error(logtest.Seqs(entries))
	}
	logtest.Must(t, i.Close())
}

// TestSettles: the journal is bounded, what a channel has over its bounds goes
// in time, and reopening changes nothing of it.
func TestSettles(t *testing.T) {
	const keep = 2 * journalShare
	r := log.Retention{Events: keep}
	path := t.TempDir() + "/log.db"
	f := openFile(t, path, Options{Now: logtest.Fixed, UnsafeNoSync: true, Retention: r})
	settled, id := 0, 0
	for range 3 * journalEvents / 16 {
		var batch []event.Event
		for range 16 {
			id++
			batch = append(batch, logtest.Message(fmt.Sprint(id%40), fmt.Sprint(id), "x"))
		}
		logtest.Put(t, f, batch...)
		if n := len(f.recent.entries); n > journalEvents {
			t.Fatalf("%d entries in the journal", n)
		} else if n == 0 {
			settled++
		}
		if id%(16*20) == 0 {
			want := f.Stats()
			logtest.Must(t, f.Close())
			f = openFile(t, path, Options{Now: logtest.Fixed, UnsafeNoSync: true, Retention: r})
			if got := f.Stats(); got.Events != want.Events || got.Bytes != want.Bytes || got.Channels != want.Channels || got.Oldest != want.Oldest {
				t.Fatalf("%+v became %+v", want, got)
			}
		}
		if n := len(logtest.Read(t, f, 0, "7")); n > keep+keep/journalShare {
			t.Fatalf("%d events are kept", n)
		}
	}
	if settled == 0 || settled > id/60 {
		t.Errorf("it was settled %d times", settled)
	}
	logtest.SweepAll(t, f, logtest.Time)
	if got := f.Stats(); got.Events != 40*keep {
		t.Errorf("%+v", got)
	}
	verifyFile(t, f)
}

// FuzzRecords reads records that nobody wrote: no panic, and what is accepted
// is what would be written.
func FuzzRecords(f *testing.F) {
	key2, key1 := appendNumber(appendNumber(nil, 1), 7), appendNumber(nil, 7)
	e := logtest.Message("a", "1", "x")
	f.Add(key2, append(appendEvent(nil, 3, 1, 5), e.AppendBinary(nil)...))
	f.Add(key1, append(appendFields(nil, 1), e.AppendBinary(nil)...))
	f.Add(key1, orderRow{1, 2, 3, 4}.append(nil))
	f.Add(key1, takenRow{1, 2, []byte("key"), []byte("message")}.append(nil))
	f.Add(key1, (&channelRow{events: 1, bytes: 2, last: 3, trimmed: 4, name: "a"}).append(nil))
	f.Add([]byte(hubState), (&logState{seq: 1, at: 2}).append(nil))
	f.Add([]byte("key"), keyRow{1, 2}.append(nil))
	f.Add([]byte(journalKey), append([]byte{1, 2, 9, 1, 'e', 9, 0}, "\x01s\x01v"...))
	f.Add([]byte(journalKey), appendMark(nil, 7, 3))
	f.Fuzz(func(t *testing.T, key, value []byte) {
		if _, err := unseal(bucketKeys, key, value); err == nil && len(value) < sealSize {
			t.Error("a record without a checksum was accepted")
		}
		sealed := func(bucket string) []byte { return seal(bucket, key, bytes.Clone(value)) }
		if _, r, err := parseEvent(key, sealed(bucketEvents)); err == nil {
			if entry, err := r.entry(); err == nil && entry.Seq != r.seq {
				t.Errorf("%+v", entry)
			}
		}
		head := make([]byte, journalHead)
		binary.BigEndian.PutUint32(head[4:], uint32(len(value)))
		record := append(head, value...)
		binary.BigEndian.PutUint32(record, crc32.Checksum(record[4:], castagnoli))
		if r, err := parseJournal(record, 0, false); err == nil {
			again := newCommit(logState{}, nil, log.Retention{})
			again.at, again.fresh.marks = r.at, r.marks
			for _, e := range r.events {
				again.fresh.entries = append(again.fresh.entries, &recentEntry{Entry: event.Entry{Tag: e.tag}, encoded: e.encoded})
			}
			j := journal{end: 1 << 40}
			b, _ := j.encode(again)
			if r2, err := parseJournal(b, 0, false); err != nil || r2.at != r.at || !reflect.DeepEqual(r2.marks, r.marks) || len(r2.events) != len(r.events) {
				t.Errorf("%+v came back as %+v, %v", r, r2, err)
			}
		}
		if next, ok := parseMark(value, 7); ok && !bytes.Equal(appendMark(nil, 7, next), value[:journalHead]) {
			t.Error(next)
		}
		if seq, r, err := parseOrder(key, sealed(bucketOrder)); err == nil {
			again := appendNumber(nil, seq)
			if _, r2, err := parseOrder(again, seal(bucketOrder, again, r.append(nil))); err != nil || r2 != r {
				t.Errorf("%+v came back as %+v, %v", r, r2, err)
			}
		}
		if seq, r, err := parseTaken(key, sealed(bucketTaken)); err == nil {
			again := appendNumber(nil, seq)
			if _, r2, err := parseTaken(again, seal(bucketTaken, again, r.append(nil))); err != nil || r2.at != r.at || !bytes.Equal(r2.key, r.key) || !bytes.Equal(r2.message, r.message) {
				t.Errorf("%+v came back as %+v, %v", r, r2, err)
			}
		}
		if _, r, err := parseChannelRecord(key, sealed(bucketChannels)); err == nil {
			if r2, err := parseChannel(r.number, r.append(nil)); err != nil || *r2 != *r {
				t.Errorf("%+v came back as %+v, %v", r, r2, err)
			}
		}
		if s, err := parseState(value); err == nil {
			if s2, err := parseState(s.append(nil)); err != nil || s2 != s {
				t.Errorf("%+v came back as %+v, %v", s, s2, err)
			}
		}
		if r, err := parseKey(key, sealed(bucketKeys)); err == nil && !bytes.Equal(r.append(nil), value) {
			t.Errorf("%+v", r)
		}
		_, _ = parseMeta(value)
	})
}
