package file

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/seed-078801ba/sidestream/stream/log"
	"github.com/seed-078801ba/sidestream/stream/log/logtest"
)

func record(id, value string) log.Record {
	return log.Record{ID: id, Value: []byte(value), Until: time.Now().Add(time.Hour)}
}

func wantRecord(t *testing.T, l *Log, id, want string) {
	t.Helper()
	if got, ok, err := l.Record(id); err != nil || string(got) != want || ok != (want != "") {
		t.Errorf("record %s is %q, %v, %v; not %q", id, got, ok, err, want)
	}
}

// A file of records that a crash has torn, or a disk has changed, gives what is
// whole before that, takes new ones, and keeps nobody from opening the log.
func TestTornRecords(t *testing.T) {
	path := t.TempDir() + "/log.db"
	l := openFile(t, path, Options{})
	for i := range 3 {
		logtest.Must(t, l.PutRecords([]log.Record{record(fmt.Sprint(i), "value")}))
	}
	logtest.Must(t, l.Close())
	whole, err := os.ReadFile(path + recordsSuffix)
	logtest.Must(t, err)
	one := (len(whole) - len(recordsFormat)) / 3
	for n := range whole {
		logtest.Must(t, os.WriteFile(path+recordsSuffix, whole[:n], 0o600))
		l := openFile(t, path, Options{})
		for i := range 3 {
			want := ""
			if n >= len(recordsFormat)+one*(i+1) {
				want = "value"
			}
			wantRecord(t, l, fmt.Sprint(i), want)
		}
		logtest.Must(t, l.PutRecords([]log.Record{record("new", "x")}))
		logtest.Must(t, l.Close())
		l = openFile(t, path, Options{})
		wantRecord(t, l, "new", "x")
		logtest.Must(t, l.Close())
	}
	flipped := bytes.Clone(whole)
	flipped[len(recordsFormat)+one+recordHead+2] ^= 1
	logtest.Must(t, os.WriteFile(path+recordsSuffix, flipped, 0o600))
	l = openFile(t, path, Options{})
	wantRecord(t, l, "0", "value")
	wantRecord(t, l, "1", "")
}

// Records of a newer version are refused, not emptied.
func TestNewerRecords(t *testing.T) {
	path := t.TempDir() + "/log.db"
	logtest.Must(t, openFile(t, path, Options{}).Close())
	for text, want := range map[string]error{recordsHeading + "2\nanything": ErrNewerFormat, "my diary": nil} {
		logtest.Must(t, os.WriteFile(path+recordsSuffix, []byte(text), 0o600))
		if _, err := Open(path, Options{}); err == nil || want != nil && !errors.Is(err, want) {
			t.Errorf("%q: %v", text, err)
		}
		if b, err := os.ReadFile(path + recordsSuffix); err != nil || string(b) != text {
			t.Errorf("%q became %q, %v", text, b, err)
		}
	}
}

// The file does not grow with what was replaced, and has what there is after it
// was written anew.
func TestRecordsAreWrittenAnew(t *testing.T) {
	path := t.TempDir() + "/log.db"
	l := openFile(t, path, Options{})
	value := string(bytes.Repeat([]byte("x"), 4000))
	for i := range 2000 {
		logtest.Must(t, l.PutRecords([]log.Record{record(fmt.Sprint(i%7), value+fmt.Sprint(i))}))
	}
	info, err := os.Stat(path + recordsSuffix)
	logtest.Must(t, err)
	if info.Size() > 2*recordsSlack {
		t.Errorf("the file has %d bytes", info.Size())
	}
	logtest.Must(t, l.Close())
	l = openFile(t, path, Options{})
	for i := 1993; i < 2000; i++ {
		wantRecord(t, l, fmt.Sprint(i%7), value+fmt.Sprint(i))
	}
}

// A log without records has no file for them: an older version sees what it knows.
func TestNoRecordsNoFile(t *testing.T) {
	path := t.TempDir() + "/log.db"
	logtest.Must(t, openFile(t, path, Options{}).Close())
	if _, err := os.Stat(path + recordsSuffix); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("there is one: %v", err)
	}
}

func FuzzCutRecord(f *testing.F) {
	f.Add(appendRecord(nil, "id", []byte("value"), 1))
	f.Fuzz(func(t *testing.T, b []byte) {
		id, value, until, rest, ok := cutRecord(b)
		if ok && !bytes.Equal(append(appendRecord(nil, id, value, until), rest...), b) {
			t.Errorf("%x was read as %q, %q, %d", b, id, value, until)
		}
	})
}

func BenchmarkPutRecords(b *testing.B) {
	l := openFile(b, b.TempDir()+"/log.db", Options{})
	records := make([]log.Record, 100)
	for i := range records {
		records[i] = record(fmt.Sprint(i), string(make([]byte, 300)))
	}
	for b.Loop() {
		if err := l.PutRecords(records); err != nil {
			b.Fatal(err)
		}
	}
}
