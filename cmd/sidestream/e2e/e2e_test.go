package e2e

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/seed-078801ba/sidestream/stream/redisconn/redistest"
)

// The end-to-end tests run the built command as its users do, and talk to it
// over the network only.

// patience bounds every wait for something that must happen. It is long,
// because nothing is measured with it.
const patience = 60 * time.Second

func TestMain(m *testing.M) {
	code := m.Run()
	if binary.folder != "" {
		os.RemoveAll(binary.folder)
	}
	os.Exit(code)
}

// binary is the command, built when the first test needs it.
var binary struct {
	once   sync.Once
	folder string
	path   string
	err    error
}

// command is the path of the built command. It is built with the race detector
// if the tests are.
func command(t *testing.T) string {
	t.Helper()
	binary.once.Do(func() {
		if binary.folder, binary.err = os.MkdirTemp("", "sidestream-test-"); binary.err != nil {
			return
		}
		binary.path = filepath.Join(binary.folder, "sidestream")
		args := []string{"build", "-o", binary.path}
		if raceDetector {
			args = append(args, "-race")
		}
		out, err := exec.Command("go", append(args, "..")...).CombinedOutput()
		if err != nil {
			binary.err = fmt.Errorf("building the command: %w\n%s", err, out)
		}
	})
	if binary.err != nil {
		t.Fatal(binary.err)
	}
	return binary.path
}

// process is a program that runs beside the test. Its output is kept, and shown
// if the test fails.
type process struct {
	t      *testing.T
	name   string
	cmd    *exec.Cmd
	out    *output // standard output
	errOut *output
	exited chan struct{}
	err    error // of the exit; read after exited is closed
}

// run starts a program in a folder. It is ended with the test. Its standard
// input stays open for as long.
func run(t *testing.T, env []string, dir, name string, args ...string) *process {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	t.Cleanup(func() { w.Close() })
	return runWithInput(t, r, env, dir, name, args...)
}

func runWithInput(t *testing.T, in *os.File, env []string, dir, name string, args ...string) *process {
	t.Helper()
	p := &process{t: t, name: filepath.Base(name), out: newOutput(), errOut: newOutput(), exited: make(chan struct{})}
	p.cmd = exec.Command(name, args...)
	p.cmd.Dir = dir
	p.cmd.Env = append(slices.DeleteFunc(os.Environ(), func(v string) bool {
		key, _, _ := strings.Cut(strings.ToLower(v), "=")
		return strings.HasSuffix(key, "_proxy") // all is on this machine
	}), env...)
	p.cmd.Stdin, p.cmd.Stdout, p.cmd.Stderr = in, p.out, p.errOut
	redistest.EndWithTest(p.cmd, syscall.SIGTERM)
	if err := p.cmd.Start(); err != nil {
		t.Fatalf("starting %s: %v", name, err)
	}
	go func() {
		p.err = p.cmd.Wait()
		p.out.close()
		p.errOut.close()
		close(p.exited)
	}()
	t.Cleanup(func() {
		p.end()
		if t.Failed() {
			t.Logf("standard error of %s:\n%s", p.name, p.errOut.tail(20_000))
		}
	})
	return p
}

// stop sends a signal and waits for the end.
func (p *process) stop(signal os.Signal) error {
	p.t.Helper()
	if err := p.cmd.Process.Signal(signal); err != nil && !errors.Is(err, os.ErrProcessDone) {
		p.t.Fatalf("ending %s: %v", p.name, err)
	}
	select {
	case <-p.exited:
		return p.err
	case <-time.After(patience):
		p.end()
		p.t.Fatalf("%s does not end after %v", p.name, signal)
		return nil
	}
}

// end makes sure that the program has ended.
func (p *process) end() {
	_ = p.cmd.Process.Signal(syscall.SIGTERM) // it may have ended
	select {
	case <-p.exited:
		return
	case <-time.After(15 * time.Second):
	}
	_ = p.cmd.Process.Kill()
	<-p.exited
}

// output keeps what a program writes, and lets tests wait for more of it.
type output struct {
	mu     sync.Mutex
	grown  chan struct{} // closed and replaced when there is more
	buf    bytes.Buffer
	closed bool
}

func newOutput() *output { return &output{grown: make(chan struct{})} }

func (o *output) Write(b []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.buf.Write(b)
	close(o.grown)
	o.grown = make(chan struct{})
	return len(b), nil
}

func (o *output) close() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.closed = true
	close(o.grown)
	o.grown = make(chan struct{})
}

// state is what was written so far, whether that is all, and what tells of more.
func (o *output) state() (text string, ended bool, more <-chan struct{}) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buf.String(), o.closed, o.grown
}

// waitFor returns the output when it satisfies enough.
func (o *output) waitFor(enough func(string) bool) (string, bool) {
	deadline := time.After(patience)
	for {
		text, ended, more := o.state()
		if enough(text) {
			return text, true
		}
		if ended {
			return text, false
		}
		select {
		case <-more:
		case <-deadline:
			return text, false
		}
	}
}

func (o *output) tail(n int) string {
	text, _, _ := o.state()
	return text[max(0, len(text)-n):]
}

// eventually waits for a condition that nothing tells of.
func eventually(t *testing.T, what string, is func() bool) {
	t.Helper()
	deadline := time.After(patience)
	for !is() {
		select {
		case <-deadline:
			t.Fatalf("%s: not after %v", what, patience)
		case <-time.After(10 * time.Millisecond):
		}
	}
}

// freePort is a port that nobody listens on.
func freePort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	_, port, _ := net.SplitHostPort(l.Addr().String())
	return port
}
