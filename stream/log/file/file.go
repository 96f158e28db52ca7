// Package file keeps a hub's log in one file: a database of bbolt, and in it a
// journal that makes a commit one write and one sync (see journal.go). By default
// what was appended is on the disk before anybody is told.
//
// It assumes nothing of the disk: each record has a checksum, a failed write is
// taken back, and what is damaged is refused rather than served.
package file

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	bolt "go.etcd.io/bbolt"

	"github.com/seed-078801ba/sidestream/stream/event"
	"github.com/seed-078801ba/sidestream/stream/log"
)

// Options say how a file is opened. The zero value is good.
type Options struct {
	Retention log.Retention
	// UnsafeNoSync acknowledges events before they are on disk; they are
	// synced once a second. A crash of the process loses none, a crash of the
	// machine loses the last ones or damages the file. After any stop without
	// Close, the next Open checks the whole file and takes a new epoch, so
	// that no position is ever used for two events.
	UnsafeNoSync bool
	// MoveDamaged makes Open move a damaged file aside and start a new one,
	// with a new epoch, instead of returning ErrDamaged. Log.MovedTo says
	// where it went.
	MoveDamaged bool
	// LockTimeout is how long Open waits while another process holds the
	// file. Default: 3 s.
	LockTimeout time.Duration
	// Now is the clock. Default: time.Now.
	Now func() time.Time
}

// Errors of Open.
var (
	// ErrLocked: another process (or another log of this one) has the file
	// open.
	ErrLocked = errors.New("another process has the log open")
	// ErrNewerFormat: a newer version of this program wrote the file.
	ErrNewerFormat = errors.New("the log was written by a newer version of this program")
	// ErrDamaged: the file is not as it was written. Reads and appends that
	// meet the damage return it too.
	ErrDamaged = errors.New("the log is damaged")
)

// Log is a log.Log in one file. By default everything that Append stored is on
// disk when it returns.
//
// A channel may have a little more than its retention says, about one event in
// thirty, until the next Sweep.
//
// Of a message that was deleted, and of the old text of one that was edited, nothing
// is left in the file a few seconds later, see scrub.go.
//
// The file grows until retention removes as much as comes in; freed room is
// used again, but the file does not shrink.
type Log struct {
	path    string
	options Options
	epoch   event.Epoch
	movedTo string
	// upgraded: the file had an older format.
	upgraded bool

	state     atomic.Pointer[logState]
	retention atomic.Pointer[log.Retention]
	rescan    atomic.Bool // the retention has changed
	appends   atomic.Uint64

	// recentMu guards recent, and what state says beside it. Append's goroutine
	// changes it with the lock held; it reads it without. Nobody holds the lock
	// while he reads the file.
	recentMu sync.RWMutex
	recent   *recent

	records records

	// mu guards db and file: Append's goroutine swaps them when it heals, with
	// the lock held; it reads them without.
	mu       sync.RWMutex
	db       *bolt.DB // nil while it could not be opened again
	file     *os.File // db's own
	pageSize int

	// Of Append's goroutine.
	clock    log.Clock
	journal  journal
	writeAt  func([]byte, int64) (int, error) // to file
	arena    []byte                           // see commit
	tags     event.Tags
	failure  failure
	scrub    scrubber
	scanning bool   // channels are being held to the retention
	scanned  uint64 // up to this number
	synced   time.Time
	want     int64 // bytes of room that the disk must have, after it was full
}

var _ log.Log = (*Log)(nil)

// Upgraded tells whether Open has brought the file from an older format to the one
// of today, which gave it a new epoch: clients that come back are told of a gap.
func (f *Log) Upgraded() bool { return f.upgraded }

// MovedTo is where Open has moved a damaged file (Options.MoveDamaged), ""
// if it has not.
func (f *Log) MovedTo() string { return f.movedTo }

// Append implements Log: one record in the journal, or one transaction, synced
// unless Options.UnsafeNoSync.
// While the store has failed, every call returns the error at once; from time
// to time one tries to open the file again.
func (f *Log) Append(events []event.Event, marks []event.Mark) ([]log.Appended, error) {
	now := f.options.Now()
	if f.options.UnsafeNoSync && f.db != nil && now.Sub(f.synced).Abs() >= time.Second {
		f.synced = now
		if err := f.db.Sync(); err != nil {
			return nil, fmt.Errorf("syncing: %w", f.fail(err, nil))
		}
	}
	w, err := f.begin()
	if err != nil {
		return nil, fmt.Errorf("appending %d events: %w", len(events), err)
	}
	results := make([]log.Appended, len(events))
	err = f.view(func(tx *bolt.Tx) error {
		w.tx, w.at = tx, f.clock.Take(now)
		for i := range events {
			var err error
			if results[i], err = w.add(&events[i]); err != nil {
				return err
			}
		}
		return nil
	})
	for _, mark := range marks {
		w.fresh.marks[mark.Source] = mark.Value
	}
	if err == nil && !w.fresh.isEmpty() {
		err = f.store(w)
	}
	if err != nil {
		if errors.Is(err, log.ErrFull) {
			f.wantRoom(events)
		}
		return nil, fmt.Errorf("appending %d events: %w", len(events), err)
	}
	f.appends.Add(1)
	return results, nil
}

// store writes what was added to the journal, or settles it if there is no room
// or a channel has too much; also as long as the disk is known to be full, so
// that what the journal has room for is not taken now and refused then.
func (f *Log) store(w *commit) error {
	if due := w.mustSettle(); !due && f.want == 0 {
		if stored, err := f.writeRecord(w); stored || err != nil {
			return err
		}
	}
	if err := f.update(w, (*commit).settle); err != nil {
		return err
	}
	f.want = 0
	return nil
}

// Head implements Log.
func (f *Log) Head() event.Cursor {
	s := f.state.Load()
	return event.Cursor{Epoch: f.epoch, Seq: s.seq, Tag: s.tag}
}

// SetRetention implements Log.
func (f *Log) SetRetention(r log.Retention) {
	f.retention.Store(&r)
	f.rescan.Store(true)
}

// Stats implements Log.
func (f *Log) Stats() log.Stats {
	stats := f.sizes()
	stats.Appends = f.appends.Load()
	if info, err := os.Stat(f.path); err == nil {
		stats.FileSize = info.Size()
	}
	if seq, err := f.oldest(); err == nil {
		stats.Oldest = seq
	}
	return stats
}

func (f *Log) sizes() log.Stats {
	f.recentMu.RLock()
	defer f.recentMu.RUnlock()
	return f.state.Load().stats(f.recent)
}

// Durable implements Log.
func (f *Log) Durable() bool { return !f.options.UnsafeNoSync }

// Grouped implements Log: every Append is a sync.
func (f *Log) Grouped() bool { return true }

// Close implements Log. Without sync, it is what makes the log whole.
func (f *Log) Close() error {
	return errors.Join(f.records.close(), f.closeLog())
}

func (f *Log) closeLog() error {
	if f.options.UnsafeNoSync && f.failure.cause == nil && f.db != nil {
		if err := f.leaveUnsafe(); err != nil {
			return errors.Join(fmt.Errorf("closing %s: %w", f.path, err), f.release())
		}
	}
	if err := f.release(); err != nil {
		return fmt.Errorf("closing %s: %w", f.path, err)
	}
	return nil
}

// release closes the database, so that others may open the file.
func (f *Log) release() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	db, file := f.db, f.file
	f.db, f.file = nil, nil
	if db == nil {
		return nil
	}
	if f.failure.stuck {
		// Its transaction cannot be ended, so db.Close would wait for ever.
		// Without the file it can do no harm; its mapping is lost memory.
		return closeLocked(file)
	}
	return db.Close()
}

// moveAside renames a damaged file.
func moveAside(path string, now time.Time) (string, error) {
	aside := path + ".damaged-" + now.UTC().Format("20060102T150405.000Z")
	if err := os.Rename(path, aside); err != nil {
		return "", err
	}
	return aside, syncFolder(filepath.Dir(path))
}
