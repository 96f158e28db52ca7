package file

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"time"

	bolt "go.etcd.io/bbolt"
	berrors "go.etcd.io/bbolt/errors"

	"github.com/seed-078801ba/sidestream/stream/event"
	"github.com/seed-078801ba/sidestream/stream/log"
)

const defaultLockTimeout = 3 * time.Second

// tailEvents is how many of the newest entries are checked when a file is
// opened. The rest is checked as it is read.
const tailEvents = 256

// Open opens the log in a file, and makes the file (0600) and its folder if
// there is none. It reads the file's ends and directory, not its events.
//
// Its errors are ErrLocked, ErrNewerFormat, ErrDamaged, or what the system
// said. A damaged file is left as it is, unless Options.MoveDamaged.
func Open(path string, o Options) (*Log, error) {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.LockTimeout <= 0 {
		o.LockTimeout = defaultLockTimeout
	}
	f := &Log{path: path, options: o}
	opened, err := f.open()
	if errors.Is(err, ErrDamaged) && o.MoveDamaged {
		if f.movedTo, err = moveAside(path, o.Now()); err == nil {
			opened, err = f.open()
		}
	}
	if err != nil {
		return nil, fmt.Errorf("opening the log: %w", err)
	}
	if err := f.records.open(path, o.Now().UnixMilli()); err != nil {
		return nil, errors.Join(fmt.Errorf("opening the log: %w", err), opened.db.Close())
	}
	f.db, f.file, f.pageSize, f.epoch = opened.db, opened.file, opened.pageSize, opened.epoch
	f.scrub = scrubber{due: opened.scrub, noted: opened.scrub}
	f.recent, f.journal, f.writeAt = opened.recent, opened.journal, opened.file.WriteAt
	f.state.Store(&opened.state)
	f.clock = log.NewClock(o.Now(), opened.state.at)
	f.synced = o.Now()
	f.SetRetention(o.Retention)
	return f, nil
}

func (f *Log) open() (openedDB, error) {
	if _, err := os.Stat(f.path); errors.Is(err, fs.ErrNotExist) {
		if err := create(f.path); err != nil {
			return openedDB{}, fmt.Errorf("making %s: %w", f.path, err)
		}
	}
	opened, err := openDB(f.path, f.options, false)
	if errors.Is(err, errOldFormat) {
		f.upgraded = true
		if err := f.upgrade(); err != nil {
			return openedDB{}, err
		}
		opened, err = openDB(f.path, f.options, false)
	}
	if err != nil {
		return openedDB{}, err
	}
	if err := f.startUnsafe(&opened); err != nil {
		return openedDB{}, errors.Join(err, opened.db.Close())
	}
	return opened, nil
}

// openedDB is a database that was found to be a log.
type openedDB struct {
	db       *bolt.DB
	file     *os.File
	pageSize int
	epoch    event.Epoch
	state    logState
	recent   *recent
	journal  journal
	unsafe   bool // it was written without sync and not closed
	scrub    bool // something that was taken back is not overwritten yet
}

// openDB opens an existing file and checks its ends.
func openDB(path string, o Options, readOnly bool) (openedDB, error) {
	opened, err := openBolt(path, o, readOnly)
	if err != nil {
		return opened, err
	}
	err = guard(path, func() error { return opened.db.View(opened.load) })
	if err != nil {
		return openedDB{}, errors.Join(err, opened.db.Close())
	}
	return opened, nil
}

// openBolt opens an existing file, whatever is in it.
func openBolt(path string, o Options, readOnly bool) (opened openedDB, err error) {
	if info, err := os.Stat(path); err != nil {
		return opened, err
	} else if info.Size() == 0 {
		return opened, damaged(path, errors.New("the file is empty"))
	}
	options := bolt.Options{
		Timeout: o.LockTimeout, ReadOnly: readOnly, NoSync: o.UnsafeNoSync, NoStatistics: true,
		// The list of free pages is written with each commit, so that Open
		// need not look for them in the whole file.
		FreelistType: bolt.FreelistMapType,
		OpenFile: func(name string, flag int, mode os.FileMode) (*os.File, error) {
			var err error
			opened.file, err = os.OpenFile(name, flag&^os.O_CREATE, mode)
			return opened.file, err
		},
	}
	err = guard(path, func() (err error) {
		opened.db, err = bolt.Open(path, 0o600, &options)
		return err
	})
	if err != nil {
		if opened.file != nil {
			// After a panic it is still open, and locked.
			err = explain(path, opened.file, err)
			_ = closeLocked(opened.file)
		}
		return openedDB{}, err
	}
	err = guard(path, func() error {
		opened.pageSize = opened.db.Info().PageSize
		if err := checkMetas(opened.file, opened.pageSize); err != nil {
			return damaged(path, err)
		}
		return nil
	})
	if err != nil {
		return openedDB{}, errors.Join(err, opened.db.Close())
	}
	return opened, nil
}

// explain turns an error of bbolt into one of ours.
func explain(path string, file *os.File, err error) error {
	switch {
	case errors.Is(err, berrors.ErrTimeout):
		return fmt.Errorf("%s: %w", path, ErrLocked)
	case errors.Is(err, berrors.ErrVersionMismatch):
		return fmt.Errorf("%s: %w", path, ErrNewerFormat)
	case errors.Is(err, ErrDamaged):
		if metas := checkMetas(file, os.Getpagesize()); metas != nil {
			return damaged(path, metas)
		}
		return err
	}
	var system *fs.PathError
	if errors.As(err, &system) {
		return err
	}
	return damaged(path, err)
}

// load reads what the log must know of itself and checks its newest entries.
func (o *openedDB) load(tx *bolt.Tx) error {
	hub := bucketOf(tx, bucketHub)
	if hub == nil {
		return fmt.Errorf("%s is a bbolt file of something else, not a log", o.db.Path())
	}
	if err := checkFormat(o.db.Path(), hub.Get([]byte(hubFormat))); err != nil {
		return err
	}
	for _, name := range buckets {
		if bucketOf(tx, name) == nil {
			return fmt.Errorf("bucket %s is missing: %w", name, errRecord)
		}
	}
	epoch, err := unseal(bucketHub, []byte(hubEpoch), hub.Get([]byte(hubEpoch)))
	if err != nil || copy(o.epoch[:], epoch) != len(o.epoch) {
		return fmt.Errorf("the epoch: %w", errRecord)
	}
	o.unsafe = hub.Get([]byte(hubUnsafe)) != nil
	o.scrub = hub.Get([]byte(hubScrub)) != nil
	if o.state, err = loadState(tx); err != nil {
		return fmt.Errorf("the state: %w", err)
	}
	if err := checkTail(tx, &o.state); err != nil {
		return err
	}
	if o.journal, err = findJournal(tx, o.file, o.pageSize); err == nil {
		o.recent, err = o.journal.load(tx, o.file, &o.state)
	}
	if err != nil {
		return fmt.Errorf("the journal: %w", err)
	}
	return nil
}

// errOldFormat: the file is to be brought to the format of today.
var errOldFormat = errors.New("its format is an older one; a server that opens it brings it to the one of today")

func checkFormat(path string, text []byte) error {
	format, err := strconv.Atoi(string(text))
	switch {
	case err != nil || format < 1:
		return fmt.Errorf("the format: %w", errRecord)
	case format == oldFormat:
		return fmt.Errorf("%s: %w", path, errOldFormat)
	case format < currentFormat:
		return fmt.Errorf("%s: its format is %d, this version knows only %d: move it away to begin a new log", path, format, currentFormat)
	case format > currentFormat:
		return fmt.Errorf("%s: %w: its format is %d, this version knows %d", path, ErrNewerFormat, format, format)
	}
	return nil
}

func loadState(tx *bolt.Tx) (logState, error) {
	value, err := unseal(bucketHub, []byte(hubState), bucketOf(tx, bucketHub).Get([]byte(hubState)))
	if err != nil {
		return logState{}, err
	}
	return parseState(value)
}

// checkTail reads the newest settled entries, and compares what the state says
// with what is known of them.
func checkTail(tx *bolt.Tx, state *logState) error {
	cursor := bucketOf(tx, bucketTaken).Cursor()
	if k, v := cursor.Last(); k != nil {
		seq, row, err := parseTaken(k, v)
		if err != nil {
			return err
		}
		if seq != state.seq || row.tag != state.tag {
			return fmt.Errorf("the newest settled entry is %d, not %d: %w", seq, state.seq, errRecord)
		}
	} else if state.expired != state.seq {
		return fmt.Errorf("entry %d is not known: %w", state.seq, errRecord)
	}
	cursor = bucketOf(tx, bucketOrder).Cursor()
	n := 0
	for k, v := cursor.Last(); k != nil && n < tailEvents; k, v = cursor.Prev() {
		if _, err := checkEntry(tx, k, v); err != nil {
			return err
		}
		n++
	}
	return nil
}

// checkEntry reads the entry of a record of the order bucket.
func checkEntry(tx *bolt.Tx, key, value []byte) (event.Entry, error) {
	seq, row, err := parseOrder(key, value)
	if err != nil {
		return event.Entry{}, err
	}
	at := appendNumber(appendNumber(nil, row.channel), seq)
	sealed := bucketOf(tx, bucketEvents).Get(at)
	if sealed == nil {
		return event.Entry{}, fmt.Errorf("entry %d: %w", seq, errHole)
	}
	_, record, err := parseEvent(at, sealed)
	if err != nil {
		return event.Entry{}, fmt.Errorf("entry %d: %w", seq, err)
	}
	entry, err := record.entry()
	if err != nil || entry.Tag != row.tag || entry.At != row.at || int64(len(record.encoded)) != row.size {
		return event.Entry{}, fmt.Errorf("entry %d: %w", seq, errRecord)
	}
	return entry, nil
}

// create makes an empty log. The file appears under its name only when it is
// whole, so that a crash leaves none that looks damaged.
func create(path string) (err error) {
	folder := filepath.Dir(path)
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return err
	}
	file, err := os.CreateTemp(folder, "."+filepath.Base(path)+".new-*")
	if err != nil {
		return err
	}
	name := file.Name()
	defer os.Remove(name)
	if err := file.Close(); err != nil {
		return err
	}
	db, err := bolt.Open(name, 0o600, &bolt.Options{Timeout: defaultLockTimeout, NoStatistics: true})
	if err != nil {
		return err
	}
	err = db.Update(func(tx *bolt.Tx) error {
		for _, bucket := range buckets {
			if _, err := tx.CreateBucket([]byte(bucket)); err != nil {
				return err
			}
		}
		if err := bucketOf(tx, bucketHub).Put([]byte(hubFormat), []byte(strconv.Itoa(currentFormat))); err != nil {
			return err
		}
		if err := putEpoch(tx, event.NewEpoch()); err != nil {
			return err
		}
		if err := putJournal(tx); err != nil {
			return err
		}
		s := logState{generation: newGeneration()}
		return bucketOf(tx, bucketHub).Put([]byte(hubState), seal(bucketHub, []byte(hubState), s.append(nil)))
	})
	if err := errors.Join(err, db.Close()); err != nil {
		return err
	}
	// A link, not a rename: if somebody else was faster, theirs stays.
	if err := os.Link(name, path); err != nil && !errors.Is(err, fs.ErrExist) {
		if _, statErr := os.Stat(path); !errors.Is(statErr, fs.ErrNotExist) {
			return err
		}
		if err := os.Rename(name, path); err != nil { // no links on this disk
			return err
		}
	}
	return syncFolder(folder)
}

func putEpoch(tx *bolt.Tx, epoch event.Epoch) error {
	return bucketOf(tx, bucketHub).Put([]byte(hubEpoch), seal(bucketHub, []byte(hubEpoch), epoch[:len(epoch):len(epoch)]))
}

// syncFolder makes a new name in a folder durable.
func syncFolder(folder string) error {
	d, err := os.Open(folder)
	if err != nil {
		return err
	}
	defer d.Close()
	return syncDir(d)
}
