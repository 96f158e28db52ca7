package file

import (
	"encoding/binary"
	"fmt"
	"os"
)

// What was deleted, or replaced by an edit, is out of sight at once; out of the file
// it is a little later. bbolt never writes where it has written: the old page is free
// and still holds the text, and so does the journal. So when something was taken
// back, Sweep overwrites what is free, in steps, once it is settled: within a few
// seconds, and sooner or later for a file that has gigabytes to overwrite.
//
// What the disk itself keeps of what was overwritten is out of our reach, as are
// copies of the file.

// scrubBytes is how much one step overwrites at most.
const scrubBytes = 4 << 20

// scrubber knows what is still to be overwritten. It belongs to Append's goroutine.
type scrubber struct {
	due   bool // something was taken back and is not overwritten
	noted bool // that stands in the file, for the next process
	// clean are free pages that hold nothing. A page leaves it when bbolt takes it.
	clean map[uint64]bool
}

// settled notes what a transaction has done to the pages: those that it took are
// not clean any more.
func (s *scrubber) settled(free []uint64) {
	still := make(map[uint64]bool, len(s.clean))
	for _, page := range free {
		if s.clean[page] {
			still[page] = true
		}
	}
	s.clean = still
}

// noteSettled is called after each transaction of bbolt.
func (f *Log) noteSettled(w *commit) {
	switch {
	case w.erased:
		f.scrub.due, f.scrub.noted = true, true
	case w.settled && w.scrubbed:
		f.scrub.noted = false
	}
	if len(f.scrub.clean) == 0 {
		return
	}
	free, err := freePages(f.file, f.pageSize)
	if err != nil {
		f.scrub.clean = nil // all of them are overwritten again
		return
	}
	f.scrub.settled(free)
}

// scrubSome overwrites some of what is free, and says whether there is more. Nobody
// reads meanwhile, and nothing has to be recent, so that the journal holds nothing
// that counts.
func (f *Log) scrubSome() (more bool, err error) {
	if !f.scrub.due || !f.recent.isEmpty() {
		return false, nil
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.options.UnsafeNoSync {
		// What replaces the text must be on the disk before the text goes.
		if err := f.db.Sync(); err != nil {
			return false, fmt.Errorf("syncing: %w", err)
		}
	}
	free, err := freePages(f.file, f.pageSize)
	if err != nil {
		return false, err
	}
	if f.scrub.clean == nil {
		f.scrub.clean = map[uint64]bool{}
	}
	if err := overwrite(f.file, f.journal.first, f.journal.end-f.journal.first); err != nil {
		return false, err
	}
	budget := scrubBytes
	for _, page := range free {
		if f.scrub.clean[page] {
			continue
		}
		if budget -= f.pageSize; budget < 0 {
			return true, nil
		}
		if err := overwrite(f.file, int64(page)*int64(f.pageSize), int64(f.pageSize)); err != nil {
			return false, err
		}
		f.scrub.clean[page] = true
	}
	f.scrub.due = false
	return false, nil
}

// overwrite writes zeros where there is something else.
func overwrite(file *os.File, at, size int64) error {
	block := make([]byte, min(size, 64<<10))
	zeros := make([]byte, len(block))
	for end := at + size; at < end; at += int64(len(block)) {
		block, zeros = block[:min(int64(len(block)), end-at)], zeros[:min(int64(len(zeros)), end-at)]
		if _, err := file.ReadAt(block, at); err != nil {
			return fmt.Errorf("reading what is free: %w", err)
		}
		if string(block) == string(zeros) {
			continue
		}
		if _, err := file.WriteAt(zeros, at); err != nil {
			return fmt.Errorf("overwriting what is free: %w", err)
		}
	}
	return nil
}

// freePages are the pages that the next transactions can use: bbolt's list of them,
// of the newest of its two meta pages.
func freePages(file *os.File, pageSize int) ([]uint64, error) {
	head, count, err := freeList(file, pageSize)
	if err != nil {
		return nil, err
	}
	list := make([]byte, 8*count)
	if _, err := file.ReadAt(list, head); err != nil && count > 0 {
		return nil, fmt.Errorf("reading the list of free pages: %w", err)
	}
	free := make([]uint64, count)
	for i := range free {
		free[i] = binary.NativeEndian.Uint64(list[8*i:])
	}
	return free, nil
}
