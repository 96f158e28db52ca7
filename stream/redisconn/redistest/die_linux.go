package redistest

import "syscall"

// dieWithParent lets the kernel end a child when the test process is gone,
// however it went.
func dieWithParent() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
}
