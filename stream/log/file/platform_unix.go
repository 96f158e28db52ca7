//go:build unix && !solaris && !aix

package file

import (
	"os"
	"syscall"
)

// syncDir makes the names in a folder durable.
func syncDir(d *os.File) error { return d.Sync() }

// closeLocked closes a file that bbolt has locked and mapped and cannot close
// itself any more. The mapping stays, and would keep the lock.
func closeLocked(f *os.File) error {
	_ = syscall.Flock(int(f.Fd()), syscall.LOCK_UN)
	return f.Close()
}
