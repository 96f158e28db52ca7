//go:build unix

package caddymodule

import (
	"golang.org/x/sys/unix"
)

// probeDescriptors takes two descriptors for a moment. The kernel gives the lowest
// that is free, so all below it are in use. The second one tells whether those are
// in use that are reserved: they may be, with free ones below them.
func probeDescriptors() (room bool, limit uint64) {
	var r unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &r); err != nil {
		return true, 0
	}
	limit = uint64(r.Cur)
	reserved := limit - reservedOf(limit)
	lowest, ok := lowestFree(0)
	if !ok || lowest >= reserved {
		return false, limit
	}
	next, ok := lowestFree(reserved)
	return ok && next < reserved+reservedOf(limit)/2, limit
}

// lowestFree is the lowest descriptor from a number on that is not in use. It makes
// a copy of standard error for a moment.
func lowestFree(from uint64) (uint64, bool) {
	fd, err := unix.FcntlInt(2, unix.F_DUPFD_CLOEXEC, int(from))
	if err == nil {
		unix.Close(fd)
		return uint64(fd), true
	}
	// Another error than "too many" says nothing about them.
	return from, err != unix.EMFILE
}
