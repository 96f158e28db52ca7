package load

import "golang.org/x/sys/unix"

// Now is the machine's monotonic clock in nanoseconds: the same in all
// processes, so what one stamps another may compare.
func Now() int64 {
	var t unix.Timespec
	unix.ClockGettime(unix.CLOCK_MONOTONIC, &t) // cannot fail for this clock
	return t.Nano()
}
