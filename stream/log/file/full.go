package file

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/seed-078801ba/sidestream/stream/event"
)

// minRoom is how much room a disk that was full must have before the store says
// that it is well again.
const minRoom = 64 << 10

// wantRoom remembers that the disk had no room for these events.
func (f *Log) wantRoom(events []event.Event) {
	var size int64
	for i := range events {
		size += int64(len(events[i].Body) + len(events[i].Payload))
	}
	f.want = max(f.want, minRoom, 2*size)
}

// roomShare is how much free room in the file is enough: so many times what is
// wanted, because a transaction writes whole pages, and those that it replaces
// are free only after it.
const roomShare = 4

// checkRoom tells whether there is still no room, in the file or on the disk
// that was full. That the file could be opened again says nothing, and an append
// may never come, because a load balancer sends nothing to who is unwell.
func (f *Log) checkRoom() error {
	if f.want == 0 {
		return nil
	}
	// What was freed on the disk may be in the file by now: settling takes as
	// much again as it moves, and frees as much.
	if free, err := freeBytes(f.file, f.pageSize); err != nil {
		return f.fail(err, nil)
	} else if free >= roomShare*f.want {
		f.want = 0
		return nil
	}
	if err := probeRoom(filepath.Dir(f.path), f.want); err != nil {
		return classify(f.path, fmt.Errorf("looking for room: %w", err))
	}
	f.want = 0
	return nil
}

// probeRoom writes a file without a name.
func probeRoom(folder string, size int64) error {
	file, err := os.CreateTemp(folder, ".room-*")
	if err != nil {
		return err
	}
	name := file.Name()
	unnamed := os.Remove(name) == nil // at once, so that a crash leaves none
	block := make([]byte, minRoom)
	for ; size > 0 && err == nil; size -= minRoom {
		_, err = file.Write(block)
	}
	err = errors.Join(err, file.Close())
	if !unnamed {
		err = errors.Join(err, os.Remove(name))
	}
	return err
}
