package file

import (
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"os"
	"testing"

	"github.com/seed-078801ba/sidestream/stream/log"
	"github.com/seed-078801ba/sidestream/stream/log/logtest"
)

// oldFile is a file of format 3: 100 settled messages in three channels, of which
// 30 are kept in each, two more in the journal, and a mark.
func oldFile(t *testing.T) string {
	t.Helper()
	in, err := os.Open("testdata/format3.db.gz")
	logtest.Must(t, err)
	defer in.Close()
	unpacked, err := gzip.NewReader(in)
	logtest.Must(t, err)
	path := t.TempDir() + "/log.db"
	out, err := os.Create(path)
	logtest.Must(t, err)
	_, err = io.Copy(out, unpacked)
	logtest.Must(t, errors.Join(err, out.Close()))
	return path
}

// TestOldFormat: a file of old keeps what it has, under new cursors, which say
// nothing of what stands there.
func TestOldFormat(t *testing.T) {
	path := oldFile(t)
	if _, err := Inspect(path); !errors.Is(err, errOldFormat) {
		t.Errorf("looking into it says %v", err)
	}
	const epoch = "b9aa579acbce8336"
	f := openFile(t, path, Options{Now: logtest.Fixed, Retention: log.Retention{Events: 31}})
	if head := f.Head(); !f.Upgraded() || head.Seq != 102 || head.Epoch.String() == epoch {
		t.Errorf("head is %v, upgraded %v", head, f.Upgraded())
	}
	check := func() {
		t.Helper()
		for i, n := range []int{31, 30, 30} {
			entries := logtest.Read(t, f, 0, fmt.Sprint("c", i))
			if len(entries) != n || entries[0].Body != "settled" {
				t.Errorf("channel %d has %s", i, logtest.Seqs(entries))
			}
			for _, e := range entries {
				if e.Seq <= 102 && e.Tag != 0 {
					t.Errorf("entry %d has tag %v", e.Seq, e.Tag)
				}
			}
		}
		if entries := logtest.Read(t, f, 0, "new"); logtest.Seqs(entries) != "102" || entries[0].Body != "in the journal" {
			t.Errorf("the new channel has %s", logtest.Seqs(entries))
		}
		if trimmed, err := f.Trimmed("c0"); err != nil || trimmed != 10 { // 34 in the channel, 30 kept
			t.Errorf("trimmed is %d, %v", trimmed, err)
		}
		if mark, err := f.Mark("s"); err != nil || mark != "v" {
			t.Errorf("the mark is %q, %v", mark, err)
		}
	}
	check()
	for i := range 102 { // the keys of all are known, and what the journal has said
		channel := fmt.Sprint("c", i%3)
		switch i {
		case 100:
			channel = "c0"
		case 101:
			channel = "new"
		}
		if a := logtest.Put(t, f, logtest.Message(channel, fmt.Sprint(i), "other")); !a[0].Duplicate || a[0].Conflict != (i >= 100) || a[0].Entry.Seq != uint64(i+1) {
			t.Errorf("%d again: %+v", i, a)
		}
	}
	logtest.Must(t, f.Close())
	now := f.Head()
	f = openFile(t, path, Options{Now: logtest.Fixed, Retention: log.Retention{Events: 31}})
	if f.Head() != now || f.Upgraded() {
		t.Errorf("opened again, the head is %v, not %v", f.Head(), now)
	}
	check()
	if a := logtest.Put(t, f, logtest.Message("c1", "next", "x")); a[0].Entry.Seq != 103 || a[0].Entry.Tag == 0 {
		t.Errorf("the next one: %+v", a)
	}
	verifyFile(t, f)
}
