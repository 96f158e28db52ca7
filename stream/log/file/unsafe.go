package file

import (
	"fmt"

	bolt "go.etcd.io/bbolt"

	"github.com/seed-078801ba/sidestream/stream/event"
)

// startUnsafe checks a file that was written without sync and not closed, and
// gives it a new epoch: the machine may have lost its last entries, and their
// positions must not come back as other events. And it notes whether the file
// is going to be written without sync now.
func (f *Log) startUnsafe(opened *openedDB) error {
	if !opened.unsafe && !f.options.UnsafeNoSync {
		return nil
	}
	if opened.unsafe {
		inspection := Inspection{path: f.path, db: opened.db, opened: *opened}
		problems, err := inspection.Verify()
		if err != nil {
			return err
		}
		if len(problems) > 0 {
			return damaged(f.path, fmt.Errorf("it was written without sync and not closed: %s", problems[0]))
		}
		opened.epoch = event.NewEpoch()
	}
	return guard(f.path, func() error {
		return synced(opened.db, func(tx *bolt.Tx) error {
			hub := bucketOf(tx, bucketHub)
			if err := putEpoch(tx, opened.epoch); err != nil {
				return err
			}
			if f.options.UnsafeNoSync {
				return hub.Put([]byte(hubUnsafe), []byte{1})
			}
			return hub.Delete([]byte(hubUnsafe))
		})
	})
}

// leaveUnsafe notes that everything is on disk.
func (f *Log) leaveUnsafe() error {
	return guard(f.path, func() error {
		if err := f.db.Sync(); err != nil {
			return err
		}
		return synced(f.db, func(tx *bolt.Tx) error {
			return bucketOf(tx, bucketHub).Delete([]byte(hubUnsafe))
		})
	})
}

// synced runs one transaction with sync, whatever the mode.
func synced(db *bolt.DB, do func(tx *bolt.Tx) error) error {
	was := db.NoSync
	db.NoSync = false
	defer func() { db.NoSync = was }()
	return db.Update(do)
}
