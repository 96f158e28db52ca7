package file

import (
	"errors"
	"fmt"
	"os"
	"runtime/debug"
	"strings"
	"syscall"
	"time"

	bolt "go.etcd.io/bbolt"

	"github.com/seed-078801ba/sidestream/stream/log"
)

// Between two tries to open a failed file again.
const (
	firstRetry = 100 * time.Millisecond
	lastRetry  = time.Second
)

// failure is why the file takes nothing, and what is to be done about it.
type failure struct {
	cause error                // nil: nothing failed
	undo  func(*os.File) error // takes back what may have been written; nil if nothing
	stuck bool                 // a transaction could not be ended
	retry time.Time
	wait  time.Duration
}

// guard runs what touches the file. bbolt trusts its pages: damaged ones make
// it panic or read outside of the file, and both become ErrDamaged here.
func guard(path string, do func() error) (err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if p := recover(); p != nil {
			err = damaged(path, fmt.Errorf("%v", p))
		}
	}()
	err = do()
	if errors.Is(err, errRecord) || errors.Is(err, errHole) {
		err = damaged(path, err)
	}
	return err
}

// damaged says what to do about a damaged file.
func damaged(path string, cause error) error {
	if errors.Is(cause, ErrDamaged) {
		return cause
	}
	return fmt.Errorf("%s: %w (%v): see what is left with \"sidestream log --verify %s\", "+
		"put a good copy in its place, or move it away to begin a new log", path, ErrDamaged, cause, path)
}

// view runs a read transaction.
func (f *Log) view(do func(tx *bolt.Tx) error) error {
	f.mu.RLock()
	defer f.mu.RUnlock()
	if f.db == nil {
		return fmt.Errorf("%s: %w", f.path, log.ErrFailed)
	}
	return guard(f.path, func() error { return f.db.View(do) })
}

// begin is a commit that has nothing yet.
func (f *Log) begin() (*commit, error) {
	if err := f.heal(); err != nil {
		return nil, err
	}
	w := newCommit(*f.state.Load(), f.recent, *f.retention.Load())
	w.arena, w.tags = f.arena, &f.tags
	w.scrubbed = f.scrub.noted && !f.scrub.due
	return w, nil
}

// update runs a transaction of bbolt. If it changes nothing, nothing is written.
func (f *Log) update(w *commit, do func(w *commit) error) error {
	var tx *bolt.Tx
	var undo func(*os.File) error // set when the commit begins
	ended := false
	err := guard(f.path, func() (err error) {
		if tx, err = f.db.Begin(true); err != nil {
			ended = true
			return err
		}
		w.tx = tx
		if err = do(w); err == nil && w.wrote {
			err = w.flush()
		}
		if err != nil || !w.wrote {
			ended = true
			return errors.Join(err, tx.Rollback())
		}
		txid, pageSize := uint64(tx.ID()), f.pageSize
		undo = func(file *os.File) error { return undoCommit(file, pageSize, txid) }
		err = tx.Commit()
		ended = true
		return err
	})
	if !ended {
		// It panicked: inside of do, or inside of bbolt. Ending it may panic
		// again.
		if guard(f.path, tx.Rollback) != nil {
			f.failure.stuck = true
		}
		return f.fail(err, undo)
	}
	if undo != nil && err != nil {
		return f.fail(err, undo)
	}
	if err != nil {
		return err
	}
	if w.wrote {
		f.take(w)
		f.noteSettled(w)
	}
	return nil
}

// take shows the readers what a commit has stored.
func (f *Log) take(w *commit) {
	f.arena = w.arena
	f.recentMu.Lock()
	defer f.recentMu.Unlock()
	if w.settled {
		f.recent = newRecent()
		f.journal.restart()
	} else {
		f.recent.extend(w.fresh)
	}
	f.state.Store(&w.state)
}

// fail remembers that the file cannot be trusted until heal has looked at it.
func (f *Log) fail(cause error, undo func(*os.File) error) error {
	if f.failure.cause == nil {
		f.failure.wait = firstRetry
	}
	f.failure.cause, f.failure.undo = classify(f.path, cause), undo
	f.failure.retry = time.Now().Add(f.failure.wait)
	// Readers see the file through its mapping: take back at once what they must
	// not see. Whether it reached the disk is for heal to find out.
	_ = f.undo()
	return f.failure.cause
}

// undo takes back what failed, out of sight of the readers.
func (f *Log) undo() error {
	if f.failure.undo == nil {
		return nil
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.failure.undo(f.file)
}

// classify wraps what went wrong in the error that callers decide on.
func classify(path string, cause error) error {
	switch {
	case errors.Is(cause, ErrDamaged), errors.Is(cause, log.ErrFull), errors.Is(cause, log.ErrFailed):
		return cause
	case isFull(cause):
		return fmt.Errorf("%s: %w (%w)", path, log.ErrFull, cause)
	}
	return fmt.Errorf("%s: %w (%w)", path, log.ErrFailed, cause)
}

// isFull tells whether there was no room: on the disk, in the quota, or under
// the limit for the size of a file. bbolt passes some errors on as text only.
func isFull(err error) bool {
	for _, full := range []syscall.Errno{syscall.ENOSPC, syscall.EDQUOT, syscall.EFBIG} {
		if errors.Is(err, full) || strings.Contains(err.Error(), full.Error()) {
			return true
		}
	}
	return false
}

// heal does nothing if nothing has failed. Otherwise it undoes the commit that
// failed, opens the file again, and checks that it holds what was
// acknowledged: not more, not less.
func (f *Log) heal() error {
	if f.failure.cause == nil {
		return nil
	}
	if time.Now().Before(f.failure.retry) {
		return f.failure.cause
	}
	f.failure.wait = min(2*f.failure.wait, lastRetry)
	f.failure.retry = time.Now().Add(f.failure.wait)
	if err := f.reopen(); err != nil {
		err = classify(f.path, fmt.Errorf("opening it again: %w", err))
		f.failure.cause = err
		return err
	}
	f.failure = failure{}
	return nil
}

func (f *Log) reopen() error {
	if f.failure.undo != nil {
		if err := f.undo(); err != nil {
			return err
		}
		if err := f.file.Sync(); err != nil {
			return fmt.Errorf("syncing what was undone: %w", err)
		}
		f.failure.undo = nil
	}
	if err := f.release(); err != nil {
		return err
	}
	f.failure.stuck = false
	opened, err := openDB(f.path, f.options, false)
	if err != nil {
		return err
	}
	if was := *f.state.Load(); opened.state != was || opened.epoch != f.epoch {
		return errors.Join(damaged(f.path, fmt.Errorf("it ends at %d, not at %d, where it was left", opened.state.seq, was.seq)), opened.db.Close())
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.db, f.file, f.pageSize = opened.db, opened.file, opened.pageSize
	f.journal, f.writeAt = opened.journal, opened.file.WriteAt
	f.scrub.clean = nil
	return nil
}
