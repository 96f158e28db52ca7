package file

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strconv"

	bolt "go.etcd.io/bbolt"

	"github.com/seed-078801ba/sidestream/stream/event"
	"github.com/seed-078801ba/sidestream/stream/log"
)

// oldFormat is the format that upgrade brings to the one of today: records had
// checksums of their events as tags, or none.
const oldFormat = 3

// upgrade brings a file of the old format to the one of today, in one transaction.
// All that it keeps stays, under the numbers that it has, but in a new epoch and
// without tags: those of old were made of what was said, and a listener of one
// channel could test what was said in another.
func (f *Log) upgrade() error {
	opened, err := openBolt(f.path, f.options, false)
	if err != nil {
		return err
	}
	err = guard(f.path, func() error {
		return synced(opened.db, func(tx *bolt.Tx) error {
			u := upgrade{tx: tx, file: opened.file, pageSize: opened.pageSize}
			return u.run()
		})
	})
	if err != nil {
		err = fmt.Errorf("bringing %s to format %d: %w", f.path, currentFormat, err)
	}
	return errors.Join(err, opened.db.Close())
}

type upgrade struct {
	tx       *bolt.Tx
	file     io.ReaderAt
	pageSize int
}

func (u *upgrade) run() error {
	state, err := loadState(u.tx)
	if err != nil {
		return fmt.Errorf("the state: %w", err)
	}
	state.tag = 0
	for _, step := range []struct {
		bucket string
		change func(key, value []byte) ([]byte, error)
	}{{bucketEvents, upgradeEvent}, {bucketOrder, upgradeOrder}, {bucketTaken, upgradeTaken}, {bucketKeys, upgradeKey}} {
		if err := u.rewrite(step.bucket, step.change); err != nil {
			return fmt.Errorf("%s: %w", step.bucket, err)
		}
	}
	if err := u.settle(state); err != nil {
		return fmt.Errorf("the journal: %w", err)
	}
	if err := putEpoch(u.tx, event.NewEpoch()); err != nil {
		return err
	}
	return bucketOf(u.tx, bucketHub).Put([]byte(hubFormat), []byte(strconv.Itoa(currentFormat)))
}

// rewrite changes every value of a bucket.
func (u *upgrade) rewrite(bucket string, change func(key, value []byte) ([]byte, error)) error {
	b := bucketOf(u.tx, bucket)
	var keys [][]byte // first: who walks a bucket must not change it
	err := b.ForEach(func(key, _ []byte) error {
		keys = append(keys, bytes.Clone(key))
		return nil
	})
	if err != nil {
		return err
	}
	for _, key := range keys {
		value, err := unseal(bucket, key, b.Get(key))
		if err != nil {
			return err
		}
		if value, err = change(key, value); err != nil {
			return err
		}
		if err := b.Put(key, seal(bucket, key, value)); err != nil {
			return err
		}
	}
	return nil
}

func upgradeEvent(_, value []byte) ([]byte, error) {
	f := fields{b: value}
	prev, at := f.next(), int64(f.next())
	if f.bad {
		return nil, errRecord
	}
	return append(appendEvent(nil, prev, at, 0), f.b...), nil
}

func upgradeOrder(_, value []byte) ([]byte, error) {
	row, err := parseOrderValue(value)
	row.tag = 0
	return row.append(nil), err
}

func upgradeTaken(_, value []byte) ([]byte, error) {
	f := fields{b: value}
	row := takenRow{at: int64(f.next())}
	f.next() // the tag
	row.key = f.b
	if f.bad {
		return nil, errRecord
	}
	return row.append(nil), nil
}

// upgradeKey forgets the digest of the content, which is made of the encoding.
func upgradeKey(_, value []byte) ([]byte, error) {
	row, err := parseKeyValue(value)
	row.content = 0
	return row.append(nil), err
}

// settle moves what stands in the journal of old to the buckets.
func (u *upgrade) settle(state logState) error {
	j, err := findJournal(u.tx, u.file, u.pageSize)
	if err != nil {
		return err
	}
	w := newCommit(state, newRecent(), log.Retention{})
	w.tx, w.before = u.tx, logState{} // as it is written, whatever has changed
	j.old = true
	r, err := j.load(u.tx, u.file, &w.state)
	if err != nil {
		return err
	}
	w.recent = r
	w.before.seq = w.state.seq
	if err := w.settle(); err != nil {
		return err
	}
	return w.flush()
}
