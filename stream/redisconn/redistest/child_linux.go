package redistest

import (
	"os/exec"
	"syscall"
)

// EndWithTest has the kernel send a signal to a child, not started yet, when the
// process of the test is gone, however that ended.
func EndWithTest(cmd *exec.Cmd, signal syscall.Signal) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: signal}
}
