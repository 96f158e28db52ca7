package e2e

import (
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/seed-078801ba/sidestream/cmd/sidestream/e2e/contract"
)

// A full disk: webhooks are refused with 507, quickly; streams stay, and clients
// come back to everything; with room, it goes on by itself.
func TestFullDisk(t *testing.T) {
	if os.Geteuid() != 0 {
		inNamespace(t)
		return
	}
	disk := t.TempDir()
	if err := unix.Mount("tmpfs", disk, "tmpfs", 0, "size=7m"); err != nil {
		t.Fatalf("mounting a small disk: %v", err)
	}
	t.Cleanup(func() { unix.Unmount(disk, unix.MNT_DETACH) })
	filler := filepath.Join(disk, "filler")
	if err := os.WriteFile(filler, make([]byte, 3<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	channels := names(2)
	s := start(t, storing(disk+"/hub.db", ""))
	c := newCrowd(t)
	for i := range 8 {
		l := &listener{dialect: dialects[i%len(dialects)], address: "127.0.0.1:" + s.port, channels: channels[i%2 : i%2+1]}
		if i >= len(dialects) { // comes and goes meanwhile
			l.hangUp = 20
		}
		c.listen(l)
	}
	c.begin()
	p := &speaker{rec: c.rec, url: s.url + "/hook", client: c.client}
	long := strings.Repeat("y", 90) // textOf makes 8 KB of it
	var full contract.Event
	for n := 0; full.ID == ""; n++ {
		e := contract.Event{Channel: channels[n%2], ID: fmt.Sprint(long, n)}
		if !p.attempt(e) {
			full = e
		}
		if n == 2000 {
			t.Fatal("the disk is not full")
		}
	}
	for n := range 10 {
		status, answer := s.postRaw(channels[0], fmt.Sprint(long, "refused", n), strings.Repeat("z", 20_000))
		if status != http.StatusInsufficientStorage || answer != "" {
			t.Errorf("a full disk is answered with %d %q", status, answer)
		}
	}
	// It stays red while the disk is full, also if nobody publishes.
	s.awaitHealth(http.StatusServiceUnavailable)
	for until := time.After(2500 * time.Millisecond); ; {
		if got := s.health(); got != http.StatusServiceUnavailable {
			t.Errorf("while the disk is full, health is %d", got)
			break
		}
		select {
		case <-time.After(50 * time.Millisecond):
			continue
		case <-until:
		}
		break
	}
	if r, err := http.Get(s.url + "/health?live"); err != nil || r.StatusCode != http.StatusOK {
		t.Errorf("liveness is %v, %v", r, err)
	}
	// Open streams and reading go on.
	back := s.open("/flows?filter=room-1,room-2&accept=text/event-stream", "Last-Event-ID: "+epochNow(c.rec.History())+".0.000000")
	if first := back.next(); back.header.Get("Stream-Resume") != "complete" || !strings.Contains(first, long+"0") {
		t.Errorf("while the disk is full, a client comes back to %q and %.200q", back.header.Get("Stream-Resume"), first)
	}
	if err := os.Remove(filler); err != nil {
		t.Fatal(err)
	}
	s.awaitHealth(http.StatusOK) // by itself
	p.deliver(full)
	last := c.fallSilent(s.url, channels)
	if err := readAudit(c.rec, "127.0.0.1:"+s.port, channels, epochNow(c.rec.History()), last); err != nil {
		t.Error(err)
	}
	c.goHome()
	sessions := map[string]int{}
	for _, session := range c.check(0).Sessions {
		sessions[session.Client]++
	}
	for _, l := range c.listeners[:len(dialects)] {
		if sessions[l.name] != 1 {
			t.Errorf("%s had to come back: it had %d sessions", l.name, sessions[l.name])
		}
	}
	s.stop(syscall.SIGTERM)
	s.verify(disk + "/hub.db")
}

// inNamespace runs the test in a process that may mount what it likes, and changes
// nothing for others: whoever runs the tests is root there.
func inNamespace(t *testing.T) {
	t.Helper()
	cmd := exec.Command(os.Args[0], "-test.run", "^"+t.Name()+"$", "-test.v")
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags:  syscall.CLONE_NEWUSER | syscall.CLONE_NEWNS,
		UidMappings: []syscall.SysProcIDMap{{HostID: os.Getuid(), Size: 1}},
		GidMappings: []syscall.SysProcIDMap{{HostID: os.Getgid(), Size: 1}},
	}
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}
