package file

import (
	"fmt"
	"os"
	"os/exec"
	"testing"

	"github.com/seed-078801ba/sidestream/stream/log/logtest"
)

// The test binary runs itself for what needs a process of its own.
const (
	childEnv = "SIDESTREAM_LOG_CHILD"
	pathEnv  = "SIDESTREAM_LOG_PATH"
)

var childParts = map[string]func(path string) error{
	"append":         func(path string) error { return appendForEver(path, Options{}) },
	"append no sync": func(path string) error { return appendForEver(path, Options{UnsafeNoSync: true}) },
}

// runChild runs the part of a child and tells whether there was one.
func runChild() bool {
	part := childParts[os.Getenv(childEnv)]
	if part == nil {
		return false
	}
	if err := part(os.Getenv(pathEnv)); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	return true
}

func child(t *testing.T, part, path string) *exec.Cmd {
	t.Helper()
	self, err := os.Executable()
	logtest.Must(t, err)
	cmd := exec.Command(self)
	cmd.Env = append(os.Environ(), childEnv+"="+part, pathEnv+"="+path)
	cmd.Stderr = os.Stderr
	return cmd
}
