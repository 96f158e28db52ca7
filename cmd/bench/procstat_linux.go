package main

import (
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// usage is what the processes of a server have and have used.
type usage struct {
	processor time.Duration
	resident  int64
	files     int
}

func readUsage(pids ...int) (u usage, err error) {
	for _, pid := range pids {
		used, err := processorTime(pid)
		if err != nil {
			return u, err
		}
		resident, err := residentBytes(pid)
		if err != nil {
			return u, err
		}
		files, err := descriptors(pid)
		if err != nil {
			return u, err
		}
		u.processor, u.resident, u.files = u.processor+used, u.resident+resident, u.files+files
	}
	return u, nil
}

// processorTime is what a process has used so far, in user and kernel mode, all its
// threads together. The kernel keeps it in nanoseconds; /proc has it in ticks of 10
// ms, of which a short load takes one or two.
func processorTime(pid int) (time.Duration, error) {
	const scheduled = 2 // CPUCLOCK_SCHED, see clock_getcpuclockid(3)
	var t unix.Timespec
	if err := unix.ClockGettime(int32(^pid<<3|scheduled), &t); err != nil {
		return 0, fmt.Errorf("reading processor time: %w", err)
	}
	return time.Duration(t.Nano()), nil
}

// residentBytes is the memory of a process that is in RAM. smaps_rollup is
// exact; the counters of statm lag behind by some pages for each thread.
func residentBytes(pid int) (int64, error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/smaps_rollup", pid))
	if err != nil {
		return 0, fmt.Errorf("reading resident memory: %w", err)
	}
	return parseKey(b, "Rss:", 1<<10)
}

// storageBytes is what was written to the disk of a folder so far, by anyone: what
// the system counts for a process is too much, because it counts the whole of a
// large page of its cache however little of it has changed. It is NaN where the
// folder's disk is not known.
func storageBytes(dir string) (float64, error) {
	unix.Sync()
	var info unix.Stat_t
	if err := unix.Stat(dir, &info); err != nil {
		return 0, fmt.Errorf("looking for the disk of %s: %w", dir, err)
	}
	b, err := os.ReadFile(fmt.Sprintf("/sys/dev/block/%d:%d/stat", unix.Major(info.Dev), unix.Minor(info.Dev)))
	if errors.Is(err, fs.ErrNotExist) {
		return math.NaN(), nil
	}
	if err != nil {
		return 0, fmt.Errorf("reading written bytes: %w", err)
	}
	const sectorsWritten, sector = 6, 512
	fields := strings.Fields(string(b))
	if len(fields) <= sectorsWritten {
		return 0, fmt.Errorf("reading written bytes: %q", b)
	}
	n, err := strconv.ParseInt(fields[sectorsWritten], 10, 64)
	return float64(n * sector), err
}

// parseKey finds the line of a key and multiplies its number.
func parseKey(b []byte, key string, unit int64) (int64, error) {
	for line := range strings.Lines(string(b)) {
		if fields := strings.Fields(line); len(fields) > 1 && fields[0] == key {
			n, err := strconv.ParseInt(fields[1], 10, 64)
			return n * unit, err
		}
	}
	return 0, fmt.Errorf("no %s in it", key)
}

// descriptors is how many files a process has open.
func descriptors(pid int) (int, error) {
	d, err := os.Open(fmt.Sprintf("/proc/%d/fd", pid))
	if err != nil {
		return 0, fmt.Errorf("counting descriptors: %w", err)
	}
	defer d.Close()
	names, err := d.Readdirnames(-1)
	return len(names), err
}
