package file

import (
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	bolt "go.etcd.io/bbolt"

	"github.com/seed-078801ba/sidestream/stream/event"
	"github.com/seed-078801ba/sidestream/stream/log"
	"github.com/seed-078801ba/sidestream/stream/log/logtest"
)

func TestOpenMakesTheFile(t *testing.T) {
	folder := t.TempDir() + "/new/folder"
	f := openFile(t, folder+"/log.db", Options{})
	info, err := os.Stat(f.path)
	logtest.Must(t, err)
	if info.Mode().Perm() != 0o600 {
		t.Errorf("the file has mode %v", info.Mode())
	}
	if !f.Durable() || f.MovedTo() != "" || f.Stats().FileSize != info.Size() {
		t.Error(f.Durable(), f.MovedTo(), f.Stats())
	}
	entries, err := os.ReadDir(folder)
	if err != nil || len(entries) != 1 {
		t.Errorf("the folder has %v, %v", entries, err)
	}
}

func TestLocked(t *testing.T) {
	path := t.TempDir() + "/log.db"
	f := openFile(t, path, Options{})
	_, err := Open(path, Options{LockTimeout: 200 * time.Millisecond})
	if !errors.Is(err, ErrLocked) || !strings.Contains(err.Error(), path) {
		t.Errorf("a second one: %v", err)
	}
	if _, err := Inspect(path); !errors.Is(err, ErrLocked) || !strings.Contains(err.Error(), "stop the server") {
		t.Errorf("inspecting: %v", err)
	}
	logtest.Must(t, f.Close())
	openFile(t, path, Options{})
}

func TestOpenRefuses(t *testing.T) {
	tests := []struct {
		name string
		make func(t *testing.T, path string)
		want error
	}{
		{"newer format", func(t *testing.T, path string) {
			changeDB(t, path, func(tx *bolt.Tx) error { return bucketOf(tx, bucketHub).Put([]byte(hubFormat), []byte("5")) })
		}, ErrNewerFormat},
		{"older format", func(t *testing.T, path string) {
			changeDB(t, path, func(tx *bolt.Tx) error { return bucketOf(tx, bucketHub).Put([]byte(hubFormat), []byte("2")) })
		}, nil},
		{"no format", func(t *testing.T, path string) {
			changeDB(t, path, func(tx *bolt.Tx) error { return bucketOf(tx, bucketHub).Put([]byte(hubFormat), []byte("x")) })
		}, ErrDamaged},
		{"no bucket", func(t *testing.T, path string) {
			changeDB(t, path, func(tx *bolt.Tx) error { return tx.DeleteBucket([]byte(bucketKeys)) })
		}, ErrDamaged},
		{"newer bbolt", func(t *testing.T, path string) {
			openFile(t, path, Options{}).Close()
			changeBytes(t, path, func(b []byte) { b[pageHeader+4], b[os.Getpagesize()+pageHeader+4] = 3, 3 })
		}, ErrNewerFormat},
		{"empty file", func(t *testing.T, path string) { logtest.Must(t, os.WriteFile(path, nil, 0o600)) }, ErrDamaged},
		{"text", func(t *testing.T, path string) {
			logtest.Must(t, os.WriteFile(path, []byte(strings.Repeat("hello\n", 10_000)), 0o600))
		}, ErrDamaged},
		{"folder", func(t *testing.T, path string) { logtest.Must(t, os.Mkdir(path, 0o700)) }, nil},
		{"other database", func(t *testing.T, path string) {
			db, err := bolt.Open(path, 0o600, nil)
			logtest.Must(t, err)
			logtest.Must(t, db.Close())
		}, nil},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			path := t.TempDir() + "/log.db"
			test.make(t, path)
			f, err := Open(path, Options{})
			if err == nil || test.want != nil && !errors.Is(err, test.want) || !strings.Contains(err.Error(), path) {
				t.Fatalf("got %v, %v", f, err)
			}
			if test.want == nil && errors.Is(err, ErrDamaged) {
				t.Errorf("it is called damaged: %v", err)
			}
			if errors.Is(err, ErrDamaged) && !strings.Contains(err.Error(), "sidestream log --verify") {
				t.Errorf("it does not say what to do: %v", err)
			}
			if f, err := Open(path, Options{MoveDamaged: true}); errors.Is(test.want, ErrDamaged) {
				if err != nil {
					t.Fatal(err)
				}
				if _, err := os.Stat(f.MovedTo()); err != nil || f.Head().Seq != 0 {
					t.Error(f.MovedTo(), err)
				}
				logtest.Must(t, f.Close())
			} else if err == nil {
				t.Error("it was moved")
			}
		})
	}
	if _, err := Inspect(t.TempDir() + "/none"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("inspecting nothing: %v", err)
	}
}

// changeDB changes a log by hand.
func changeDB(t *testing.T, path string, change func(tx *bolt.Tx) error) {
	t.Helper()
	f := openFile(t, path, Options{})
	logtest.Must(t, f.db.Update(change))
	logtest.Must(t, f.Close())
}

func changeBytes(t *testing.T, path string, change func(b []byte)) {
	t.Helper()
	b, err := os.ReadFile(path)
	logtest.Must(t, err)
	change(b)
	logtest.Must(t, os.WriteFile(path, b, 0o600))
}

// sampleFile is a closed log with some thousand events, and what it holds.
func sampleFile(t *testing.T) (path string, want map[string][]event.Entry) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "log.db")
	f := openFile(t, path, Options{Retention: log.Retention{Events: 40}, Now: logtest.Fixed})
	for i := range 60 {
		var batch []event.Event
		for j := range 50 {
			batch = append(batch, logtest.Message(fmt.Sprintf("channel %d", (i*50+j)%37), fmt.Sprint(i*50+j), strings.Repeat("x", j*3)))
		}
		logtest.Put(t, f, batch...)
	}
	want = map[string][]event.Entry{}
	for i := range 37 {
		channel := fmt.Sprintf("channel %d", i)
		want[channel] = logtest.Read(t, f, 0, channel)
	}
	logtest.Must(t, f.Close())
	return path, want
}

// outcome is what a log does with a file that was damaged.
type outcome int

const (
	refused  outcome = iota // Open returned an error
	noticed                 // some reads or appends returned an error
	harmless                // everything was as before
)

// useDamaged opens a file and uses it: whatever it still serves must be what
// was stored.
func useDamaged(t *testing.T, path string, want map[string][]event.Entry) outcome {
	t.Helper()
	f, err := Open(path, Options{Retention: log.Retention{Events: 40}, Now: logtest.Fixed})
	if err != nil {
		if !errors.Is(err, ErrDamaged) && !errors.Is(err, ErrNewerFormat) && !strings.Contains(err.Error(), "something else") {
			t.Errorf("refused with %v", err)
		}
		return refused
	}
	defer f.Close()
	result, appended := harmless, 0
	for channel, entries := range want {
		got, _, err := f.Read([]string{channel}, 0, ^uint64(0), 0, 0)
		if err != nil {
			result = noticed
		} else if !reflect.DeepEqual(got, entries) {
			t.Errorf("%s: read %s, want %s", channel, logtest.Seqs(got), logtest.Seqs(entries))
		}
		for _, e := range entries[:3] {
			if tag, ok, err := f.TagAt(e.Seq); err != nil {
				result = noticed
			} else if !ok || tag != e.Tag {
				t.Errorf("tag at %d is %v, %v", e.Seq, tag, ok)
			}
		}
		if appended++; appended > 6 {
			continue
		}
		last := entries[len(entries)-1]
		got2, err := f.Append([]event.Event{last.Event, logtest.Message(channel, "new", "x")}, nil)
		if err != nil {
			result = noticed
			f.failure.retry = time.Time{}
		} else if !got2[0].Duplicate || got2[0].Entry.Seq != last.Seq || got2[1].Duplicate {
			t.Errorf("%s: %d again: %+v", channel, last.Seq, got2)
		}
	}
	if _, err := f.Sweep(logtest.Time); err != nil {
		result = noticed
	}
	return result
}

func TestFlippedBytes(t *testing.T) {
	path, want := sampleFile(t)
	whole, err := os.ReadFile(path)
	logtest.Must(t, err)
	var places []int
	for i := range 2 {
		for j := range pageHeader + metaSize {
			places = append(places, i*os.Getpagesize()+j)
		}
	}
	f := openFile(t, path, Options{Now: logtest.Fixed})
	unused, end := int(f.journal.next), int(f.journal.end)
	logtest.Must(t, f.Close())
	random := rand.New(rand.NewPCG(1, 2))
	for len(places) < 300 {
		if place := random.IntN(len(whole)); place < unused || place >= end {
			places = append(places, place)
		}
	}
	// The heads of pages are where bbolt trusts most.
	for range 80 {
		places = append(places, random.IntN(len(whole)/os.Getpagesize())*os.Getpagesize()+random.IntN(200))
	}
	counts := map[outcome]int{}
	damagedPath := filepath.Join(t.TempDir(), "log.db")
	for _, place := range places {
		b := append([]byte(nil), whole...)
		b[place] ^= byte(1 + random.IntN(255))
		logtest.Must(t, os.WriteFile(damagedPath, b, 0o600))
		counts[useDamaged(t, damagedPath, want)]++
		if t.Failed() {
			t.Fatalf("byte %d of %d: %x became %x", place, len(whole), whole[place], b[place])
		}
	}
	t.Logf("of %d flipped bytes, %d were refused, %d noticed, %d did no harm", len(places), counts[refused], counts[noticed], counts[harmless])
	if counts[refused] == 0 || counts[noticed] == 0 {
		t.Error("too few were noticed")
	}
}

func TestTruncated(t *testing.T) {
	path, want := sampleFile(t)
	whole, err := os.ReadFile(path)
	logtest.Must(t, err)
	used := 0
	for i := range 2 {
		meta, err := parseMeta(whole[i*os.Getpagesize():])
		logtest.Must(t, err)
		used = max(used, int(meta.pages)*os.Getpagesize())
	}
	damagedPath := filepath.Join(t.TempDir(), "log.db")
	cuts := []int{len(whole) - 1, len(whole) - 4096, used, used - 1, used - 17, used - 4095, used - 4096, used - 4097, used / 2, 4 * 4096, 3*4096 + 1, 2 * 4096, 4096, 100, 1, 0}
	for _, size := range cuts {
		logtest.Must(t, os.WriteFile(damagedPath, whole[:size], 0o600))
		got := useDamaged(t, damagedPath, want)
		if (got == refused) != (size < used) {
			t.Errorf("cut to %d of %d bytes, %d in use: outcome %d", size, len(whole), used, got)
		}
	}
}

func TestUnsafe(t *testing.T) {
	path := t.TempDir() + "/log.db"
	f := openFile(t, path, Options{UnsafeNoSync: true})
	if f.Durable() {
		t.Error("it calls itself durable")
	}
	epoch := f.Head().Epoch
	logtest.Put(t, f, logtest.Message("a", "1", "x"))
	logtest.Must(t, f.Close())
	f = openFile(t, path, Options{})
	if f.Head().Epoch != epoch {
		t.Error("closed, it has another epoch")
	}
	logtest.Must(t, f.Close())
	f = openFile(t, path, Options{UnsafeNoSync: true})
	logtest.Put(t, f, logtest.Message("a", "2", "x"))
	logtest.Must(t, f.release()) // as if killed
	f = openFile(t, path, Options{})
	if f.Head().Epoch == epoch {
		t.Error("not closed, it has the old epoch")
	}
	if got := logtest.Seqs(logtest.Read(t, f, 0, "a")); got != "1 2" {
		t.Errorf("read %s", got)
	}
	epoch = f.Head().Epoch
	logtest.Must(t, f.release()) // with sync, a kill changes nothing
	f = openFile(t, path, Options{})
	if f.Head().Epoch != epoch {
		t.Error("with sync, it has another epoch")
	}
}
