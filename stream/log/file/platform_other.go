//go:build !unix || solaris || aix

package file

import "os"

// syncDir does nothing: not every system can sync a folder.
func syncDir(*os.File) error { return nil }

// closeLocked closes a file that bbolt has locked and cannot close itself any
// more.
func closeLocked(f *os.File) error { return f.Close() }
