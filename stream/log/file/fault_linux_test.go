package file

import (
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
	"unsafe"

	bolt "go.etcd.io/bbolt"
	"golang.org/x/sys/unix"

	"github.com/seed-078801ba/sidestream/stream/event"
	"github.com/seed-078801ba/sidestream/stream/log"
	"github.com/seed-078801ba/sidestream/stream/log/logtest"
)

func init() {
	childParts["full disk"] = onFullDisk
	childParts["file limit"] = underFileLimit
	childParts["descriptors"] = withoutDescriptors
}

// writer gives access to the function with which bbolt writes.
func writer(db *bolt.DB) *func(b []byte, off int64) (int, error) {
	field := reflect.ValueOf(db).Elem().FieldByName("ops").FieldByName("writeAt")
	return (*func([]byte, int64) (int, error))(unsafe.Pointer(field.UnsafeAddr()))
}

// breakSync makes the next syncs of the file fail, really in the system call:
// its descriptor becomes one of /dev/null, which cannot be synced. What is
// written goes to the file all the same, through real. The returned function
// repairs it.
func breakSync(t *testing.T, f *Log) (begin func(), real *os.File, repair func()) {
	t.Helper()
	fd := int(f.file.Fd())
	saved, err := unix.Dup(fd)
	logtest.Must(t, err)
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	logtest.Must(t, err)
	real, err = os.OpenFile(f.path, os.O_RDWR, 0)
	logtest.Must(t, err)
	begin = func() { logtest.Must(t, unix.Dup3(int(null.Fd()), fd, unix.O_CLOEXEC)) }
	return begin, real, func() {
		logtest.Must(t, unix.Dup3(saved, fd, unix.O_CLOEXEC))
		logtest.Must(t, unix.Close(saved))
		logtest.Must(t, errors.Join(null.Close(), real.Close()))
	}
}

func isMeta(off int64) bool { return off < 2*int64(os.Getpagesize()) }

// TestWriteAndSyncErrors breaks a commit at each of its steps. Not injected
// here: errors of reading a mapped page (TestFlippedBytes meets what comes of
// them), and a kernel that forgets what it failed to write.
func TestWriteAndSyncErrors(t *testing.T) {
	type place func(f *Log) *func([]byte, int64) (int, error)
	settling := func(f *Log) *func([]byte, int64) (int, error) { return writer(f.db) }
	journal := func(f *Log) *func([]byte, int64) (int, error) { return &f.writeAt }
	writes := func(where place, fail func(n int, b []byte, off int64, write func([]byte, int64) (int, error)) (int, error)) func(*testing.T, *Log) func() {
		return func(t *testing.T, f *Log) func() {
			hook := where(f)
			write, n := *hook, 0
			*hook = func(b []byte, off int64) (int, error) {
				n++
				return fail(n, b, off, write)
			}
			return func() {}
		}
	}
	syncs := func(where place, when func(off int64) bool) func(*testing.T, *Log) func() {
		return func(t *testing.T, f *Log) func() {
			begin, real, repair := breakSync(t, f)
			hook, begun := where(f), false
			*hook = func(b []byte, off int64) (int, error) {
				if !begun && when(off) {
					begun = true
					begin()
				}
				return real.WriteAt(b, off)
			}
			return repair
		}
	}
	const small, large = 9000, journalSize // settled at once
	always := func(int64) bool { return true }
	tests := []struct {
		name   string
		size   int
		want   error
		inject func(*testing.T, *Log) func()
	}{
		{"record", small, log.ErrFailed, writes(journal, func(int, []byte, int64, func([]byte, int64) (int, error)) (int, error) {
			return 0, syscall.EIO
		})},
		{"record, half written", small, log.ErrFailed, writes(journal, func(_ int, b []byte, off int64, write func([]byte, int64) (int, error)) (int, error) {
			half, _ := write(b[:len(b)/2], off)
			return half, syscall.EIO
		})},
		{"record, written all the same", small, log.ErrFailed, writes(journal, func(_ int, b []byte, off int64, write func([]byte, int64) (int, error)) (int, error) {
			all, _ := write(b, off)
			return all, syscall.EIO
		})},
		{"no room for a record", small, log.ErrFull, writes(journal, func(int, []byte, int64, func([]byte, int64) (int, error)) (int, error) {
			return 0, &os.PathError{Op: "write", Path: "x", Err: syscall.ENOSPC}
		})},
		{"sync of a record", small, log.ErrFailed, syncs(journal, always)},
		{"first page", large, log.ErrFailed, writes(settling, func(int, []byte, int64, func([]byte, int64) (int, error)) (int, error) {
			return 0, syscall.EIO
		})},
		{"third page, half written", large, log.ErrFailed, writes(settling, func(n int, b []byte, off int64, write func([]byte, int64) (int, error)) (int, error) {
			if n < 3 {
				return write(b, off)
			}
			half, _ := write(b[:len(b)/2], off)
			return half, syscall.EIO
		})},
		{"no room", large, log.ErrFull, writes(settling, func(n int, b []byte, off int64, write func([]byte, int64) (int, error)) (int, error) {
			if n < 2 {
				return write(b, off)
			}
			return 0, &os.PathError{Op: "write", Path: "x", Err: syscall.ENOSPC}
		})},
		{"meta page", large, log.ErrFailed, writes(settling, func(n int, b []byte, off int64, write func([]byte, int64) (int, error)) (int, error) {
			if !isMeta(off) {
				return write(b, off)
			}
			return 0, syscall.EIO
		})},
		{"meta page, half written", large, log.ErrFailed, writes(settling, func(n int, b []byte, off int64, write func([]byte, int64) (int, error)) (int, error) {
			if !isMeta(off) {
				return write(b, off)
			}
			half, _ := write(b[:40], off)
			return half, syscall.EIO
		})},
		{"meta page, written all the same", large, log.ErrFailed, writes(settling, func(n int, b []byte, off int64, write func([]byte, int64) (int, error)) (int, error) {
			all, err := write(b, off)
			if isMeta(off) {
				err = syscall.EIO
			}
			return all, err
		})},
		{"panic", large, ErrDamaged, writes(settling, func(int, []byte, int64, func([]byte, int64) (int, error)) (int, error) {
			panic("bbolt: a page is not what it should be")
		})},
		{"sync of the pages", large, log.ErrFailed, syncs(settling, always)},
		{"sync of the meta page", large, log.ErrFailed, syncs(settling, isMeta)},
	}
	for _, test := range tests {
		for _, crash := range []bool{false, true} {
			name := test.name
			if crash {
				name += ", then a crash"
			}
			t.Run(name, func(t *testing.T) {
				path := t.TempDir() + "/log.db"
				f := openFile(t, path, Options{Now: logtest.Fixed})
				var acked []event.Entry
				for i := range 4 {
					for _, a := range logtest.Put(t, f, logtest.Message("a", fmt.Sprint(i), "x"), logtest.Message("b", fmt.Sprint(i), "x")) {
						acked = append(acked, a.Entry)
					}
				}
				epoch := f.Head().Epoch
				repair := test.inject(t, f)
				batch := []event.Event{logtest.Message("a", "new", strings.Repeat("x", test.size)), logtest.Message("c", "new", "x")}
				check := func(when string) {
					t.Helper()
					if f.Head().Seq != 8 || !reflect.DeepEqual(logtest.Read(t, f, 0, "a", "b", "c"), acked) {
						t.Fatalf("%s: head %v, read %s", when, f.Head(), logtest.Seqs(logtest.Read(t, f, 0, "a", "b", "c")))
					}
					if seq, ok, err := f.SeqOf("a", "new"); ok || err != nil {
						t.Fatalf("%s: the failed event is at %d, %v", when, seq, err)
					}
				}
				if got, err := f.Append(batch, nil); !errors.Is(err, test.want) {
					t.Fatalf("got %v, %v", got, err)
				}
				check("after the failure")
				_, err := f.Append(batch, nil)
				if !errors.Is(err, test.want) {
					t.Fatalf("right after it: %v", err)
				}
				if _, err := f.Sweep(logtest.Time); !errors.Is(err, test.want) {
					t.Fatalf("sweeping right after it: %v", err)
				}
				check("after the second failure")
				repair()
				if crash {
					logtest.Must(t, f.release())
					f = openFile(t, path, Options{Now: logtest.Fixed})
					if head := f.Head(); head.Epoch != epoch || head.Seq != 8 && head.Seq != 10 {
						t.Errorf("after the crash, head is %v", head)
					}
				} else {
					f.failure.retry = time.Time{}
				}
				got := logtest.Put(t, f, batch...)
				if got[0].Entry.Seq != 9 || got[1].Entry.Seq != 10 || !crash && (got[0].Duplicate || got[1].Duplicate) {
					t.Errorf("afterwards: %+v", got)
				}
				entries := logtest.Read(t, f, 0, "a", "b", "c")
				if !reflect.DeepEqual(entries[:8], acked) || len(entries) != 10 {
					t.Errorf("afterwards: read %s", logtest.Seqs(entries))
				}
				logtest.Put(t, f, logtest.Message("c", "more", "x"))
				verifyFile(t, f)
				f = openFile(t, path, Options{Now: logtest.Fixed})
				if f.Head().Seq != 11 || f.Head().Epoch != epoch {
					t.Errorf("opened again, head is %v", f.Head())
				}
			})
		}
	}
}

// TestFullTakesNothing: while the disk is full, what the journal has room for is
// not taken either, also after a repeated delivery was answered.
func TestFullTakesNothing(t *testing.T) {
	f := openFile(t, t.TempDir()+"/log.db", Options{Now: logtest.Fixed})
	logtest.Put(t, f, logtest.Message("a", "1", "x"))
	full := func() {
		f.failure.retry = time.Time{}
		logtest.Must(t, f.heal())
		*writer(f.db) = func([]byte, int64) (int, error) {
			return 0, &os.PathError{Op: "write", Path: "x", Err: syscall.ENOSPC}
		}
	}
	full()
	if _, err := f.Sweep(logtest.Time); !errors.Is(err, log.ErrFull) {
		t.Fatalf("sweeping says %v", err)
	}
	for range 2 {
		full()
		if got := logtest.Put(t, f, logtest.Message("a", "1", "x")); !got[0].Duplicate {
			t.Errorf("again: %+v", got)
		}
		if got, err := f.Append([]event.Event{logtest.Message("a", "2", "x")}, nil); !errors.Is(err, log.ErrFull) {
			t.Errorf("got %+v, %v", got, err)
		}
	}
	f.failure.retry = time.Time{}
	logtest.Put(t, f, logtest.Message("a", "2", "x"))
	verifyFile(t, f)
}

// TestFailedForGood: what came from outside while the file was closed for
// healing is not taken for our own.
func TestFailedForGood(t *testing.T) {
	path := t.TempDir() + "/log.db"
	f := openFile(t, path, Options{})
	logtest.Put(t, f, logtest.Message("a", "1", "x"))
	logtest.Must(t, f.release())
	other := openFile(t, path, Options{})
	_ = f.fail(syscall.EIO, nil)
	f.options.LockTimeout, f.failure.retry = time.Millisecond, time.Time{}
	if _, err := f.Append(nil, nil); !errors.Is(err, ErrLocked) || !errors.Is(err, log.ErrFailed) {
		t.Errorf("while another has it: %v", err)
	}
	if _, _, err := f.Read([]string{"a"}, 0, 9, 0, 0); !errors.Is(err, log.ErrFailed) {
		t.Errorf("reading: %v", err)
	}
	logtest.Put(t, other, logtest.Message("a", "2", "x"))
	logtest.Must(t, other.Close())
	f.failure.retry = time.Time{}
	if _, err := f.Append(nil, nil); !errors.Is(err, ErrDamaged) {
		t.Errorf("after another wrote: %v", err)
	}
}

// inNamespace runs a child that may mount what it likes.
func inNamespace(t *testing.T, part string) {
	t.Helper()
	cmd := child(t, part, filepath.Join(t.TempDir(), "log.db"))
	cmd.SysProcAttr = &syscall.SysProcAttr{Unshareflags: syscall.CLONE_NEWNS}
	if os.Geteuid() != 0 {
		cmd.SysProcAttr.Cloneflags = syscall.CLONE_NEWUSER
		cmd.SysProcAttr.UidMappings = []syscall.SysProcIDMap{{HostID: os.Getuid(), Size: 1}}
		cmd.SysProcAttr.GidMappings = []syscall.SysProcIDMap{{HostID: os.Getgid(), Size: 1}}
	}
	logtest.Must(t, cmd.Run())
}

func TestFullDisk(t *testing.T)           { inNamespace(t, "full disk") }
func TestFileLimit(t *testing.T)          { inNamespace(t, "file limit") }
func TestWithoutDescriptors(t *testing.T) { inNamespace(t, "descriptors") }

// onFullDisk fills a small disk, and makes room again, twice.
func onFullDisk(path string) error {
	folder := filepath.Dir(path)
	if err := unix.Mount("tmpfs", folder, "tmpfs", 0, "size=8m"); err != nil {
		return fmt.Errorf("mounting: %w", err)
	}
	filler := filepath.Join(folder, "filler")
	return withoutRoom(path, 2, func() error {
		// All but a little: the log must fill the rest.
		var disk unix.Statfs_t
		if err := unix.Statfs(folder, &disk); err != nil {
			return err
		}
		free := int64(disk.Bavail) * disk.Bsize
		return os.WriteFile(filler, make([]byte, max(0, free-1<<20)), 0o600)
	}, func() error { return os.Remove(filler) })
}

// underFileLimit does the same with a limit on the size of files.
func underFileLimit(path string) error {
	signal.Ignore(syscall.SIGXFSZ)
	limit := uint64(1 << 20)
	return withoutRoom(path, 2, func() error {
		limit *= 2
		return unix.Setrlimit(unix.RLIMIT_FSIZE, &unix.Rlimit{Cur: limit, Max: unix.RLIM_INFINITY})
	}, func() error {
		return unix.Setrlimit(unix.RLIMIT_FSIZE, &unix.Rlimit{Cur: unix.RLIM_INFINITY, Max: unix.RLIM_INFINITY})
	})
}

func withoutRoom(path string, rounds int, fill, free func() error) error {
	f, err := Open(path, Options{})
	if err != nil {
		return err
	}
	var acks []ack
	add := func() error {
		id := fmt.Sprint(len(acks))
		results, err := f.Append([]event.Event{logtest.Message("c0", id, strings.Repeat("x", 20_000))}, nil)
		if err == nil {
			acks = append(acks, ack{results[0].Entry.Seq, results[0].Entry.Tag, "c0", id})
		}
		return err
	}
	for round := range rounds {
		if err := fill(); err != nil {
			return err
		}
		for err = nil; err == nil && len(acks) < 2000; err = add() {
		}
		if !errors.Is(err, log.ErrFull) {
			return fmt.Errorf("round %d, after %d events: %w", round, len(acks), err)
		}
		for range 5 {
			start := time.Now()
			if err := add(); !errors.Is(err, log.ErrFull) || time.Since(start) > 30*time.Second {
				return fmt.Errorf("while it is full: %w after %v", err, time.Since(start))
			}
			f.failure.retry = time.Time{} // make it try
			if problems := checkAcks(f, acks, 0); len(problems) > 0 {
				return fmt.Errorf("while it is full: %s", problems)
			}
		}
		if err := free(); err != nil {
			return err
		}
		// By itself, within the time between two tries.
		deadline := time.Now().Add(10 * time.Second)
		for err = add(); errors.Is(err, log.ErrFull) && time.Now().Before(deadline); err = add() {
			<-time.After(10 * time.Millisecond)
		}
		if err != nil {
			return fmt.Errorf("after there was room: %w", err)
		}
		if problems := checkAcks(f, acks, 0); len(problems) > 0 {
			return fmt.Errorf("after there was room: %s", problems)
		}
	}
	if err := f.Close(); err != nil {
		return err
	}
	inspection, err := Inspect(path)
	if err != nil {
		return err
	}
	defer inspection.Close()
	problems, err := inspection.Verify()
	if len(problems) > 0 {
		err = fmt.Errorf("verifying: %s", problems)
	}
	return err
}

// withoutDescriptors takes all file descriptors away.
func withoutDescriptors(path string) error {
	f, err := Open(path, Options{})
	if err != nil {
		return err
	}
	var was unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &was); err != nil {
		return err
	}
	if _, err := f.Append([]event.Event{logtest.Message("a", "1", "x")}, nil); err != nil {
		return err
	}
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: 0, Max: was.Max}); err != nil {
		return err
	}
	if _, err := f.Append([]event.Event{logtest.Message("a", "2", "x")}, nil); err != nil {
		return fmt.Errorf("without descriptors: %w", err)
	}
	if _, err := Open(path+"2", Options{}); !errors.Is(err, syscall.EMFILE) {
		return fmt.Errorf("opening another one: %w", err)
	}
	_ = f.fail(syscall.EIO, nil)
	f.failure.retry = time.Time{}
	if _, err := f.Append(nil, nil); !errors.Is(err, log.ErrFailed) || !errors.Is(err, syscall.EMFILE) {
		return fmt.Errorf("healing: %w", err)
	}
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &was); err != nil {
		return err
	}
	f.failure.retry = time.Time{}
	if _, err := f.Append([]event.Event{logtest.Message("a", "3", "x")}, nil); err != nil {
		return fmt.Errorf("healing with descriptors: %w", err)
	}
	entries, _, err := f.Read([]string{"a"}, 0, 9, 0, 0)
	if got := logtest.Seqs(entries); err != nil || !slices.Equal(strings.Fields(got), []string{"1", "2", "3"}) {
		return fmt.Errorf("read %s, %w", got, err)
	}
	return f.Close()
}
