package file

import (
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/seed-078801ba/sidestream/stream/log"
	"github.com/seed-078801ba/sidestream/stream/log/logtest"
)

func TestMain(m *testing.M) {
	if runChild() {
		return
	}
	goleak.VerifyTestMain(m)
}

// store is this kind of log for the suite.
func store(o Options) logtest.Store {
	return logtest.Store{
		Open: func(t testing.TB, r log.Retention, now func() time.Time) log.Log {
			o := o
			o.Retention, o.Now = r, now
			return openFile(t, t.TempDir()+"/log.db", o)
		},
		Reopen: func(t testing.TB, l log.Log, r log.Retention, now func() time.Time) log.Log {
			logtest.Must(t, l.Close())
			o := o
			o.Retention, o.Now = r, now
			return openFile(t, l.(*Log).path, o)
		},
		Check: func(t logtest.Fataler, l log.Log) { verifyFile(t, l.(*Log)) },
	}
}

func openFile(t testing.TB, path string, o Options) *Log {
	t.Helper()
	f, err := Open(path, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

// verifyFile closes a file and looks at all of it.
func verifyFile(t logtest.Fataler, f *Log) {
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	inspection, err := Inspect(f.path)
	if err != nil {
		t.Fatal(err)
	}
	defer inspection.Close()
	if problems, err := inspection.Verify(); err != nil || len(problems) > 0 {
		t.Fatal(problems, err)
	}
}

func TestSuite(t *testing.T)            { logtest.Run(t, store(Options{})) }
func TestSuiteWithoutSync(t *testing.T) { logtest.Run(t, store(Options{UnsafeNoSync: true})) }

func BenchmarkAppend(b *testing.B) { logtest.BenchmarkAppend(b, store(Options{})) }
func BenchmarkAppendWithoutSync(b *testing.B) {
	logtest.BenchmarkAppend(b, store(Options{UnsafeNoSync: true}))
}
func BenchmarkResume(b *testing.B) { logtest.BenchmarkResume(b, store(Options{})) }
