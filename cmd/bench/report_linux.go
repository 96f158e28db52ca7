package main

import (
	"fmt"
	"io"
	"os"
	"runtime"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// report is what is printed in the end.
type report struct {
	options options
	machine string
	rows    []row
}

func (r *report) print(w io.Writer) {
	fmt.Fprintf(w, "%s\n\nMedians of %d runs, %d streams where nothing else is said, %s of load. \"KB\" is 1,000 bytes.\n",
		r.machine, r.options.runs, r.options.streams, r.options.duration)
	if r.options.quick || r.options.streams < 10_000 || r.options.runs < 3 {
		fmt.Fprintln(w, "\n**A reduced run: the bars are for 10,000 streams and three runs, so nothing is said of them.**")
		for i := range r.rows {
			r.rows[i].met = noBar
		}
	}
	fmt.Fprintln(w)
	printTable(w, r.rows)
	fmt.Fprintln(w, `
What this does not show: a network (over loopback, the sender's processor time
includes the receiver's TCP); more than this machine's cores; a server that has
them for itself (clients and publishers run beside it, and take what they
need); days of running; clients that come and go. Processor time for a delivery
and bytes for a stream can be repeated, rates and percentiles depend on what
else the machine does. Sidestream has its defaults: streams are Campfire's, with
a heartbeat every 2 s, which the bare loop and net/http do without. The bare loop
ends a stream that cannot take a message at once, knows no history and answers
nobody else. "Odd" is the worst of all runs.`)
}

// describeMachine says what the figures come from.
func describeMachine(dir string) string {
	var name unix.Utsname
	unix.Uname(&name)
	kernel := unix.ByteSliceToString(name.Release[:])
	model := "unknown processor"
	if b, err := os.ReadFile("/proc/cpuinfo"); err == nil {
		for line := range strings.Lines(string(b)) {
			if key, value, _ := strings.Cut(line, ":"); strings.TrimSpace(key) == "model name" {
				model = strings.TrimSpace(value)
				break
			}
		}
	}
	disk := ""
	var fs unix.Statfs_t
	if unix.Statfs(dir, &fs) == nil && fs.Type == unix.TMPFS_MAGIC {
		disk = " **The folder for the stores is in memory: a sync costs nothing there.**"
	}
	return fmt.Sprintf("%s, %d cores, %s/%s, Linux %s, %s, %s.%s", model, runtime.NumCPU(), runtime.GOOS, runtime.GOARCH,
		kernel, runtime.Version(), time.Now().UTC().Format("2006-01-02"), disk)
}
