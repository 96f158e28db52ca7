//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"time"
)

// server is a process that is measured.
type server struct {
	name    string
	addr    netip.AddrPort
	pid     int
	workers []int                    // more of its processes; of a peer
	posts   netip.AddrPort           // where messages go, if not to addr; of a peer
	request func(channel int) []byte // for a stream; default: streamRequest
	admin   *admin                   // of a Caddy; nil for the sticks
	publish func(channel int) string
	site    site // of a Caddy
	dir     string
	cmd     *exec.Cmd
	exited  chan struct{}
}

// startTimeout bounds how long a server may take until it answers.
const startTimeout = 20 * time.Second

// start runs a program until stop, or until the benchmark ends, however it
// ends. What the program prints goes to a file in dir.
func start(ctx context.Context, s server, program string, args ...string) (*server, error) {
	s.cmd = exec.CommandContext(ctx, program, args...)
	s.cmd.Dir = s.dir
	s.cmd.Env = append(os.Environ(), "HOME="+s.dir, "XDG_DATA_HOME="+s.dir, "XDG_CONFIG_HOME="+s.dir)
	s.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	output, err := os.Create(filepath.Join(s.dir, "output"))
	if err != nil {
		return nil, err
	}
	defer output.Close()
	s.cmd.Stdout, s.cmd.Stderr = output, output
	if err := s.cmd.Start(); err != nil {
		return nil, fmt.Errorf("starting %s: %w", s.name, err)
	}
	s.pid, s.exited = s.cmd.Process.Pid, make(chan struct{})
	go func() {
		s.cmd.Wait()
		close(s.exited)
	}()
	if err := s.await(ctx); err != nil {
		s.stop()
		said, _ := os.ReadFile(output.Name())
		return nil, fmt.Errorf("starting %s: %w; it said: %.2000s", s.name, err, said)
	}
	return &s, nil
}

// await returns when the server takes connections.
func (s *server) await(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	for {
		c, err := net.DialTimeout("tcp", s.addr.String(), time.Second)
		if err == nil {
			c.Close()
			return nil
		}
		select {
		case <-s.exited:
			return errors.New("it has ended")
		case <-ctx.Done():
			return errors.Join(ctx.Err(), err)
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// collectGarbage has the process give up what it does not use.
func (s *server) collectGarbage(ctx context.Context) error {
	if s.admin == nil {
		return s.cmd.Process.Signal(syscall.SIGUSR1) // see runStick
	}
	_, err := s.admin.liveBytes(ctx)
	return err
}

// stop ends the process. What it has left on disk goes with the benchmark's
// folder.
func (s *server) stop() {
	if s.cmd == nil { // it is not ours
		return
	}
	s.cmd.Process.Kill()
	<-s.exited
}

// freeAddr finds a port on which nobody listens.
func freeAddr() (netip.AddrPort, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return netip.AddrPort{}, fmt.Errorf("looking for a free port: %w", err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).AddrPort(), nil
}

// The sub-commands by which the benchmark's own program is run as a stick.
const (
	stickEpoll   = "stick-epoll"
	stickBatch   = "stick-epoll-batch"
	stickNetHTTP = "stick-nethttp"
)

// startStick runs this program again, as one of the measuring sticks.
func (b *bench) startStick(ctx context.Context, kind string) (*server, error) {
	addr, err := freeAddr()
	if err != nil {
		return nil, err
	}
	dir, err := b.newDir(kind)
	if err != nil {
		return nil, err
	}
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	return start(ctx, server{
		name: kind, addr: addr, dir: dir,
		publish: func(channel int) string { return "/room/" + strconv.Itoa(channel) },
	}, self, kind, addr.String())
}

// newDir makes a folder for one server.
func (b *bench) newDir(name string) (string, error) {
	b.dirs++
	dir := filepath.Join(b.dir, fmt.Sprintf("%03d-%s", b.dirs, name))
	return dir, os.Mkdir(dir, 0o755)
}

// streamRequest asks for a channel's Campfire stream.
func streamRequest(channel int) []byte {
	return fmt.Appendf(nil, "GET /room/%d/live.json HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n", channel)
}
