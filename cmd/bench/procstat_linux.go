package main

import (
	"bytes"
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

// usage is what a process has and has used.
type usage struct {
	processor time.Duration
	resident  int64
	files     int
}

func readUsage(pid int) (u usage, err error) {
	if u.processor, err = processorTime(pid); err != nil {
		return u, err
	}
	if u.resident, err = residentBytes(pid); err != nil {
		return u, err
	}
	u.files, err = descriptors(pid)
	return u, err
}

// clockTick is the unit of processor time in /proc: USER_HZ is 100 on all
// architectures that Go runs on.
const clockTick = 10 * time.Millisecond

// processorTime is what a process has used so far, in user and kernel mode.
func processorTime(pid int) (time.Duration, error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, fmt.Errorf("reading processor time: %w", err)
	}
	return parseStat(b)
}

// parseStat reads utime and stime, the 14th and 15th field. The second is the
// program's name in parentheses, which may hold anything.
func parseStat(b []byte) (time.Duration, error) {
	_, after, ok := bytes.Cut(b[bytes.LastIndexByte(b, ')')+1:], []byte(" "))
	fields := strings.Fields(string(after))
	if !ok || len(fields) < 13 {
		return 0, fmt.Errorf("reading processor time: %.60q is no stat line", b)
	}
	var ticks int64
	for _, f := range fields[11:13] {
		n, err := strconv.ParseInt(f, 10, 64)
		if err != nil {
			return 0, fmt.Errorf("reading processor time: %w", err)
		}
		ticks += n
	}
	return time.Duration(ticks) * clockTick, nil
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
